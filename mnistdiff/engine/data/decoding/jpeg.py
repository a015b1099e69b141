"""JPEG files: the segments that pixels depend on, and what decoding them costs."""

import re
import struct
from typing import NamedTuple

from mnistdiff.engine.data.decoding.pixels import UPRIGHT, DamagedError, Pixels, orientation

_START, _END = b"\xff\xd8", b"\xff\xd9"
_MARKER = re.compile(rb"\xff+([\x01-\xfe])", re.DOTALL)
_AFTER_SCAN = re.compile(rb"\xff+[\x01-\xcf\xd8-\xfe]", re.DOTALL)
"""What ends the coded data of a scan: a marker that is neither a stuffed byte nor a restart."""
_ALONE = {0x01, *range(0xD0, 0xD9)}
"""Markers that no length follows."""
_EOI, _SOS, _APP0, _APP1, _APP14 = 0xD9, 0xDA, 0xE0, 0xE1, 0xEE
_TABLES = {0xC4, 0xCC, 0xDB, 0xDD}
"""DHT, DAC, DQT, DRI."""
_FRAMES = {0xC0, 0xC1, 0xC2, 0xC3, 0xC9, 0xCA}
_PROGRESSIVE = {0xC2, 0xCA}
_JFIF = b"\xff\xe0\x00\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0"
_EXIF = b"Exif\0\0"


class _Frame(NamedTuple):
    """The header of the picture."""

    width: int
    height: int
    samples: float
    """Of all components, per pixel: 3 in full colour, 1.5 where colours have half the resolution each way."""
    is_progressive: bool


def pixels_of(content: bytes) -> Pixels:
    """A JPEG file reduced to its pixels, up to the end of its first picture: cameras append previews and videos.

    Raises:
        DamagedError: if it does not follow the format, or has no picture.
    """
    parts, scans, upright, place = [_START], 0, UPRIGHT, len(_START)
    frame: _Frame | None = None
    while marker := _MARKER.search(content, place):
        kind, place = marker[1][0], marker.end()
        if kind == _EOI:
            break
        if kind in _ALONE:
            continue
        data, segment = _segment(content, kind, place)
        place += 2 + len(data)
        if kind == _APP0 and data.startswith(b"JFIF\0"):
            parts.append(_JFIF)  # its presence determines the colour space
        elif kind == _APP1 and data.startswith(_EXIF):
            upright = orientation(data.removeprefix(_EXIF))
        elif kind in _TABLES or (kind == _APP14 and data.startswith(b"Adobe") and len(data) >= 12):
            parts.append(segment)
        elif kind in _FRAMES and frame is None:
            frame = _frame(data, is_progressive=kind in _PROGRESSIVE)
            parts.append(segment)
        elif kind == _SOS:
            scans += 1
            end = after.start() if (after := _AFTER_SCAN.search(content, place)) else len(content)
            parts += [segment, content[place:end]]
            place = end
    else:
        scans = -scans  # no end marker
    if frame is None or scans <= 0:
        raise DamagedError("it ends before its pixels do" if frame else "it holds no picture")
    # What is not decoded in one pass is held in memory as coefficients of two bytes.
    held = frame.is_progressive or scans > 1
    size = frame.width * frame.height
    return Pixels(
        b"".join([*parts, _END]),
        frame.width,
        frame.height,
        orientation=upright,
        extra_bytes=round(2 * frame.samples * size) if held else 0,
        passes=scans + 1 if held else 1,
    )


def _segment(content: bytes, kind: int, place: int) -> tuple[bytes, bytes]:
    """The data of the segment whose length stands at ``place``, and the segment as a whole."""
    length = int.from_bytes(content[place : place + 2], "big")
    if length < 2 or place + length > len(content):
        raise DamagedError("it ends before its pixels do")
    return content[place + 2 : place + length], bytes([0xFF, kind]) + content[place : place + length]


def _frame(data: bytes, *, is_progressive: bool) -> _Frame:
    try:
        _, height, width, count = struct.unpack_from(">BHHB", data)
        factors = [divmod(data[6 + 3 * number + 1], 16) for number in range(count)]
    except (struct.error, IndexError) as error:
        raise DamagedError("its header is too short") from error
    if not count or not all(across and down for across, down in factors):
        raise DamagedError("its header names no colours")
    largest = max(across for across, _ in factors) * max(down for _, down in factors)
    samples = sum(across * down for across, down in factors) / largest
    return _Frame(width, height, samples, is_progressive)
