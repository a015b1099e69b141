"""Preprocess a scan or photograph of a digit: size, position and contrast as in the data set."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mnistdiff.engine.data.datasets import DatasetSpec
from mnistdiff.engine.data.digit import Found, find_digit
from mnistdiff.engine.data.image_files import Picture
from mnistdiff.engine.data.ink import Plane, noise_level
from mnistdiff.engine.data.pictures.square import border_levels, squared
from mnistdiff.errors import NoDigitError, SettingsError

_LEAST_CONTRAST = 16
_LARGEST, _SMALLEST = 320, 160
"""Longer sides between which digits are searched for; other pictures are reduced or enlarged."""
_FINE = 60
"""A digit smaller than this on a reduced page is searched for again in the full picture."""
_THIN, _USUAL = 1.8, 2.2
"""Strokes thinner than the first are widened to the second, in pixels of a digit of 20: those of MNIST have 2 to 3."""
_NOISE_SEEN = 0.01
"""Noise of a larger standard deviation is smoothed."""
_FAINT = 51
"""Grey level up to which a pixel of a small picture is not ink."""

_ALONG_EDGE = 0.5
_WIDE = 1.25
"""Width by height of a part above which it may be two digits that touch: 2 of 100 digits of MNIST are wider."""
_FULL = 0.48
"""99 of 100 digits of MNIST cover less of the square around them; one in eight covers more than a third."""


@dataclass(frozen=True)
class PreparedDigit:
    """A digit in the format of a data set.

    Attributes:
        image: grey levels, uint8, square, bright on black.
        notices: what may be wrong with it, in sentences.
    """

    image: NDArray[np.uint8]
    notices: tuple[str, ...] = ()


def preprocess(picture: Picture, spec: DatasetSpec) -> PreparedDigit:
    """A picture of the user as the images of a data set are.

    As ``spec.fit`` says, one digit is found in it, or it is padded or cropped, and inverted if its border is otherwise.

    Raises:
        StorageError, OutOfMemoryError: if it cannot be decoded.
        NoDigitError: if it shows no digit.
    """
    levels = picture.photograph()
    if spec.fit == "mnist":
        return preprocess_digit(levels, spec, name=picture.name)
    image = squared(levels, spec.image_size, spec.fit)
    return PreparedDigit(like_border(image, float(border_levels(image[None])[0]), spec.border))


def like_border(image: NDArray[np.uint8], level: float, border: int) -> NDArray[np.uint8]:
    """An image, or its negative if the grey level of its paper is then nearer to that of the border of others."""
    return 255 - image if abs(255 - level - border) <= abs(level - border) else image


def preprocess_digit(levels: NDArray[np.uint8], spec: DatasetSpec, *, name: str) -> PreparedDigit:
    """One digit in the size and position that MNIST gives it (LeCun et al. 1998, Section III.A).

    The ink is separated from the paper with its light, shadows, lines and frames, scaled to ``spec.ink_size`` pixels
    (20), antialiased, and centred by its centre of mass in ``spec.image_size`` (28). A picture that is already in this
    format is returned unchanged.

    Args:
        levels: grey levels, shape (H, W): one digit, dark on light or light on dark.
        spec: the data set.
        name: of the picture, for errors.

    Raises:
        NoDigitError: if there is no ink.
    """
    if _is_prepared(levels, spec):
        return PreparedDigit(levels)
    found = _found(levels) if int(levels.max()) - int(levels.min()) >= _LEAST_CONTRAST else None
    if found is None:
        raise NoDigitError(f"{name} shows no digit", "Give a picture of one digit.")
    return PreparedDigit(_fit(found, spec), _notices(found, name))


def _is_prepared(levels: NDArray[np.uint8], spec: DatasetSpec) -> bool:
    """Whether a picture has the size of the data set, bright on black, its ink small enough and centred by mass."""
    size, ink_size = spec.image_size, spec.ink_size
    if levels.shape != (size, size) or levels.max() < 100:
        return False
    longer = max(cv2.boundingRect((levels > _FAINT).astype(np.uint8))[2:])
    if not 0.6 * ink_size <= longer <= ink_size or np.median(levels) > _FAINT:
        return False
    return all(abs(at - (size - 1) / 2) <= 1 for at in _centre_of_mass(levels))


def _centre_of_mass(levels: NDArray[Any]) -> list[float]:
    """Row and column of the centre of mass."""
    mass = levels.astype(np.float64)
    return [float((mass.sum(axis=1 - axis) * np.arange(n)).sum() / mass.sum()) for axis, n in enumerate(mass.shape)]


def _found(levels: NDArray[np.uint8], *, again: bool = True) -> Found | None:
    """The digit on a page, at a resolution at which strokes are wide enough to be found."""
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


def _resized(levels: NDArray[Any], scale: float, *, enlarge: int = cv2.INTER_CUBIC) -> NDArray[Any]:
    size = max(1, round(levels.shape[1] * scale)), max(1, round(levels.shape[0] * scale))
    return np.asarray(cv2.resize(levels, size, interpolation=cv2.INTER_AREA if scale < 1 else enlarge))


def _fit(found: Found, spec: DatasetSpec) -> NDArray[np.uint8]:
    """The digit in the size of the data set, its centre of mass in the middle."""
    ink = _coverage(found, spec.ink_size)
    small = _resized(ink, spec.ink_size / max(ink.shape), enlarge=cv2.INTER_LINEAR)
    # Strokes narrower than a pixel are grey everywhere: the brightest tenth becomes white.
    small = np.clip(small / max(float(np.quantile(small[small > 0.2], 0.9)), 0.5), 0, 1)
    top, left = (
        min(max(round((spec.image_size - 1) / 2 - centre), 0), spec.image_size - side)
        for centre, side in zip(_centre_of_mass(small), small.shape, strict=True)
    )
    image = np.zeros((spec.image_size, spec.image_size), np.uint8)
    image[top : top + small.shape[0], left : left + small.shape[1]] = (small * 255 + 0.5).astype(np.uint8)
    return image


def _coverage(found: Found, ink_size: int) -> Plane:
    """The share of each pixel of the digit's box that is covered by ink, 0 to 1; thin strokes widened."""
    left, top, width, height = found.box
    ink = found.contrast[top : top + height, left : left + width]
    full = float(np.quantile(ink[ink > 0.5 * ink.max()], 0.5))
    # Steeper than a blurred edge, which becomes as sharp as the resolution allows.
    covered = np.clip((ink / full - 0.5) * 1.5 + 0.5, 0, 1)
    scale = ink_size / max(width, height)
    stroke, unit = _stroke(covered > 0.5) * scale, ink_size / 20
    if stroke < _THIN * unit:
        by = max(1, round((_USUAL * unit - stroke) / scale))
        covered = cv2.dilate(np.pad(covered, by), cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (by + 1, by + 1)))
    left, top, width, height = cv2.boundingRect((covered > 0.5).astype(np.uint8))
    return np.asarray(covered[top : top + height, left : left + width], np.float32)


def _stroke(ink: NDArray[np.bool_]) -> float:
    """The median width of the strokes, in pixels."""
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


def resize_whole(levels: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """A whole picture, resized to ``size`` x ``size`` pixels."""
    if levels.shape == (size, size):
        return levels
    return np.asarray(Image.fromarray(levels).resize((size, size), Image.Resampling.BOX))


def read_mask(levels: NDArray[np.uint8], size: int) -> NDArray[np.bool_]:
    """A mask from a picture, grey levels of shape (H, W): true where it is white; shape (size, size)."""
    return resize_whole(levels, size) > 127


def known_part(levels: NDArray[np.uint8], missing: NDArray[np.bool_], *, border: int = 0) -> NDArray[np.uint8]:
    """The known part of a picture, resized to the mask; 0 where it is missing.

    Args:
        levels: grey levels, shape (H, W).
        missing: shape (S, S).
        border: grey level of the paper in the images of the data set: 0 is bright on black.

    Raises:
        SettingsError: if nothing is missing.
    """
    if not missing.any():
        raise SettingsError("the mask marks nothing as missing", "Make it white where the image is missing.")
    whole = resize_whole(levels, len(missing))
    # Most of a picture is paper; the missing part may have any shade.
    if not missing.all():
        whole = like_border(whole, float(np.median(whole[~missing])), border)
    return np.where(missing, 0, whole).astype(np.uint8)
