"""Sampling processes that start from an image."""

import numpy as np
import pytest

from mnistdiff.engine.checkpoint.pretrained import PRETRAINED
from mnistdiff.engine.inference.editing import HALVES, RePaint, SDEdit, half
from mnistdiff.engine.inference.model import load_model
from mnistdiff.engine.inference.process import FROM_NOISE
from mnistdiff.engine.inference.sampling import SampleSpec, sample, specs_for_labels
from mnistdiff.errors import SettingsError
from mnistdiff.sample_settings import SampleSettings

SAMPLERS = [("dpmpp_2m", 0.0), ("ddim", 0.5), ("ddpm", 0.0)]


@pytest.fixture(scope="module")
def model():
    return load_model(PRETRAINED, weights="ema", device="cpu")


@pytest.fixture(scope="module")
def nine(model):
    return sampled(model, [SampleSpec(9, 3)], SampleSettings())[0]


def sampled(model, specs, settings, process=FROM_NOISE, **options):
    events = list(sample(model, specs, settings, process=process, **options))
    assert [event.done for event in events] == list(range(1, events[-1].total + 1))
    return np.stack([image.pixels for event in events for image in event.results])


def distance(a, b):
    return float(np.abs(a.astype(float) - b).mean())


@pytest.mark.parametrize(("sampler", "eta"), SAMPLERS)
def test_the_stronger_the_edit_the_less_is_left_of_the_image(model, nine, sampler, eta):
    settings = SampleSettings(sampler=sampler, eta=eta, steps=6)
    specs = specs_for_labels(range(10), 1, 1)
    edits = [sampled(model, specs, settings, SDEdit(image=nine, strength=s)) for s in (0.05, 0.5, 0.8, 1.0)]
    distances = [distance(images, nine) for images in edits]
    assert distances == sorted(distances)
    assert distances[0] < 4
    assert distances[-1] > 20


def test_at_full_strength_nothing_is_left_of_it(model, nine):
    """Cosine betas leave nothing of an image in x_T, so this is what sample draws."""
    specs, settings = specs_for_labels([2, 7], 2, 5), SampleSettings(steps=5)
    assert (
        distance(sampled(model, specs, settings, SDEdit(image=nine, strength=1)), sampled(model, specs, settings)) < 1
    )


@pytest.mark.parametrize(
    ("strength", "steps", "evaluations"), [(1, 10, 10), (0.5, 10, 10), (0.01, 10, 5), (0.0001, 10, 1), (0.6, 1, 1)]
)
def test_steps_are_evaluations_as_far_as_there_are_timesteps(model, nine, strength, steps, evaluations):
    settings = SampleSettings(steps=steps)
    assert (
        len(list(sample(model, [SampleSpec(4, 0)], settings, process=SDEdit(image=nine, strength=strength))))
        == evaluations
    )


@pytest.mark.parametrize("side", HALVES)
def test_inpainting_keeps_the_known_part_to_the_bit_and_samples_the_rest(model, nine, side):
    missing = half(side, 28)
    process = RePaint(image=nine, missing=missing, resample_steps=2)
    images = sampled(model, specs_for_labels([9, 4], 2, 7), SampleSettings(steps=4), process)
    assert (images[:, ~missing] == nine[~missing]).all()
    assert all(image[missing].max() > 100 for image in images)
    assert len({image.tobytes() for image in images}) == 4
    # What is hidden is not looked at.
    hidden = RePaint(image=np.where(missing, 77, nine).astype(np.uint8), missing=process.missing, resample_steps=2)
    assert np.array_equal(sampled(model, specs_for_labels([9, 4], 2, 7), SampleSettings(steps=4), hidden), images)


def test_the_four_halves_are_halves():
    assert all(half(side, 28).sum() == 28 * 14 for side in HALVES)
    assert (half("left", 28) ^ half("right", 28)).all()
    assert (half("top", 28) ^ half("bottom", 28)).all()
    assert half("left", 28)[5, 0]
    assert half("top", 28)[0, 5]


@pytest.mark.parametrize("kind", ["edit", "inpaint"])
def test_an_image_does_not_depend_on_its_neighbours(model, nine, kind):
    process = SDEdit(image=nine, strength=0.8)
    if kind == "inpaint":
        process = RePaint(image=nine, missing=half("top", 28), resample_steps=3)
    specs, settings = specs_for_labels([3, 8], 3, 11), SampleSettings(steps=4, sampler="ddim", eta=1)
    together = sampled(model, specs, settings, process)
    assert np.array_equal(sampled(model, specs, settings, process, batch_size=4), together)
    for k, spec in enumerate(specs):
        assert np.array_equal(sampled(model, [spec], settings, process)[0], together[k])


@pytest.mark.parametrize(
    "make", [lambda i: SDEdit(image=i, strength=0.5), lambda i: RePaint(image=i, missing=i > 0, resample_steps=1)]
)
def test_more_steps_than_timesteps_are_refused(model, nine, make):
    with pytest.raises(SettingsError, match="`steps` 501"):
        next(sample(model, [SampleSpec(1, 1)], SampleSettings(steps=501), process=make(nine)))


@pytest.mark.parametrize("strength", [-1, 0, 1.01, float("nan")])
def test_a_strength_out_of_range_is_refused(nine, strength):
    with pytest.raises(SettingsError, match="`strength`"):
        SDEdit(image=nine, strength=strength)


@pytest.mark.parametrize("count", [0, 101])
def test_resample_steps_out_of_range_are_refused(nine, count):
    with pytest.raises(SettingsError, match="`resample_steps`"):
        RePaint(image=nine, missing=half("top", 28), resample_steps=count)
