"""Between images in [-1, 1], grey levels 0 ... 255, and PNG."""

import io
import warnings
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from mnistdiff.errors import DivergedError, StorageError

MAX_SIDE = 4096
"""A few kilobytes of PNG can unpack to gigabytes; no sheet of digits has a longer side than this."""


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
    chunks = PngInfo()
    for keyword, value in text.items():
        chunks.add_text(keyword, value)
    file = io.BytesIO()
    Image.fromarray(image).save(file, format="PNG", pnginfo=chunks)
    return file.getvalue()


def read_grey_png(path: Path) -> NDArray[np.uint8]:
    """The grey levels of a PNG file, shape (H, W). Colours become their luminance; transparency is ignored.

    Raises:
        StorageError: if the file is missing, cannot be read, is not a PNG picture or has a side over ``MAX_SIDE``.
    """
    try:
        with _opened(path) as picture:
            # Pillow warns about palettes with transparency; a grey level does not depend on it.
            picture.info.pop("transparency", None)
            if picture.mode == "I;16":  # which convert() would clip at 255 instead of scaling
                return (np.asarray(picture) >> 8).astype(np.uint8)
            return np.array(picture.convert("L"))
    # SyntaxError, ValueError and EOFError are how Pillow reports chunks that lie about their contents.
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise _unreadable(path, error) from error


def read_png_text(path: Path) -> dict[str, str]:
    """What a PNG file says of itself, by keyword.

    Raises:
        StorageError: as ``read_grey_png``.
    """
    try:
        with _opened(path) as picture:
            picture.load()  # chunks may follow the pixels
            return {str(keyword): str(value) for keyword, value in picture.info.items() if isinstance(value, str)}
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise _unreadable(path, error) from error


def _opened(path: Path) -> Image.Image:
    """The picture with its size checked and its pixels not yet unpacked."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # MAX_SIDE is stricter
            picture = Image.open(path, formats=["PNG"])
    except Image.DecompressionBombError as error:
        raise _too_large(path) from error
    if max(picture.size) > MAX_SIDE:
        picture.close()
        raise _too_large(path)
    return picture


def _too_large(path: Path) -> StorageError:
    return StorageError(f"{path} is larger than {MAX_SIDE}x{MAX_SIDE} pixels", "Give a smaller picture.")


def _unreadable(path: Path, error: Exception) -> StorageError:
    if isinstance(error, OSError) and error.strerror:  # from the file system, not from Pillow
        return StorageError(f"cannot read the picture {path}: {error.strerror}", "Check the path and its permissions.")
    return StorageError(f"{path} is not a PNG picture, or is damaged", "Give a PNG file.")
