"""Encode PNG files."""

import io
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo


def encode_png(image: NDArray[np.uint8], text: Mapping[str, str] = MappingProxyType({})) -> bytes:
    """A PNG file. The same arguments give the same bytes: it holds no time stamp.

    Args:
        image: grey levels, shape (H, W), or colours, shape (H, W, 3).
        text: text chunks by keyword (1 to 79 characters of Latin-1).
    """
    file = _PngFile()
    Image.fromarray(image).save(file, pnginfo=text_chunks(text))
    return file.getvalue()


class _PngFile(io.BytesIO):
    """A PNG file by its name: of one whose format is given instead, Pillow imports the plugins of all usual formats."""

    name = "image.png"


def text_chunks(text: Mapping[str, str]) -> PngInfo:
    """Text as Pillow writes it into a PNG file."""
    chunks = PngInfo()
    for keyword, value in text.items():
        chunks.add_text(keyword, value)
    return chunks
