"""From a scan or a photograph of a digit to an image such as MNIST holds."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from mnistdiff.errors import SettingsError
from mnistdiff.settings import IMAGE_SIZE

_BOX = 20
"""Digits of MNIST fit into a square of this side."""
_LEAST_CONTRAST = 16
_KEPT_SHARE = 0.8


def on_black(levels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Grey levels with the ink bright, as MNIST has it: turned round if most of the edge is bright."""
    edge = np.concatenate([levels[0], levels[-1], levels[:, 0], levels[:, -1]])
    return (255 - levels).astype(np.uint8) if np.median(edge) > 127 else levels


def as_mnist(levels: NDArray[np.uint8], *, name: str) -> NDArray[np.uint8]:
    """One digit in the size and place that MNIST gives it (LeCun et al. 1998, Section III.A).

    Ink and paper are told apart (Otsu 1979), the ink is fitted into 20x20 pixels, its edges grey where it covers part
    of a pixel, and laid with its centre of mass in the middle of 28x28. What is 28x28 and on black already stays.

    Args:
        levels: grey levels, shape (H, W): one digit, dark on light or light on dark.
        name: what to call the picture in an error.

    Raises:
        SettingsError: if there is no ink.
    """
    bright = on_black(levels)
    if levels.shape == (IMAGE_SIZE, IMAGE_SIZE) and bright is levels:
        return levels
    if int(bright.max()) - int(bright.min()) < _LEAST_CONTRAST:
        raise SettingsError(f"{name} shows no digit: it is all of one shade", "Give a picture of one digit.")
    ink = _without_specks(bright > otsu_threshold(bright))
    rows, columns = (np.flatnonzero(ink.any(axis=axis)) for axis in (1, 0))
    digit = Image.fromarray((255 * ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]).astype(np.uint8))
    scale = _BOX / max(digit.size)
    width, height = (max(1, round(side * scale)) for side in digit.size)
    small = np.asarray(digit.resize((width, height), Image.Resampling.BOX))

    mass = small.astype(np.float64)
    top, left = (
        _place(float((mass.sum(axis=1 - axis) * np.arange(side)).sum() / mass.sum()), side)
        for axis, side in enumerate(small.shape)
    )
    image = np.zeros((IMAGE_SIZE, IMAGE_SIZE), np.uint8)
    image[top : top + height, left : left + width] = small
    return image


def _without_specks(ink: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Ink without single pixels, which would pass for the edge of the digit; all of it where strokes are as thin."""
    clean = np.asarray(Image.fromarray((255 * ink).astype(np.uint8)).filter(ImageFilter.MedianFilter(3))) > 0
    return clean if clean.sum() > _KEPT_SHARE * ink.sum() else ink


def _place(centre: float, side: int) -> int:
    """Where a digit of this side begins, so that its centre of mass comes to the middle and all of it is inside."""
    return min(max(round((IMAGE_SIZE - 1) / 2 - centre), 0), IMAGE_SIZE - side)


def otsu_threshold(levels: NDArray[np.uint8]) -> int:
    """The level that parts the brighter pixels from the others with the greatest variance between both (Otsu 1979)."""
    share = np.bincount(levels.reshape(-1), minlength=256) / levels.size
    below = np.cumsum(share)
    mean_below = np.cumsum(share * np.arange(256))
    with np.errstate(divide="ignore", invalid="ignore"):
        between = (mean_below[-1] * below - mean_below) ** 2 / (below * (1 - below))
    return int(np.nanargmax(between[:-1]))


def fitted(levels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A picture made 28x28, nothing cropped."""
    if levels.shape == (IMAGE_SIZE, IMAGE_SIZE):
        return levels
    return np.asarray(Image.fromarray(levels).resize((IMAGE_SIZE, IMAGE_SIZE), Image.Resampling.BOX))


def marked(levels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Where a picture of a mask, grey levels of shape (H, W), is rather white than black; shape (28, 28)."""
    return fitted(levels) > 127


def part(levels: NDArray[np.uint8], missing: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """A picture of which part is missing, as 28x28 with the ink bright; 0 where it is missing.

    Args:
        levels: grey levels, shape (H, W).
        missing: shape (28, 28).

    Raises:
        SettingsError: if nothing is missing.
    """
    if not missing.any():
        raise SettingsError("the mask marks nothing as missing", "Make it white where the picture is to be drawn.")
    whole = fitted(levels)
    known = np.where(missing, 0, whole).astype(np.uint8)
    # Most of a picture is paper; what is missing may be of any shade.
    is_on_paper = not missing.all() and np.median(whole[~missing]) > 127
    return np.where(missing, 0, 255 - known).astype(np.uint8) if is_on_paper else known
