"""Random affine augmentation for training classifiers."""

import math

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

# Each parameter is uniform between minus and plus these values; much larger ones would turn a 1 into a 7.
_ANGLE = math.radians(10)
_LOG_SCALE = 0.1
_SHEAR = 0.1
_SHIFT_PIXELS = 2.0


def augment(images: Tensor, rng: np.random.Generator) -> Tensor:
    """Rotate, scale, shear and shift each image a little, with random parameters of its own.

    Args:
        images: shape (B, 1, 28, 28).
        rng: draws five numbers per image.

    Returns:
        shape (B, 1, 28, 28); bilinear interpolation, black beyond the border.
    """
    turn, size, slant, across, down = torch.from_numpy(rng.uniform(-1, 1, (5, len(images))).astype(np.float32))
    cos, sin = torch.cos(_ANGLE * turn), torch.sin(_ANGLE * turn)
    scale, shear = torch.exp(_LOG_SCALE * size), _SHEAR * slant
    # The grid spans -1 ... 1, so a pixel is 2 / width.
    shift = 2 * _SHIFT_PIXELS / images.shape[-1]
    # From coordinates in the result to coordinates in the image.
    first, second = (scale * cos, scale * (shear * cos - sin)), (scale * sin, scale * (shear * sin + cos))
    matrices = torch.stack([*first, shift * across, *second, shift * down], dim=1).view(-1, 2, 3)
    grid = F.affine_grid(matrices, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, align_corners=False)
