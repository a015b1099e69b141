"""Conversions between grey levels and the value ranges of networks."""

import numpy as np
from numpy.typing import NDArray

from mnistdiff.errors import DivergedError


def to_uint8(images: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Grey levels of sampled images.

    Args:
        images: in [-1, 1], any shape; values outside are clipped.

    Returns:
        the nearest levels 0 (black) ... 255 (white), same shape.

    Raises:
        DivergedError: if a value is not finite.
    """
    if not np.isfinite(images).all():
        raise DivergedError(
            "a sampled image is not finite",
            "The training diverged: use an earlier checkpoint, or train again with a smaller `lr`.",
        )
    # Clipped before scaling, which would overflow for large finite values.
    levels: NDArray[np.uint8] = np.rint((np.clip(images, -1, 1) + 1) * 127.5).astype(np.uint8)
    return levels


def from_uint8(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Images in [-1, 1] from grey levels 0 ... 255, same shape; the inverse of ``to_uint8``."""
    return images.astype(np.float32) / np.float32(127.5) - np.float32(1)


def to_model_range(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Images in [-1, 1] for the diffusion network, shape (B, 1, H, W), from grey levels, shape (B, H, W)."""
    return _with_channel(from_uint8(images))


def to_unit_range(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Images in [0, 1] for the evaluation classifiers, shape (B, 1, H, W), from grey levels, shape (B, H, W)."""
    return _with_channel(images.astype(np.float32) / np.float32(255))


def _with_channel(images: NDArray[np.float32]) -> NDArray[np.float32]:
    # Not images[:, None]: torch does not take an axis of stride 0 for channels-last memory.
    return images.reshape(len(images), 1, *images.shape[1:])
