"""Sampling on a GPU: the same pixels for any batch size, for little memory, and as on the CPU."""

import numpy as np
import pytest

from mnistdiff.engine.checkpoint.pretrained import PRETRAINED
from mnistdiff.engine.inference.model import load_model
from mnistdiff.engine.inference.sampling import batch_size_for, sample, specs_for_labels
from mnistdiff.errors import OutOfMemoryError

SPECS = specs_for_labels(range(10), 13, 5)


@pytest.fixture
def model(gpu):
    return load_model(PRETRAINED, weights="ema", device="cuda")


def pixels(model, specs=SPECS, **options):
    settings = model.sample_settings(steps=10)
    found = [image for progress in sample(model, specs, settings, **options) for image in progress.results]
    return np.stack([image.pixels for image in found]).astype(int)


def test_images_do_not_depend_on_the_batch_size(model):
    together = pixels(model)
    assert batch_size_for(model) > len(SPECS)
    for batch_size in (64, 7):
        assert np.abs(pixels(model, batch_size=batch_size) - together).max() <= 1
    assert np.abs(pixels(model, SPECS[:3], batch_size=1) - together[:3]).max() <= 1


def test_the_same_request_gives_the_same_pixels(model):
    assert np.array_equal(pixels(model), pixels(model))


def test_images_are_those_of_the_cpu(model):
    on_cpu = load_model(PRETRAINED, weights="ema", device="cpu", backend="torch")
    assert np.abs(pixels(model, SPECS[:20]) - pixels(on_cpu, SPECS[:20])).max() <= 1


def test_a_batch_that_does_not_fit_is_halved(model, little_memory):
    many = specs_for_labels(range(10), 100, 5)
    expected, calls = pixels(model, many), []
    denoiser = model.denoiser

    class Watched:
        def __call__(self, x_t, t, labels):
            try:
                found = denoiser(x_t, t, labels)
            except OutOfMemoryError:
                calls.append((len(x_t), False))
                raise
            calls.append((len(x_t), True))
            return found

    object.__setattr__(model, "denoiser", Watched())
    with little_memory(256):
        found = pixels(model, many)
    assert np.abs(found - expected).max() <= 1
    assert calls[0] == (2 * len(many), False)  # with and without labels
    assert calls[-1][1]
