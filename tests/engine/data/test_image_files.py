"""Pictures of users: read whatever their dress, and refused by their head if they are bombs."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mnistdiff.engine.data import image_files
from mnistdiff.engine.data.image_files import MAX_SIDE, PHOTOGRAPHS, Picture
from mnistdiff.engine.outputs.png import encode_png
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


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "is empty"),
        (b"seven", "is not a PNG picture"),
        (b"\x89PNG\r\n\x1a\n", "is damaged"),
        (encode_png(noise(28, 28))[:200], "is damaged"),
    ],
)
def test_what_is_not_a_whole_picture_is_refused(tmp_path, content, expected):
    path = tmp_path / "seven.png"
    path.write_bytes(content)
    with pytest.raises(StorageError, match=f"seven.png .*{expected}"):
        levels_of(path)


def test_another_format_is_refused_whatever_its_name(tmp_path):
    path = saved(Image.new("L", (28, 28)), tmp_path / "photo.png", format="JPEG")
    with pytest.raises(StorageError, match=r"photo.png is a JPEG picture, not a PNG picture"):
        levels_of(path)


@pytest.mark.parametrize("size", [(2**20 + 1, 1), (1, 2**20 + 1), (12_000, 12_000), (60_000, 60_000)])
def test_a_bomb_is_refused_by_its_header(tmp_path, size):
    path = tmp_path / "bomb.png"
    path.write_bytes(with_size(encode_png(noise(28, 28)), *size))
    with pytest.raises(StorageError, match=rf"bomb.png .*{size[0]:,}x{size[1]:,} pixels"):
        levels_of(path)


def test_a_sheet_is_read_as_it_is_and_a_large_photograph_reduced(tmp_path):
    path = tmp_path / "wide.png"
    path.write_bytes(encode_png(noise(4, MAX_SIDE)))
    for read in (Picture.grey_levels, Picture.photograph):
        np.testing.assert_array_equal(read(Picture.read(path)), noise(4, MAX_SIDE))
    wide = noise(4, 3 * MAX_SIDE)
    path.write_bytes(encode_png(wide))
    np.testing.assert_array_equal(levels_of(path), wide)
    picture = Picture.read(path)
    assert picture.photograph().shape == (2, MAX_SIDE)
    # Each pixel is the mean of those that it stands for.
    np.testing.assert_allclose(picture.photograph()[0], wide[:3].reshape(3, MAX_SIDE, 3).mean(axis=(0, 2)), atol=1)
    assert picture.shape() == picture.shape_on_sheet() == wide.shape


@pytest.mark.parametrize(
    ("kind", "orientations"), [("JPEG", (1, 3, 6, 8)), ("PNG", (6,)), ("WEBP", (6,)), ("TIFF", (6,))]
)
def test_a_photograph_of_a_phone_is_read_in_every_orientation(kind, orientations):
    """24 million pixels, dark in one corner: which, its EXIF orientation decides."""
    photo = Image.new("RGB", (6000, 4000), (200, 220, 210))
    photo.paste((10, 20, 30), (0, 0, 1500, 1000))
    quick = {"PNG": {"compress_level": 1}, "JPEG": {"quality": 60}, "WEBP": {"lossless": True, "method": 0}}
    corners = {1: (0, 0), 3: (-1, -1), 6: (0, -1), 8: (-1, 0)}
    for orientation in orientations:
        exif = Image.Exif()
        exif[0x0112] = orientation
        file = io.BytesIO()
        photo.save(file, kind, exif=exif, **quick.get(kind, {}))
        levels = Picture("photo", file.getvalue()).photograph()
        assert levels.shape == ((2000, 3000) if orientation < 5 else (3000, 2000))
        dark = levels < 100
        assert dark[corners[orientation]]
        assert dark.mean() == pytest.approx(1 / 16, abs=0.01)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP"])
def test_a_photograph_may_be_of_any_usual_kind_whatever_its_name(tmp_path, kind):
    image = noise(28, 20) // 2 * 2
    path = saved(
        Image.fromarray(image),
        tmp_path / "photo.jpg",
        format=kind,
        **({"lossless": True} if kind == "WEBP" else {"quality": 100} if kind == "JPEG" else {}),
    )
    np.testing.assert_allclose(Picture.read(path).photograph(), image, atol=12 if kind == "JPEG" else 1)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "a HEIC photo"),
        (b"\0\0\0\x1cftypavif\0\0\0\0", "an AVIF picture"),
        (b"%PDF-1.7\n", "a PDF document"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "a PostScript document"),
        (b"\xef\xbb\xbf<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'>", "an SVG drawing"),
        (b"\n<!DOCTYPE HTML><title>404</title>", "a web page"),
        (b"II*\0\x10\0\0\0CR\x02\0", "a raw photo"),
        (b"\0\0\1\0\1\0", "an icon"),
    ],
)
def test_what_is_not_read_is_called_by_its_name(content, expected):
    with pytest.raises(
        StorageError, match=rf"photo.jpg is {expected}.*, not a PNG, JPEG, WebP, GIF, TIFF or BMP picture"
    ):
        Picture("photo.jpg", content).photograph()


def test_a_photograph_is_read_where_photographs_are_expected_and_stands_upright(tmp_path):
    upright = np.zeros((40, 20), np.uint8)
    upright[:10] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # held on its side: turn clockwise by a quarter
    path = saved(Image.fromarray(np.rot90(upright)), tmp_path / "photo.jpg", exif=exif, quality=95)
    np.testing.assert_allclose(levels_of(path, PHOTOGRAPHS), upright, atol=40)
    with pytest.raises(StorageError, match="photo.jpg is a JPEG picture"):
        levels_of(path)
    path.write_bytes(b"GIF89a")
    with pytest.raises(StorageError, match="photo.jpg begins as a GIF picture, but is damaged"):
        levels_of(path, PHOTOGRAPHS)


def test_a_pipe_without_end_is_left(monkeypatch):
    monkeypatch.setattr(image_files, "_MAX_BYTES", 1 << 20)
    with open("/dev/zero", "rb") as endless, pytest.raises(StorageError, match="stdin is larger than 1 MiB"):
        Picture.receive("stdin", endless)
    with pytest.raises(StorageError, match="/dev/zero is not a file"):
        Picture.read(Path("/dev/zero"))
    assert Picture.receive("stdin", io.BytesIO(b"1")) == Picture("stdin", b"1")
