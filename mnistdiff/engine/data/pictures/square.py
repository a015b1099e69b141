"""Make pictures square, in the size of a data set."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def squared(levels: NDArray[np.uint8], size: int, fit: Literal["pad", "crop"]) -> NDArray[np.uint8]:
    """A picture, grey levels, shape (H, W), padded or cropped to (size, size)."""
    return pad_to_square(levels, size) if fit == "pad" else crop_to_square(levels, size)


def pad_to_square(levels: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """A whole picture in the middle of a square, around it the brightness of its border.

    Args:
        levels: grey levels, shape (H, W).
        size: of the square, in pixels.

    Returns:
        grey levels, shape (size, size).
    """
    height, width = levels.shape
    if (height, width) == (size, size):
        return levels
    scale = size / max(height, width)
    small = resized(levels, max(1, round(height * scale)), max(1, round(width * scale)))
    square = np.full((size, size), round(border_levels(levels[None])[0]), np.uint8)
    top, left = (size - small.shape[0]) // 2, (size - small.shape[1]) // 2
    square[top : top + small.shape[0], left : left + small.shape[1]] = small
    return square


def crop_to_square(levels: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """The largest square in the middle of a picture, grey levels, shape (size, size)."""
    side = min(levels.shape)
    top, left = ((length - side) // 2 for length in levels.shape)
    return resized(levels[top : top + side, left : left + side], size, size)


def resized(levels: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """A picture in another size: the mean of the pixels that one replaces, bicubic where it is enlarged."""
    if levels.shape == (height, width):
        return levels
    shrinks = height * width < levels.size
    how = Image.Resampling.BOX if shrinks else Image.Resampling.BICUBIC
    return np.asarray(Image.fromarray(levels).resize((width, height), how))


def border_levels(images: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The median grey level along the border of each image, shape (N,), from (N, H, W)."""
    border = [images[:, 0], images[:, -1], images[:, 1:-1, 0], images[:, 1:-1, -1]]
    return np.median(np.concatenate(border, axis=1), axis=1)
