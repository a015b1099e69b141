"""Interpolation between two samples."""

import numpy as np
import pytest

from mnistdiff.engine.checkpoint.pretrained import PRETRAINED
from mnistdiff.engine.inference.interpolation import interpolate, slerp
from mnistdiff.engine.inference.model import load_model
from mnistdiff.engine.inference.sampling import SampleSpec, sample
from mnistdiff.engine.progress import collect, finish
from mnistdiff.sample_settings import SampleSettings

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def model():
    return load_model(PRETRAINED, weights="ema", device="cpu")


def test_interpolated_noise_has_the_norm_of_noise():
    start, end = RNG.standard_normal((2, 1, 28, 28), dtype=np.float32)
    shares = np.linspace(0, 1, 9, dtype=np.float32)
    between = slerp(start, end, shares)
    np.testing.assert_allclose(between[[0, -1]], [start, end], atol=1e-6)
    norms = np.sqrt((between**2).sum(axis=(1, 2, 3)))
    np.testing.assert_allclose(norms, 28, rtol=0.06)
    assert np.sqrt((((start + end) / 2) ** 2).sum()) < 0.75 * norms[4]
    np.testing.assert_array_equal(slerp(end, start, shares), between[::-1])
    assert np.array_equal(slerp(start, start, shares), np.repeat(start[None], 9, axis=0))


@pytest.mark.parametrize(
    ("start", "end", "changes"),
    [
        (SampleSpec(3, 1), SampleSpec(8, 1), {}),
        (SampleSpec(3, 1), SampleSpec(8, 1), {"guidance": 0.0}),
        (SampleSpec(3, 1), SampleSpec(8, 1), {"sampler": "ddpm", "steps": 10}),
        (SampleSpec(4, 2), SampleSpec(9, 7), {"guidance": 1.0}),
        (SampleSpec(4, 2), SampleSpec(9, 7), {"guidance_interval": "0.3:1"}),
    ],
)
def test_both_ends_are_the_samples_themselves_and_the_images_between_change_gradually(model, start, end, changes):
    settings = SampleSettings(**{"steps": 6, **changes})
    images = finish(interpolate(model, start, end, 13, settings))
    assert images.shape == (13, 28, 28)
    alone = [image.pixels for image in collect(sample(model, [start, end], settings))]
    assert np.abs(images[[0, -1]].astype(int) - np.array(alone).astype(int)).max() <= 1
    if settings.guidance == 0 and start.seed == end.seed:
        return  # without labels and with one noise there is nothing to change
    whole = np.abs(images[0].astype(float) - images[-1]).mean()
    steps = np.abs(np.diff(images.astype(float), axis=0)).mean(axis=(1, 2))
    assert steps.max() < 0.75 * whole


def test_each_step_is_one_evaluation(model):
    events = list(interpolate(model, SampleSpec(1, 0), SampleSpec(2, 0), 3, SampleSettings(steps=4)))
    assert [(event.done, event.total) for event in events] == [(1, 4), (2, 4), (3, 4), (4, 4)]
