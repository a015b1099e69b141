import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mnistdiff.engine.rendering.png import MAX_SIDE, encode_png, from_uint8, read_grey_png, to_uint8
from mnistdiff.errors import DivergedError, StorageError

LEVELS = np.arange(256, dtype=np.uint8)


def noise(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def saved(picture, path: Path, **options) -> Path:
    picture.save(path, **options)
    return path


def with_size(png: bytes, width: int, height: int) -> bytes:
    """The same file claiming another size in its header, with a valid checksum."""
    header = b"IHDR" + struct.pack(">II", width, height) + png[24:29]
    return png[:12] + header + struct.pack(">I", zlib.crc32(header)) + png[33:]


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


def test_what_was_written_is_read(tmp_path):
    image = noise(28, 20)
    path = tmp_path / "digit.png"
    path.write_bytes(encode_png(image, {"seed": "7"}))
    levels = read_grey_png(path)
    np.testing.assert_array_equal(levels, image)
    assert levels.dtype == np.uint8


def test_grey_in_any_dress_is_read_as_its_level(tmp_path):
    grey = Image.fromarray(noise(28, 20))
    colour = grey.convert("RGB")
    alpha = colour.copy()
    alpha.putalpha(9)
    paths = [
        saved(colour, tmp_path / "rgb.png"),
        saved(alpha, tmp_path / "rgba.png"),
        saved(grey, tmp_path / "transparent-level.png", transparency=3),
        saved(grey.convert("P"), tmp_path / "palette.png"),
        saved(grey.convert("P"), tmp_path / "transparent-palette.png", transparency=bytes(range(200))),
        saved(Image.fromarray(noise(28, 20).astype(np.uint16) * 256 + 17), tmp_path / "sixteen-bit.png"),
    ]
    for path in paths:
        np.testing.assert_array_equal(read_grey_png(path), noise(28, 20), err_msg=path.name)


def test_black_and_white_are_0_and_255(tmp_path):
    bits = noise(28, 20) > 127
    path = saved(Image.fromarray(bits), tmp_path / "bits.png")
    np.testing.assert_array_equal(read_grey_png(path), bits * np.uint8(255))


def test_colour_becomes_luminance(tmp_path):
    path = saved(Image.new("RGB", (2, 3), (255, 0, 0)), tmp_path / "red.png")
    np.testing.assert_array_equal(read_grey_png(path), np.full((3, 2), 76))  # 0.299 * 255, ITU-R 601


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(StorageError, match="missing.png: No such file"):
        read_grey_png(tmp_path / "missing.png")


def test_a_folder_is_no_picture(tmp_path):
    with pytest.raises(StorageError, match="Is a directory"):
        read_grey_png(tmp_path)


@pytest.mark.parametrize("content", [b"", b"seven", b"\x89PNG\r\n\x1a\n", encode_png(noise(28, 28))[:200]])
def test_what_is_not_a_whole_picture_is_refused(tmp_path, content):
    path = tmp_path / "seven.png"
    path.write_bytes(content)
    with pytest.raises(StorageError, match=r"seven.png is not a PNG picture, or is damaged"):
        read_grey_png(path)


def test_another_format_is_refused_whatever_its_name(tmp_path):
    path = saved(Image.new("L", (28, 28)), tmp_path / "photo.png", format="JPEG")
    with pytest.raises(StorageError, match=r"photo.png is not a PNG picture"):
        read_grey_png(path)


@pytest.mark.parametrize("size", [(MAX_SIDE + 1, 1), (1, MAX_SIDE + 1), (12_000, 12_000), (60_000, 60_000)])
def test_a_bomb_is_refused_by_its_header(tmp_path, size):
    path = tmp_path / "bomb.png"
    path.write_bytes(with_size(encode_png(noise(28, 28)), *size))
    with pytest.raises(StorageError, match=r"bomb.png is larger than 4096x4096 pixels"):
        read_grey_png(path)


def test_the_largest_side_is_still_read(tmp_path):
    path = tmp_path / "wide.png"
    path.write_bytes(encode_png(noise(1, MAX_SIDE)))
    assert read_grey_png(path).shape == (1, MAX_SIDE)
