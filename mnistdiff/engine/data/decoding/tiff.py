"""TIFF files: the tags that the pixels of the first picture depend on."""

import struct

from mnistdiff.engine.data.decoding.pixels import DamagedError, Pixels, TooLargeError, orientation

_WIDTH, _HEIGHT, _COMPRESSION, _TILE_WIDTH, _TILE_HEIGHT = 256, 257, 259, 322, 323
_OF_PIXELS = {
    *(_WIDTH, _HEIGHT, 258, _COMPRESSION, 262, 266, 273, 277, 278, 279, 284, 292, 293, 317, 320),
    *(_TILE_WIDTH, _TILE_HEIGHT, 324, 325, 338, 339, 347, 530, 532),
}
_READ = {1, 2, 3, 4, 5, 7, 8, 32773, 32946}
"""Uncompressed, fax codes, LZW, JPEG, Deflate, PackBits, and Deflate under its old number."""
_SHORT, _LONG = 3, 4
_LARGEST_TILE = 2**24


def pixels_of(content: bytes) -> Pixels:
    """A TIFF file reduced to the pixels of its first picture.

    Raises:
        DamagedError: if it violates the format, or its compression is not supported.
        TooLargeError: if a tile is far larger than the picture.
    """
    order = "<" if content.startswith(b"II") else ">"
    entries = _directory(content, order)
    values = {
        tag: struct.unpack_from(f"{order}{'H' if kind == _SHORT else 'I'}", entry, 8)[0]
        for tag, (kind, count, entry) in entries.items()
        if count == 1 and kind in {_SHORT, _LONG}
    }
    if not values.get(_WIDTH) or not values.get(_HEIGHT):
        raise DamagedError("its size is missing")
    if (packing := values.get(_COMPRESSION, 1)) not in _READ:
        raise DamagedError(f"its compression {packing} is not supported")
    if (tile := values.get(_TILE_WIDTH, 1) * values.get(_TILE_HEIGHT, 1)) > _LARGEST_TILE:
        raise TooLargeError(f"it has tiles of {tile:,} pixels")
    kept = [entry for tag, (_, _, entry) in sorted(entries.items()) if tag in _OF_PIXELS]
    padding = bytes(len(content) % 2)
    place = len(content) + len(padding)
    directory = struct.pack(f"{order}H", len(kept)) + b"".join(kept) + bytes(4)
    head = content[:4] + struct.pack(f"{order}I", place)
    return Pixels(
        b"".join([head, content[8:], padding, directory]),
        values[_WIDTH],
        values[_HEIGHT],
        orientation=orientation(content),
    )


def _directory(content: bytes, order: str) -> dict[int, tuple[int, int, bytes]]:
    """Kind, number of values and bytes of each entry of the first directory, by tag."""
    try:
        (start,) = struct.unpack_from(f"{order}I", content, 4)
        (count,) = struct.unpack_from(f"{order}H", content, start)
        found = {}
        for place in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind, values = struct.unpack_from(f"{order}HHI", content, place)
            found[tag] = (kind, values, content[place : place + 12].ljust(12, b"\0"))
    except struct.error as error:
        raise DamagedError("it ends before its pixels do") from error
    return found
