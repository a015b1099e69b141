"""PNG files: the chunks that pixels depend on, and texts by keyword."""

import struct
import zlib
from collections.abc import Iterator

from mnistdiff.engine.data.decoding.pixels import DamagedError, Pixels, TooLargeError, orientation

_SIGNATURE_BYTES = 8
_AROUND = 12
"""Bytes of the length, kind and checksum of a chunk."""
_END = b"\0\0\0\0IEND\xaeB`\x82"
_ONCE = {b"IHDR", b"eXIf"}
"""Chunks of which the first counts."""
_OF_PIXELS = {b"PLTE", b"tRNS", b"IDAT"}
_OF_FRAMES = {b"acTL", b"fcTL", b"fdAT"}


def pixels_of(content: bytes, *, animated: bool = False) -> Pixels:
    """A PNG file reduced to its pixels.

    Args:
        content: the file.
        animated: whether to keep the frames after the first, too.

    Raises:
        DamagedError: if there is no header.
    """
    kept = _OF_PIXELS | _OF_FRAMES if animated else _OF_PIXELS
    found = [chunk for chunk in _chunks(content) if chunk[0] in kept or chunk[0] in _ONCE]
    kind, start, end = found[0] if found else (b"", 0, 0)
    if kind != b"IHDR" or end - start != 13:
        raise DamagedError("it has no header")
    width, height = struct.unpack_from(">II", content, start)
    metadata = next((content[start:end] for kind, start, end in found if kind == b"eXIf"), b"")
    whole = [content[start - 8 : end + 4] for kind, start, end in found if kind in kept]
    return Pixels(
        b"".join([content[:_SIGNATURE_BYTES], content[start - 8 : end + 4], *whole, _END]),
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
    for kind, begin, end in _chunks(content):
        if kind in {b"tEXt", b"zTXt", b"iTXt"} and content.startswith(start, begin):
            if end - begin > at_most + len(start):
                raise TooLargeError(f"its text {keyword!r} has {end - begin:,} bytes")
            return _text(kind, content[begin + len(start) : end], at_most)
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


def _chunks(content: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Kind of each complete chunk, and the offsets of the begin and end of its data.

    The decoder finds out whether the pixels are complete.
    """
    place = _SIGNATURE_BYTES
    while place + 8 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, place)
        if kind == b"IEND" or place + _AROUND + length > len(content):
            return
        yield kind, place + 8, place + 8 + length
        place += _AROUND + length
