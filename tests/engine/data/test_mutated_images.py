"""Pictures changed at random are read or refused in one sentence; no metadata hides whole pixels from a user."""

import io
import random
import struct
import time
import zlib

import numpy as np
import pytest
from mutations import exif_blocks, mutated, picture_files, saved, scene
from PIL import Image

from mnistdiff.engine.data.image_files import Picture
from mnistdiff.errors import StorageError

FEW, MANY = 120, 100_000
SECONDS = 5


def with_exif(kind: str, block: bytes) -> bytes:
    """The scene as a file with this EXIF block."""
    if kind == "PNG":
        chunk = b"eXIf" + block
        plain = saved(scene(), "PNG")
        return plain[:33] + struct.pack(">I", len(block)) + chunk + struct.pack(">I", zlib.crc32(chunk)) + plain[33:]
    if kind == "JPEG":
        plain = saved(scene(), "JPEG", quality=100)
        return plain[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 8) + b"Exif\0\0" + block + plain[2:]
    return saved(scene(), "WEBP", lossless=True, exif=block)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WebP"])
@pytest.mark.parametrize("trials", [FEW, pytest.param(MANY, marks=pytest.mark.soak)])
def test_no_exif_block_hides_the_pixels(capfd, kind, trials):
    """Whatever it says, the picture is one of the eight in which it can be turned."""
    source, blocks = random.Random(trials), exif_blocks()
    lying = np.asarray(Image.open(io.BytesIO(with_exif(kind, b""))).convert("L"))
    turned = [np.rot90(side, k) for side in (lying, lying.T) for k in range(4)]
    for _ in range(trials):
        block = mutated(source.choice(blocks), source)
        levels = Picture("seven", with_exif(kind, block)).photograph()
        assert any(np.array_equal(levels, way) for way in turned), block
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WebP", "TIFF", "BMP"])
@pytest.mark.parametrize("trials", [FEW, pytest.param(MANY // 10, marks=pytest.mark.soak)])
def test_a_file_changed_at_random_is_read_or_refused(capfd, kind, trials):
    source, files = random.Random(trials), picture_files()[kind]
    uses = (Picture.photograph, lambda picture: picture.text("mnistdiff"), lambda same: same.shows_the_same_as(same))
    read, refused = 0, set()
    for _ in range(trials):
        picture = Picture("seven", mutated(source.choice(files), source))
        began = time.monotonic()
        for use in uses:
            try:
                use(picture)
            except StorageError as error:
                refused.add(error.message)
            else:
                read += 1
        assert time.monotonic() - began < SECONDS
    assert read > trials / 10
    assert all(message.count("seven") == 1 for message in refused)
    assert capfd.readouterr() == ("", "")
