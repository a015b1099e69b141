import io

import numpy as np
import pytest
from PIL import Image

from mnistdiff.engine.outputs.png import encode_png, from_uint8, to_uint8
from mnistdiff.errors import DivergedError

LEVELS = np.arange(256, dtype=np.uint8)


def noise(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def test_levels_survive_the_way_to_floats_and_back():
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


@pytest.mark.parametrize(("shape", "mode"), [((28, 20), "L"), ((28, 20, 3), "RGB"), ((1, 1), "L")])
def test_a_png_holds_the_pixels_and_the_text(shape, mode):
    image = noise(*shape)
    text = {"seed": "7", "model": "größer", "note": "ε-prediction\nsecond line", "empty": ""}
    with Image.open(io.BytesIO(encode_png(image, text))) as picture:
        assert (picture.format, picture.mode) == ("PNG", mode)
        np.testing.assert_array_equal(np.asarray(picture), image)
        assert picture.text == text


def test_the_same_picture_gives_the_same_bytes():
    image = noise(28, 28)
    assert encode_png(image, {"seed": "7"}) == encode_png(image.copy(), {"seed": "7"})
    assert encode_png(image, {"seed": "7"}) != encode_png(image, {"seed": "8"})
    with Image.open(io.BytesIO(encode_png(image))) as picture:
        assert picture.info == {}


def test_a_view_is_written_as_it_looks():
    image = noise(40, 60)[::2, ::-3]
    with Image.open(io.BytesIO(encode_png(image))) as picture:
        np.testing.assert_array_equal(np.asarray(picture), image)
