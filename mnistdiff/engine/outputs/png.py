"""Between images in [-1, 1], grey levels 0 ... 255, and PNG."""

import io
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from mnistdiff.errors import DivergedError


def to_uint8(images: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Grey levels of sampled images.

    Args:
        images: in [-1, 1], any shape; what lies outside is clipped.

    Returns:
        the nearest levels 0 (black) ... 255 (white), same shape.

    Raises:
        DivergedError: if a value is not finite.
    """
    if not np.isfinite(images).all():
        raise DivergedError(
            "a sampled image is not finite",
            "The training diverged: take an earlier checkpoint, or train again with a smaller --lr.",
        )
    # Clipped before it is scaled, since a large finite value would overflow on the way.
    levels: NDArray[np.uint8] = np.rint((np.clip(images, -1, 1) + 1) * 127.5).astype(np.uint8)
    return levels


def from_uint8(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Images in [-1, 1] from grey levels 0 ... 255, same shape; ``to_uint8`` gives the levels back."""
    return images.astype(np.float32) / np.float32(127.5) - np.float32(1)


def encode_png(image: NDArray[np.uint8], text: Mapping[str, str] = MappingProxyType({})) -> bytes:
    """A PNG file. The same arguments give the same bytes: nothing in it tells the time.

    Args:
        image: grey levels, shape (H, W), or colours, shape (H, W, 3).
        text: what the file says of itself, by keyword (1 to 79 characters of Latin-1, as PNG wants them).
    """
    file = io.BytesIO()
    Image.fromarray(image).save(file, format="PNG", pnginfo=text_chunks(text))
    return file.getvalue()


def text_chunks(text: Mapping[str, str]) -> PngInfo:
    """As Pillow writes them into a PNG."""
    chunks = PngInfo()
    for keyword, value in text.items():
        chunks.add_text(keyword, value)
    return chunks
