import numpy as np
import pytest
import torch

from mnistdiff.engine.data.transforms import from_uint8, to_model_range, to_uint8, to_unit_range
from mnistdiff.errors import DivergedError

LEVELS = np.arange(256, dtype=np.uint8)


def test_grey_levels_become_floats_and_back():
    images = from_uint8(LEVELS)
    assert images.dtype == np.float32
    assert (images[0], images[-1]) == (-1, 1)
    assert np.all(np.diff(images) > 0)
    np.testing.assert_array_equal(to_uint8(images), LEVELS)


@pytest.mark.parametrize("offset", [-0.49, 0.49])
def test_a_value_becomes_the_nearest_level(offset):
    inner = LEVELS[1:-1]
    images = (inner + offset) / 127.5 - 1
    np.testing.assert_array_equal(to_uint8(images.astype(np.float32)), inner)


def test_values_outside_are_clipped():
    images = np.array([-3.4e38, -1.01, 1.01, 3.4e38], dtype=np.float32)
    np.testing.assert_array_equal(to_uint8(images), [0, 0, 255, 255])


@pytest.mark.parametrize("shape", [(), (0, 28, 28), (28, 28), (2, 3, 1, 28, 28)])
def test_any_shape_is_kept(shape):
    levels = to_uint8(np.zeros(shape, dtype=np.float32))
    assert levels.shape == shape
    assert levels.dtype == np.uint8


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite_is_refused(value):
    images = np.zeros((4, 28, 28), dtype=np.float32)
    images[3, 27, 27] = value
    with pytest.raises(DivergedError, match="a sampled image is not finite"):
        to_uint8(images)


@pytest.mark.parametrize(("convert", "low", "high"), [(to_model_range, -1, 1), (to_unit_range, 0, 1)])
def test_networks_get_the_range_with_a_channel(convert, low, high):
    images = convert(LEVELS.reshape(4, 8, 8))
    assert (images.shape, images.dtype) == ((4, 1, 8, 8), np.float32)
    np.testing.assert_allclose(images.ravel(), np.linspace(low, high, 256), atol=1e-6)
    # A stride of 0 for the channel would keep torch from the channels-last layout.
    assert torch.from_numpy(images).stride() == (64, 64, 8, 1)
