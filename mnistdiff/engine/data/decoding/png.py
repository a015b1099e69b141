"""PNG files: the chunks that pixels depend on, and texts by keyword."""

import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from mnistdiff.engine.data.decoding.exif import orientation
from mnistdiff.engine.data.decoding.pixels import DamagedError, Pixels, TooLargeError

_SIGNATURE_BYTES = 8
_FRAME_BYTES = 12
"""Length, kind and checksum of a chunk."""
_END = b"\0\0\0\0IEND\xaeB`\x82"
_OF_PIXELS = {b"IHDR", b"PLTE", b"tRNS", b"IDAT"}
_OF_FRAMES = {b"acTL", b"fcTL", b"fdAT"}


class _Chunk(NamedTuple):
    kind: bytes
    start: int
    """Where its data begins."""
    length: int

    def data(self, content: bytes) -> bytes:
        return content[self.start : self.start + self.length]

    def whole(self, content: bytes) -> bytes:
        """With its length, kind and checksum."""
        return content[self.start - 8 : self.start + self.length + 4]


def pixels_of(content: bytes, *, animated: bool = False) -> Pixels:
    """A PNG file reduced to its pixels.

    Args:
        content: the file.
        animated: whether to keep the frames after the first, too.

    Raises:
        DamagedError: if there is no header.
    """
    kept = _OF_PIXELS | _OF_FRAMES if animated else _OF_PIXELS
    found = [chunk for chunk in _chunks(content) if chunk.kind in kept or chunk.kind == b"eXIf"]
    if not found or (found[0].kind, found[0].length) != (b"IHDR", 13):
        raise DamagedError("it has no header")
    width, height = struct.unpack_from(">II", content, found[0].start)
    metadata = next((chunk.data(content) for chunk in found if chunk.kind == b"eXIf"), b"")
    parts = [
        chunk.whole(content) for chunk in found if chunk.kind in kept and (chunk.kind != b"IHDR" or chunk == found[0])
    ]
    return Pixels(
        b"".join([content[:_SIGNATURE_BYTES], *parts, _END]),
        width,
        height,
        orientation=orientation(metadata.removeprefix(b"Exif\0\0")),
    )


def text_of(content: bytes, keyword: str, *, at_most: int) -> str | None:
    """The text of a PNG file under a keyword, from any of the three kinds of chunks that hold text; None for none.

    Raises:
        TooLargeError: if it is longer than ``at_most`` bytes, unpacked or not.
        DamagedError: if it cannot be unpacked.
    """
    start = keyword.encode("latin-1") + b"\0"
    for chunk in _chunks(content):
        if chunk.kind in {b"tEXt", b"zTXt", b"iTXt"} and content.startswith(start, chunk.start):
            if chunk.length > at_most + len(start):
                raise TooLargeError(f"its text {keyword!r} has {chunk.length:,} bytes")
            return _text(chunk.kind, chunk.data(content)[len(start) :], at_most)
    return None


def _text(kind: bytes, data: bytes, at_most: int) -> str:
    if kind == b"tEXt":
        return data.decode("latin-1")
    if kind == b"zTXt":
        return _unpacked(data[1:], at_most).decode("latin-1")
    # iTXt: compression flag, compression method, language, translated keyword, text.
    *_, text = data[2:].split(b"\0", 2)
    return (_unpacked(text, at_most) if data[:1] == b"\1" else text).decode(errors="replace")


def _unpacked(data: bytes, at_most: int) -> bytes:
    unpacker = zlib.decompressobj()
    try:
        text = unpacker.decompress(data, at_most + 1)
    except zlib.error as error:
        raise DamagedError("one of its texts cannot be unpacked") from error
    if len(text) > at_most:
        raise TooLargeError(f"one of its texts unpacks to more than {at_most:,} bytes")
    return text


def _chunks(content: bytes) -> Iterator[_Chunk]:
    """The complete chunks; the decoder finds out whether the pixels are complete."""
    place = _SIGNATURE_BYTES
    while place + 8 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, place)
        if kind == b"IEND" or place + _FRAME_BYTES + length > len(content):
            return
        yield _Chunk(kind, place + 8, length)
        place += _FRAME_BYTES + length
