"""Detection of the digit among the ink on a page."""

from dataclasses import dataclass

import cv2
import numpy as np

from mnistdiff.engine.data.ink import Ink, Mask, Plane, find_ink
from mnistdiff.engine.data.parts import Labels, Part, gap, is_comparable, is_frame, is_wedge, parts_of

_WIDEST = (0.5, 0.22, 0.1, 0.05)
"""Maximum stroke widths that are tried, as shares of the longer side of the picture."""
_THICK = 0.4
"""Ink with a stroke wider than this share of its size is a blot, not a digit."""
_FULL = 0.6
"""A digit covers less than this share of the square around it (99.9 % of MNIST's test set)."""
_BLOT = 0.6
"""Like ``_THICK``, for one part of a digit."""
_ALONG_EDGE = 0.45
"""Maximum share of a digit's outline along the edge of the picture."""
_FAINT_AT_EDGE = 0.055
"""Minimum score of ink at the edge of the picture, where the light is often uneven."""
_SMALLEST = 0.04
"""Minimum size of a digit, as a share of the longer side of the picture."""
_OPEN = 0.12
"""Maximum share of a digit's outline that is open; see ``_open_share``."""


@dataclass(frozen=True)
class Found:
    """A digit on a page.

    Attributes:
        contrast: of the ink, 0 to 1, shape (H, W), 0 outside of the digit.
        box: left, top, width, height.
        score: how likely it is a digit; to compare candidates.
        others: parts of comparable size beside it.
        touches_frame: whether it touches a frame.
        along_edge: share of its size that lies along the edge of the picture.
        fullness: share of the square around it that it covers.
    """

    contrast: Plane
    box: tuple[int, int, int, int]
    score: float
    others: int
    touches_frame: bool
    along_edge: float
    fullness: float


def find_digit(page: Plane, *, noise: float) -> Found | None:
    """The most likely digit, dark on light or light on dark; wide strokes are tried first; None if there is none.

    Args:
        page: brightness, 0 to 1, shape (H, W).
        noise: its standard deviation from pixel to pixel.
    """
    edge = np.concatenate([page[0], page[-1], page[:, 0], page[:, -1]])
    beyond = (False, True) if float(edge.max() - edge.min()) > 0.05 else (False,)
    for share in _WIDEST:
        widest = max(3, round(share * max(page.shape)))
        found = _better(*(_digit_on(brightness, widest, noise, beyond) for brightness in (page, 1 - page)))
        if found is not None:
            return found
    return None


def _digit_on(page: Plane, widest: int, noise: float, beyond: tuple[bool, ...]) -> Found | None:
    """The dark digit; paper beyond the edge of the picture is assumed only if the ink reaches the edge."""
    found: Found | None = None
    for paper_beyond in beyond:
        ink = find_ink(page, widest=widest, noise=noise, paper_beyond=paper_beyond)
        found = _better(found, None if ink is None else _digit_of(ink))
        if found is not None and not found.along_edge:
            break
    return found


def _better(one: Found | None, other: Found | None) -> Found | None:
    """The one that surrounds the other (which is then the paper inside the digit), or else has the higher score."""
    if one is None or other is None:
        return one or other
    if _surrounds_box(one, other) != _surrounds_box(other, one):
        return one if _surrounds_box(one, other) else other
    return other if other.score > one.score else one


def _surrounds_box(one: Found, other: Found) -> bool:
    left, top, width, height = one.box
    at_left, at_top, inner_width, inner_height = other.box
    return (
        left <= at_left
        and top <= at_top
        and left + width >= at_left + inner_width
        and top + height >= at_top + inner_height
        and width * height > 1.15 * inner_width * inner_height
    )


def _digit_of(ink: Ink) -> Found | None:
    """The digit among the ink; None if it has the shape of a blot, a shadow or a piece of something larger."""
    parts, labels = parts_of(ink.mask)
    main = _main_part(parts, labels)
    if main is None:
        return None
    group, others = _group(main, [part for part in parts if part is not main], labels)
    box = left, top, width, height = _box(group)
    size = max(width, height)
    digit = np.isin(labels, [part.label for part in group])
    fullness = int(digit.sum()) / size**2
    if main.stroke > _THICK * size or fullness > _FULL or is_wedge(main, labels):
        return None
    open_share = _open_share(ink, digit)
    along = sum(part.contact for part in group) / size
    at_edge = 0.5 * max(0.2, 1 - along) if along else 1.0
    strength = float(np.median(ink.contrast[digit]))
    score = (1 - open_share) * strength * (size / max(digit.shape)) ** 0.5 * at_edge
    if open_share > _OPEN or (along and score < _FAINT_AT_EDGE * (2 if along > 0.5 else 1)):
        return None
    near = _grown(digit, 2)
    touches = ink.has_frame and bool(_grown(digit, 3)[ink.lines].any())
    return Found(np.where(near, ink.contrast, np.float32(0)), box, score, others, touches, along, fullness)


def _main_part(parts: list[Part], labels: Labels) -> Part | None:
    """The largest part that has the shape of a stroke; those at the edge of the picture come last."""
    strokes = [
        part
        for part in parts
        if part.size >= _SMALLEST * max(labels.shape)
        and part.stroke <= _BLOT * part.size
        and part.contact <= _ALONG_EDGE * (part.width + part.height)
        and not is_frame(part, labels)
    ]
    # A part that surrounds another large part is the outline of a sheet or a shadow.
    inner = [part for part in strokes if not any(_surrounds(part, other) for other in strokes)]
    return max(inner, key=lambda part: part.area * (0.3 if part.contact else 1.0), default=None)


def _surrounds(part: Part, other: Part) -> bool:
    return part.contains(other) and other.area > 0.15 * part.area and other.size > 0.25 * part.size


def _group(main: Part, rest: list[Part], labels: Labels) -> tuple[list[Part], int]:
    """The parts of the digit (such as the separate bar of a five), and the number of other parts that may be digits."""
    group, others = [main], 0
    for part in rest:
        if part.area < 0.02 * main.area or part.stroke > 1.8 * main.stroke or part.size > 1.3 * main.size:
            continue
        if part.contains(main) or is_frame(part, labels):
            continue
        reach = 0.1 if part.contact and not main.contact else 0.2
        if is_comparable(part, main):
            others += 1
        elif part.size <= main.size and gap(part, main) <= reach * main.size:
            group.append(part)
    return group, others


def _box(group: list[Part]) -> tuple[int, int, int, int]:
    """Left, top, width and height of the box around all."""
    left, top = min(part.left for part in group), min(part.top for part in group)
    right, bottom = max(part.left + part.width for part in group), max(part.top + part.height for part in group)
    return left, top, right - left, bottom - top


def _grown(mask: Mask, by: int) -> Mask:
    return cv2.dilate(mask.astype(np.uint8), np.ones((2 * by + 1, 2 * by + 1), np.uint8)) > 0


def _open_share(ink: Ink, digit: Mask) -> float:
    """The share of a digit's outline without lighter paper beside it, where the ink continues."""
    ring = _grown(digit, 8) & ~_grown(digit, 6) & ~ink.lines
    paper = cv2.dilate(np.where(digit, ink.paper, np.float32(0)), np.ones((17, 17), np.uint8))
    strength = float(np.median(ink.contrast[digit]))
    dark = ink.page < paper * (1 - 0.6 * strength)
    return float(dark[ring].mean()) if ring.any() else 0.0
