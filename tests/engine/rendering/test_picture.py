"""Pictures of users: read whatever their dress, and refused by their head if they are bombs."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mnistdiff.engine.rendering import picture
from mnistdiff.engine.rendering.picture import MAX_SIDE, PHOTOGRAPHS, Picture
from mnistdiff.engine.rendering.png import encode_png
from mnistdiff.errors import StorageError


def noise(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def levels_of(path, *formats):
    return Picture.read(path).grey_levels(*formats)


def saved(picture, path: Path, **options) -> Path:
    picture.save(path, **options)
    return path


def with_size(png: bytes, width: int, height: int) -> bytes:
    """The same file claiming another size in its header, with a valid checksum."""
    header = b"IHDR" + struct.pack(">II", width, height) + png[24:29]
    return png[:12] + header + struct.pack(">I", zlib.crc32(header)) + png[33:]


def test_what_was_written_is_read(tmp_path):
    image = noise(28, 20)
    path = tmp_path / "digit.png"
    path.write_bytes(encode_png(image, {"seed": "7"}))
    levels = levels_of(path)
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
        saved(grey.convert("P"), tmp_path / "palette.png"),
        saved(grey.convert("LA"), tmp_path / "opaque.png"),
        saved(Image.fromarray(noise(28, 20).astype(np.uint16) * 256 + 17), tmp_path / "sixteen-bit.png"),
    ]
    for path in paths:
        np.testing.assert_array_equal(levels_of(path), noise(28, 20), err_msg=path.name)


def test_black_and_white_are_0_and_255(tmp_path):
    bits = noise(28, 20) > 127
    path = saved(Image.fromarray(bits), tmp_path / "bits.png")
    np.testing.assert_array_equal(levels_of(path), bits * np.uint8(255))


def test_colour_becomes_luminance(tmp_path):
    path = saved(Image.new("RGB", (2, 3), (255, 0, 0)), tmp_path / "red.png")
    np.testing.assert_array_equal(levels_of(path), np.full((3, 2), 76))  # 0.299 * 255, ITU-R 601


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(StorageError, match="missing.png: No such file"):
        levels_of(tmp_path / "missing.png")


def test_a_folder_is_no_picture(tmp_path):
    with pytest.raises(StorageError, match="Is a directory"):
        levels_of(tmp_path)


@pytest.mark.parametrize("content", [b"", b"seven", b"\x89PNG\r\n\x1a\n", encode_png(noise(28, 28))[:200]])
def test_what_is_not_a_whole_picture_is_refused(tmp_path, content):
    path = tmp_path / "seven.png"
    path.write_bytes(content)
    with pytest.raises(StorageError, match=r"seven.png is not a PNG picture, or is damaged"):
        levels_of(path)


def test_another_format_is_refused_whatever_its_name(tmp_path):
    path = saved(Image.new("L", (28, 28)), tmp_path / "photo.png", format="JPEG")
    with pytest.raises(StorageError, match=r"photo.png is not a PNG picture"):
        levels_of(path)


@pytest.mark.parametrize("size", [(MAX_SIDE + 1, 1), (1, MAX_SIDE + 1), (12_000, 12_000), (60_000, 60_000)])
def test_a_bomb_is_refused_by_its_header(tmp_path, size):
    path = tmp_path / "bomb.png"
    path.write_bytes(with_size(encode_png(noise(28, 28)), *size))
    with pytest.raises(StorageError, match=r"bomb.png is larger than 4096x4096 pixels"):
        levels_of(path)


def test_the_largest_side_is_still_read(tmp_path):
    path = tmp_path / "wide.png"
    path.write_bytes(encode_png(noise(1, MAX_SIDE)))
    assert levels_of(path).shape == (1, MAX_SIDE)


def test_a_photograph_is_read_where_photographs_are_expected_and_stands_upright(tmp_path):
    upright = np.zeros((40, 20), np.uint8)
    upright[:10] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # held on its side: turn clockwise by a quarter
    path = saved(Image.fromarray(np.rot90(upright)), tmp_path / "photo.jpg", exif=exif, quality=95)
    np.testing.assert_allclose(levels_of(path, PHOTOGRAPHS), upright, atol=40)
    with pytest.raises(StorageError, match="photo.jpg is not a PNG picture"):
        levels_of(path)
    path.write_bytes(b"GIF89a")
    with pytest.raises(StorageError, match="photo.jpg is not a PNG or JPEG picture"):
        levels_of(path, PHOTOGRAPHS)


def test_a_pipe_without_end_is_left(monkeypatch):
    monkeypatch.setattr(picture, "_MAX_BYTES", 1 << 20)
    with open("/dev/zero", "rb") as endless, pytest.raises(StorageError, match="stdin is larger than 1 MiB"):
        Picture.receive("stdin", endless)
    with pytest.raises(StorageError, match="/dev/zero is larger than 1 MiB"):
        Picture.read(Path("/dev/zero"))
    assert Picture.receive("stdin", io.BytesIO(b"1")) == Picture("stdin", b"1")
