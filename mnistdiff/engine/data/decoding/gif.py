"""GIF files: the blocks that pixels depend on, the number of frames, and the comment."""

import struct
from dataclasses import dataclass, field

from mnistdiff.engine.data.decoding.pixels import DamagedError, Pixels, TooLargeError

_HEADER_BYTES = 13
_EXTENSION, _IMAGE, _TRAILER = 0x21, 0x2C, 0x3B
_CONTROL, _COMMENT = 0xF9, 0xFE


@dataclass
class _Parser:
    """The state of parsing from block to block."""

    content: bytes
    place: int = _HEADER_BYTES
    width: int = 0
    height: int = 0
    parts: list[bytes] = field(default_factory=list)
    frames: int = 0
    comments: list[tuple[int, int]] = field(default_factory=list)
    """Offsets of the begin and end of the sub-blocks of each comment."""

    def sub_blocks(self) -> tuple[int, int]:
        """Skip a chain of sub-blocks; return the offsets of its begin and end."""
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
    parser = _parsed(content, first_only=not animated)
    if not parser.frames:
        raise DamagedError("it holds no picture")
    return Pixels(b"".join([*parser.parts, bytes([_TRAILER])]), parser.width, parser.height)


def frame_count(content: bytes) -> int:
    """The number of frames of a GIF file.

    Raises:
        DamagedError: as ``pixels_of``.
    """
    return _parsed(content).frames


def comment_of(content: bytes, *, at_most: int) -> str:
    """The comments of a GIF file, a line each.

    Raises:
        DamagedError: as ``pixels_of``.
        TooLargeError: if they are longer than ``at_most`` bytes.
    """
    parser = _parsed(content)
    if sum(end - start for start, end in parser.comments) > at_most:
        raise TooLargeError(f"its comment has more than {at_most:,} bytes")
    return "\n".join(_joined(content, start).decode(errors="replace") for start, _ in parser.comments)


def _joined(content: bytes, place: int) -> bytes:
    """The data of a chain of sub-blocks."""
    parts = []
    while length := content[place]:
        parts.append(content[place + 1 : place + 1 + length])
        place += 1 + length
    return b"".join(parts)


def _parsed(content: bytes, *, first_only: bool = False) -> _Parser:
    parser = _Parser(content)
    parser.byte(_HEADER_BYTES - 1)
    parser.width, parser.height, flags = struct.unpack_from("<HHB", content, 6)
    parser.place += _table_bytes(flags)
    parser.parts.append(content[: parser.place])
    while not (first_only and parser.frames) and parser.place < len(content):
        start, kind = parser.place, content[parser.place]
        parser.place += 1
        if kind == _TRAILER:
            break
        if kind == _EXTENSION:
            _pass_extension(parser, start)
        elif kind == _IMAGE:
            _pass_frame(parser, start)
        elif kind:  # zeros between blocks are common
            raise DamagedError("it has a block of an unknown kind")
    return parser


def _pass_extension(parser: _Parser, start: int) -> None:
    kind = parser.byte(parser.place)
    parser.place += 1
    first, end = parser.sub_blocks()
    if kind == _COMMENT:
        parser.comments.append((first, end))
    elif kind == _CONTROL:  # duration of a frame, and its transparent colour
        parser.parts.append(parser.content[start:end])


def _pass_frame(parser: _Parser, start: int) -> None:
    parser.byte(parser.place + 8)
    left, top, width, height, flags = struct.unpack_from("<HHHHB", parser.content, parser.place)
    if not parser.frames:  # some writers leave the size of the whole at 0
        parser.width, parser.height = max(parser.width, left + width), max(parser.height, top + height)
    elif left + width > parser.width or top + height > parser.height:
        raise DamagedError(f"its frame {parser.frames + 1} is larger than the picture")
    parser.place += 9 + _table_bytes(flags) + 1  # and the initial code size
    parser.sub_blocks()
    parser.parts.append(parser.content[start : parser.place])
    parser.frames += 1


def _table_bytes(flags: int) -> int:
    """Of the colours that follow a header with these flags."""
    return 3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0
