"""Encode PNG files, without Pillow: its import takes longer than to write a hundred images."""

import struct
import zlib
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GREY, _RGB = 0, 2


def encode_png(image: NDArray[np.uint8], text: Mapping[str, str] = MappingProxyType({})) -> bytes:
    """A PNG file (W3C Recommendation). The same arguments give the same bytes: it holds no time stamp.

    Args:
        image: grey levels, shape (H, W), or colours, shape (H, W, 3).
        text: text chunks by keyword (1 to 79 characters of Latin-1).
    """
    height, width = image.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, 8, _GREY if image.ndim == 2 else _RGB, 0, 0, 0)
    rows = np.pad(image.reshape(height, -1), ((0, 0), (1, 0)))  # before each row its filter: 0, none
    pixels = zlib.compress(rows.tobytes(), level=9)
    texts = (_text(keyword, value) for keyword, value in text.items())
    return b"".join([_SIGNATURE, _chunk(b"IHDR", header), *texts, _chunk(b"IDAT", pixels), _chunk(b"IEND", b"")])


def _text(keyword: str, value: str) -> bytes:
    """A text chunk, in Latin-1 or, if that lacks a character, in UTF-8, uncompressed and of no language."""
    name = keyword.encode("latin-1")
    try:
        return _chunk(b"tEXt", name + b"\0" + value.encode("latin-1"))
    except UnicodeEncodeError:
        return _chunk(b"iTXt", name + b"\0\0\0\0\0" + value.encode())


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
