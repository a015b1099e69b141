import io

import numpy as np
import pytest
from PIL import Image

from mnistdiff.engine.outputs.png import encode_png


def noise(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


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
