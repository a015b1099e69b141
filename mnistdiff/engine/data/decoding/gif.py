"""GIF files: the blocks that pixels depend on, and the comment."""

import struct
from collections.abc import Iterator

from mnistdiff.engine.data.decoding.pixels import DamagedError, Pixels, TooLargeError

_HEADER_BYTES = 13
_HEADER, _IMAGE, _TRAILER, _EXTENSION = b"GIF", b"\x2c", b"\x3b", b"\x21"
_CONTROL, _COMMENT = b"\x21\xf9", b"\x21\xfe"
"""Extensions: the duration and the transparent colour of a frame, and a text."""


def pixels_of(content: bytes, *, animated: bool = False) -> Pixels:
    """A GIF file reduced to its pixels: the first frame, or all of them.

    Raises:
        DamagedError: if it does not follow the format, has no frame, or one that is not within the picture.
    """
    parts, frames, width, height = [], 0, 0, 0
    for kind, start, end in _blocks(content):
        if kind == _HEADER:
            width, height = struct.unpack_from("<HH", content, 6)
        elif kind == _IMAGE:
            left, top, frame_width, frame_height = struct.unpack_from("<HHHH", content, start + 1)
            right, bottom = left + frame_width, top + frame_height
            if not frames:  # some writers leave the size of the whole at 0
                width, height = max(width, right), max(height, bottom)
            elif right > width or bottom > height:
                raise DamagedError(f"its frame {frames + 1} is larger than the picture")
            frames += 1
        if kind in {_HEADER, _IMAGE, _CONTROL}:
            parts.append(content[start:end])
        if frames and not animated:
            break
    if not frames:
        raise DamagedError("it holds no picture")
    return Pixels(b"".join([*parts, _TRAILER]), width, height)


def comment_of(content: bytes, *, at_most: int) -> str:
    """The comments of a GIF file, a line each.

    Raises:
        DamagedError: if it does not follow the format.
        TooLargeError: if they are longer than ``at_most`` bytes.
    """
    places = [(start + len(_COMMENT), end) for kind, start, end in _blocks(content) if kind == _COMMENT]
    if sum(end - start for start, end in places) > at_most:
        raise TooLargeError(f"its comment has more than {at_most:,} bytes")
    return "\n".join(_joined(content, start).decode(errors="replace") for start, _ in places)


def _joined(content: bytes, place: int) -> bytes:
    """The data of a chain of sub-blocks."""
    parts = []
    while length := content[place]:
        parts.append(content[place + 1 : place + 1 + length])
        place += 1 + length
    return b"".join(parts)


def _blocks(content: bytes) -> Iterator[tuple[bytes, int, int]]:
    """The header and each block: its kind, and the offsets of its begin and end."""
    try:
        place = _HEADER_BYTES + _table_bytes(content[_HEADER_BYTES - 3])
        yield _HEADER, 0, place
        while place < len(content):
            start, kind = place, content[place : place + 1]
            if kind == _TRAILER:
                return
            if kind == _EXTENSION:
                kind = content[start : start + 2]
                place += 2
            elif kind == _IMAGE:
                place += 11 + _table_bytes(content[start + 9])  # with the initial code size
            elif kind == b"\0":  # zeros between blocks are common
                place += 1
                continue
            else:
                raise DamagedError("it has a block of an unknown kind")
            while length := content[place]:
                place += 1 + length
            place += 1
            yield kind, start, place
    except IndexError as error:
        raise DamagedError("it ends before its pixels do") from error


def _table_bytes(flags: int) -> int:
    """Of the colours that follow a header with these flags."""
    return 3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0
