"""WebP files: the chunks that pixels depend on."""

import struct
from collections.abc import Iterator

from mnistdiff.engine.data.decoding.pixels import UPRIGHT, DamagedError, Pixels, orientation

_HEADER_BYTES = 12
_METADATA_FLAGS = 0x20 | 0x08 | 0x04
"""Of the extended header: a colour profile, EXIF and XMP follow."""
_DROPPED = {b"ICCP", b"EXIF", b"XMP "}


def pixels_of(content: bytes) -> Pixels:
    """A WebP file reduced to its pixels.

    Raises:
        DamagedError: if it does not follow the format.
    """
    parts: list[bytes] = []
    upright, size = UPRIGHT, (0, 0)
    for kind, data in _chunks(content):
        if kind == b"EXIF":
            upright = orientation(data.removeprefix(b"Exif\0\0"))
        if kind in _DROPPED:
            continue
        if not parts:
            size = _size(kind, data)
        kept = bytes([data[0] & ~_METADATA_FLAGS]) + data[1:] if kind == b"VP8X" else data
        parts.append(kind + struct.pack("<I", len(kept)) + kept + bytes(len(kept) % 2))
    body = b"WEBP" + b"".join(parts)
    if not parts:
        raise DamagedError("it holds no picture")
    # The decoder holds a canvas in addition to the picture: measured, 14 bytes a pixel in all, 340 MB for the largest
    # picture that is accepted.
    extra = 4 * size[0] * size[1]
    return Pixels(b"RIFF" + struct.pack("<I", len(body)) + body, *size, orientation=upright, extra_bytes=extra)


def _size(kind: bytes, data: bytes) -> tuple[int, int]:
    """Width and height, from the first chunk."""
    if kind == b"VP8X" and len(data) >= 10:
        return 1 + int.from_bytes(data[4:7], "little"), 1 + int.from_bytes(data[7:10], "little")
    if kind == b"VP8 " and len(data) >= 10:
        width, height = struct.unpack_from("<HH", data, 6)
        return width & 0x3FFF, height & 0x3FFF
    if kind == b"VP8L" and len(data) >= 5:
        bits = int.from_bytes(data[1:5], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    raise DamagedError("it has no header")


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and data of each chunk."""
    place = _HEADER_BYTES
    while place + 8 <= len(content):
        kind, length = struct.unpack_from("<4sI", content, place)
        if place + 8 + length > len(content):
            raise DamagedError("it ends before its pixels do")
        yield kind, content[place + 8 : place + 8 + length]
        place += 8 + length + length % 2
