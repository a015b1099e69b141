"""From a scan or a photograph of a digit to an image such as MNIST holds."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mnistdiff.engine.data.digit import Found, find_digit
from mnistdiff.engine.data.ink import Plane, noise_level
from mnistdiff.errors import SettingsError
from mnistdiff.settings import IMAGE_SIZE

_BOX = 20
"""Digits of MNIST fit into a square of this side."""
_LEAST_CONTRAST = 16
_LARGEST, _SMALLEST = 320, 160
"""Sides between which digits are looked for; other pictures are reduced or enlarged."""
_FINE = 60
"""A digit that is smaller than this on a reduced page is looked at once more, in the full picture."""
_THIN, _USUAL = 1.8, 2.2
"""Strokes thinner than the first are widened to the second, in pixels of the box: MNIST's are 2 to 3 wide."""
_NOISE_SEEN = 0.01
"""Standard deviation from which noise is smoothed."""
_FAINT = 51
"""Grey level below which a pixel of a 28x28 picture does not count as ink."""

_ALONG_EDGE = 0.5
_WIDE = 1.25
"""Width by height of a part above which it may be two digits that touch: 2 of 100 digits of MNIST are wider."""
_FULL = 0.48
"""99 of 100 digits of MNIST cover less of the square around them; one in eight covers more than a third."""


@dataclass(frozen=True)
class PreparedDigit:
    """A digit as MNIST holds it.

    Attributes:
        image: grey levels, shape (28, 28), bright on black.
        notices: what may be wrong with it, in sentences.
    """

    image: NDArray[np.uint8]
    notices: tuple[str, ...] = ()


def as_mnist(levels: NDArray[np.uint8], *, name: str) -> PreparedDigit:
    """One digit in the size and place that MNIST gives it (LeCun et al. 1998, Section III.A).

    The ink is separated from the paper with its light, shadows, lines and frames, and fitted into 20x20 pixels, its
    edges grey where it covers part of a pixel, with its centre of mass in the middle of 28x28. A picture that is so
    already stays as it is.

    Args:
        levels: grey levels, shape (H, W): one digit, dark on light or light on dark.
        name: what to call the picture in an error.

    Raises:
        SettingsError: if there is no ink.
    """
    if _is_mnist(levels):
        return PreparedDigit(levels)
    found = None
    if int(levels.max()) - int(levels.min()) >= _LEAST_CONTRAST:
        found = _found(levels)
    if found is None:
        raise SettingsError(f"{name} shows no digit", "Give a picture of one digit.")
    return PreparedDigit(_fit(found), _notices(found, name))


def _is_mnist(levels: NDArray[np.uint8]) -> bool:
    """Whether a picture is 28x28, bright on black, its ink within 20x20 and centred by mass."""
    if levels.shape != (IMAGE_SIZE, IMAGE_SIZE) or levels.max() < 100:
        return False
    rows, columns = (np.flatnonzero((levels > _FAINT).any(axis=axis)) for axis in (1, 0))
    tall, wide = int(rows[-1] - rows[0]) + 1, int(columns[-1] - columns[0]) + 1
    if max(tall, wide) > _BOX or max(tall, wide) < 12 or np.median(levels) > _FAINT:
        return False
    mass = levels.astype(np.float64)
    middle = (IMAGE_SIZE - 1) / 2
    centre = [float((mass.sum(axis=1 - axis) * np.arange(IMAGE_SIZE)).sum() / mass.sum()) for axis in (0, 1)]
    return all(abs(at - middle) <= 1 for at in centre)


def _found(levels: NDArray[np.uint8], *, again: bool = True) -> Found | None:
    """The digit on a page of a size at which strokes are neither lost nor too few pixels wide."""
    longest = max(levels.shape)
    small = _resized(levels, _LARGEST / longest) if longest > _LARGEST else levels
    page: Plane = np.asarray(small, np.float32) / np.float32(255)
    noise = noise_level(page)
    if noise > _NOISE_SEEN:
        page = np.asarray(cv2.GaussianBlur(page, (0, 0), 1.2), np.float32)
        noise *= 0.3
    if longest < _SMALLEST:
        page = np.clip(_resized(page, -(-_SMALLEST // longest)), 0, 1).astype(np.float32)
    found = find_digit(page, noise=noise)
    if found is None or not again or longest <= _LARGEST or max(found.box[2:]) >= _FINE:
        return found
    scale = longest / _LARGEST
    left, top, width, height = (round(v * scale) for v in found.box)
    room = max(width, height)
    part = levels[max(0, top - room) : top + height + room, max(0, left - room) : left + width + room]
    return _found(part, again=False) or found


def _resized(levels: NDArray[Any], scale: float) -> NDArray[Any]:
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    size = max(1, round(levels.shape[1] * scale)), max(1, round(levels.shape[0] * scale))
    return np.asarray(cv2.resize(levels, size, interpolation=interpolation))


def _fit(found: Found) -> NDArray[np.uint8]:
    """The digit fitted into the box and laid with its centre of mass in the middle."""
    ink = _coverage(found)
    scale = _BOX / max(ink.shape)
    size = max(1, round(ink.shape[1] * scale)), max(1, round(ink.shape[0] * scale))
    small = np.asarray(cv2.resize(ink, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR))
    # Strokes of less than a pixel are grey all over: the brightest tenth becomes white.
    small = np.clip(small / max(float(np.quantile(small[small > 0.2], 0.9)), 0.5), 0, 1)
    mass = small.astype(np.float64)
    top, left = (
        _place(float((mass.sum(axis=1 - axis) * np.arange(side)).sum() / mass.sum()), side)
        for axis, side in enumerate(small.shape)
    )
    image = np.zeros((IMAGE_SIZE, IMAGE_SIZE), np.uint8)
    image[top : top + small.shape[0], left : left + small.shape[1]] = (small * 255 + 0.5).astype(np.uint8)
    return image


def _coverage(found: Found) -> Plane:
    """How much of each point of the digit's box is covered by ink, 0 to 1; thin strokes widened."""
    left, top, width, height = found.box
    ink = found.contrast[top : top + height, left : left + width]
    full = float(np.quantile(ink[ink > 0.5 * ink.max()], 0.5))
    # Steeper than a blurred edge is, so that it becomes as sharp as the box is fine.
    covered = np.clip((ink / full - 0.5) * 1.5 + 0.5, 0, 1)
    scale = _BOX / max(width, height)
    stroke = _stroke(covered > 0.5) * scale
    if stroke < _THIN:
        by = max(1, round((_USUAL - stroke) / scale))
        covered = cv2.dilate(np.pad(covered, by), cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (by + 1, by + 1)))
    rows, columns = (np.flatnonzero((covered > 0.5).any(axis=axis)) for axis in (1, 0))
    return np.asarray(covered[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], np.float32)


def _stroke(ink: NDArray[np.bool_]) -> float:
    """The usual width of the strokes, in pixels."""
    inside = cv2.distanceTransform(np.pad(ink.astype(np.uint8), 1), cv2.DIST_L2, 5)[1:-1, 1:-1]
    ridge = inside[(inside >= cv2.dilate(inside, np.ones((3, 3), np.uint8))) & ink]
    return 2 * float(np.median(ridge)) - 1 if ridge.size else 1.0


def _notices(found: Found, name: str) -> tuple[str, ...]:
    notices = []
    if found.others:
        parts = found.others + 1
        notices.append(f"{name} shows {parts} parts of comparable size, as of {parts} digits: only the largest is used")
    elif found.box[2] > _WIDE * found.box[3]:
        notices.append(f"{name}: the ink is much wider than it is tall: it may be two digits that touch")
    if found.touches_frame:
        notices.append(f"{name}: the digit touches a frame, which was cut off")
    if found.along_edge > _ALONG_EDGE:
        notices.append(f"{name}: the ink runs along the edge of the picture: it may be a shadow or a digit cut off")
    if found.fullness > _FULL:
        notices.append(f"{name}: the ink fills {found.fullness:.0%} of its box: it may be a blot or a shadow")
    return tuple(notices)


def _place(centre: float, side: int) -> int:
    """Where a digit of this side begins, so that its centre of mass comes to the middle and all of it is inside."""
    return min(max(round((IMAGE_SIZE - 1) / 2 - centre), 0), IMAGE_SIZE - side)


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
