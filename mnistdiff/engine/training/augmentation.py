"""Augmentation of training images that does not show in samples: the network is told of it.

As in Karras et al. 2022 (Appendix F.2; arXiv 2206.00364) each image is changed at random, and the numbers of the change
are an input of the network. All of them are zero for an image as it is, and when sampling.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor

from mnistdiff.engine.network.build import AUGMENTATION_NUMBERS
from mnistdiff.engine.network.device import memory_format
from mnistdiff.engine.randomness import Stream, generator
from mnistdiff.settings import TrainSettings

_SHARE = 0.5
"""Of the images, for each kind of change."""
_MAX_SHIFT = 0.1
"""Of the side of the image, in whole pixels."""
_MAX_ANGLE = math.radians(12)
_MAX_SCALE = math.log(1.1)
_FLIP, _RIGHT, _DOWN, _ANGLE, _SCALE = range(AUGMENTATION_NUMBERS)
_NUMBERS = {"flip": (_FLIP,), "shift": (_RIGHT, _DOWN), "rotate": (_ANGLE, _SCALE)}


def augmentation_at(step: int, batch_size: int, settings: TrainSettings) -> NDArray[np.float32]:
    """The changes of the images of a batch, a function of the seed and the step.

    Args:
        step: 0, 1, 2, ...
        batch_size: B.
        settings: which kinds of change there are.

    Returns:
        flip, shift to the right and down, angle, and logarithm of the scale, each in [-1, 1] and in parts of its
        maximum; 0 for no change. Shape (B, 5).
    """
    random = generator(settings.seed, Stream.AUGMENTATION, step)
    happens = random.random((batch_size, len(_NUMBERS))) < _SHARE
    amounts = random.uniform(-1, 1, (batch_size, AUGMENTATION_NUMBERS)).astype(np.float32)
    amounts[:, _FLIP] = 1
    changes = np.zeros_like(amounts)
    for kind, (name, numbers) in enumerate(_NUMBERS.items()):
        if name in settings.augment:
            changes[:, numbers] = np.where(happens[:, kind, None], amounts[:, numbers], 0)
    return changes


def augmented(x_0: Tensor, changes: Tensor) -> Tensor:
    """Flip, turn, scale and shift images; what comes from outside is black.

    Args:
        x_0: images in [-1, 1], shape (B, 1, H, W).
        changes: as ``augmentation_at`` returns them, shape (B, 5).

    Returns:
        images in [-1, 1], shape (B, 1, H, W): those without a change are the same.
    """
    flipped = torch.where(_each(changes[:, _FLIP]) > 0, x_0.flip(-1), x_0)
    is_turned = (changes[:, [_ANGLE, _SCALE]] != 0).any(dim=1)
    turned = torch.where(_each(is_turned), _turned(flipped, changes), flipped)
    return _shifted(turned, changes).contiguous(memory_format=memory_format(x_0.device))


def _each(values: Tensor) -> Tensor:
    """One value for each image, shape (B, 1, 1, 1)."""
    return values[:, None, None, None]


def _turned(images: Tensor, changes: Tensor) -> Tensor:
    """Images turned and scaled about their centre, with bilinear sampling."""
    angle, scale = changes[:, _ANGLE] * _MAX_ANGLE, torch.exp(changes[:, _SCALE] * _MAX_SCALE)
    cos, sin, zero = angle.cos() / scale, angle.sin() / scale, torch.zeros_like(angle)
    matrices = torch.stack([cos, -sin, zero, sin, cos, zero], dim=1).reshape(-1, 2, 3)
    grid = F.affine_grid(matrices, list(images.shape), align_corners=False)
    # Zero outside is black only where black is zero.
    return F.grid_sample((images + 1) / 2, grid, align_corners=False).clamp(0, 1) * 2 - 1


def _shifted(images: Tensor, changes: Tensor) -> Tensor:
    """Images moved by whole pixels."""
    side = images.shape[-1]
    pixels = (changes[:, [_DOWN, _RIGHT]] * (_MAX_SHIFT * side)).round().long()  # (B, 2)
    sources = torch.arange(side, device=images.device) - pixels[:, :, None]  # (B, 2, side)
    rows, columns = sources.clamp(0, side - 1).unbind(dim=1)
    is_inside = (sources >= 0) & (sources < side)
    of_image = torch.arange(len(images), device=images.device)[:, None, None]
    moved = images[of_image, 0, rows[:, :, None], columns[:, None, :]]  # (B, H, W)
    return torch.where(is_inside[:, 0, :, None] & is_inside[:, 1, None, :], moved, -1.0)[:, None]
