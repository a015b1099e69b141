"""GIF files: the blocks that pixels depend on, the number of frames, and the comment."""

import struct
from dataclasses import dataclass, field

from mnistdiff.engine.data.decoding.pixels import DamagedError, Pixels, TooLargeError

_HEADER_BYTES = 13
_EXTENSION, _IMAGE, _TRAILER = 0x21, 0x2C, 0x3B
_CONTROL, _COMMENT = 0xF9, 0xFE


@dataclass
class _Walk:
    """The state of parsing from block to block."""

    content: bytes
    place: int = _HEADER_BYTES
    width: int = 0
    height: int = 0
    parts: list[bytes] = field(default_factory=list)
    frames: int = 0
    comments: list[tuple[int, int]] = field(default_factory=list)
    """Where the sub-blocks of each comment begin and end."""

    def sub_blocks(self) -> tuple[int, int]:
        """Pass a chain of sub-blocks, and return where it begins and ends."""
        start = self.place
        while length := self.byte(self.place):
            self.place += 1 + length
        self.place += 1
        return start, self.place

    def byte(self, place: int) -> int:
        if place >= len(self.content):
            raise DamagedError("it ends before its pixels do")
        return self.content[place]


def pixels_of(content: bytes, *, animated: bool = False) -> Pixels:
    """A GIF file reduced to its pixels: the first frame, or all of them.

    Raises:
        DamagedError: if it does not follow the format, has no frame, or one that is not within the picture.
    """
    walk = _walked(content, first_only=not animated)
    if not walk.frames:
        raise DamagedError("it holds no picture")
    return Pixels(b"".join([*walk.parts, bytes([_TRAILER])]), walk.width, walk.height)


def frame_count(content: bytes) -> int:
    """How many frames a GIF file has.

    Raises:
        DamagedError: as ``pixels_of``.
    """
    return _walked(content).frames


def comment_of(content: bytes, *, at_most: int) -> str:
    """The comments of a GIF file, a line each.

    Raises:
        DamagedError: as ``pixels_of``.
        TooLargeError: if they are longer than ``at_most`` bytes.
    """
    walk = _walked(content)
    if sum(end - start for start, end in walk.comments) > at_most:
        raise TooLargeError(f"its comment has more than {at_most:,} bytes")
    return "\n".join(_joined(content, start).decode(errors="replace") for start, _ in walk.comments)


def _joined(content: bytes, place: int) -> bytes:
    """The data of a chain of sub-blocks."""
    parts = []
    while length := content[place]:
        parts.append(content[place + 1 : place + 1 + length])
        place += 1 + length
    return b"".join(parts)


def _walked(content: bytes, *, first_only: bool = False) -> _Walk:
    walk = _Walk(content)
    walk.byte(_HEADER_BYTES - 1)
    walk.width, walk.height, flags = struct.unpack_from("<HHB", content, 6)
    walk.place += _table_bytes(flags)
    walk.parts.append(content[: walk.place])
    while not (first_only and walk.frames) and walk.place < len(content):
        start, kind = walk.place, content[walk.place]
        walk.place += 1
        if kind == _TRAILER:
            break
        if kind == _EXTENSION:
            _pass_extension(walk, start)
        elif kind == _IMAGE:
            _pass_frame(walk, start)
        elif kind:  # zeros between blocks are common
            raise DamagedError("it has a block of an unknown kind")
    return walk


def _pass_extension(walk: _Walk, start: int) -> None:
    kind = walk.byte(walk.place)
    walk.place += 1
    first, end = walk.sub_blocks()
    if kind == _COMMENT:
        walk.comments.append((first, end))
    elif kind == _CONTROL:  # duration of a frame, and its transparent colour
        walk.parts.append(walk.content[start:end])


def _pass_frame(walk: _Walk, start: int) -> None:
    walk.byte(walk.place + 8)
    left, top, width, height, flags = struct.unpack_from("<HHHHB", walk.content, walk.place)
    if not walk.frames:  # some writers leave the size of the whole at 0
        walk.width, walk.height = max(walk.width, left + width), max(walk.height, top + height)
    elif left + width > walk.width or top + height > walk.height:
        raise DamagedError(f"its frame {walk.frames + 1} is larger than the picture")
    walk.place += 9 + _table_bytes(flags) + 1  # and the initial code size
    walk.sub_blocks()
    walk.parts.append(walk.content[start : walk.place])
    walk.frames += 1


def _table_bytes(flags: int) -> int:
    """Of the colours that follow a header with these flags."""
    return 3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0
