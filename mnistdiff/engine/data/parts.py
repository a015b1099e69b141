"""Connected components of ink, and their classification: strokes, frames, sheets, shadows."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mnistdiff.engine.data.ink import Mask

Labels = NDArray[np.int32]
"""The number of each pixel's part, 0 for none; shape (H, W)."""
_MOST_PARTS = 400
"""If there are more components, they are noise."""


@dataclass(frozen=True)
class Part:
    """A connected component of ink.

    Attributes:
        label: its number.
        left, top, width, height: its bounding box.
        area: pixels.
        stroke: width of its widest stroke.
        contact: number of its pixels at the edge of the picture.
    """

    label: int
    left: int
    top: int
    width: int
    height: int
    area: int
    stroke: float
    contact: int

    @property
    def size(self) -> int:
        """The longer side of the box."""
        return max(self.width, self.height)

    def contains(self, other: "Part") -> bool:
        """Whether the other box lies inside this one."""
        return (
            self.left < other.left
            and self.top < other.top
            and self.left + self.width > other.left + other.width
            and self.top + self.height > other.top + other.height
        )


def parts_of(mask: Mask) -> tuple[list[Part], Labels]:
    """The connected components, without specks."""
    marks = mask.astype(np.uint8)
    count, found, stats, _ = cv2.connectedComponentsWithStats(marks, connectivity=8)
    labels = np.asarray(found, np.int32)
    if count < 2:
        return [], labels
    largest = int(stats[1:, cv2.CC_STAT_AREA].max())
    kept = [i for i in range(1, count) if stats[i, cv2.CC_STAT_AREA] >= max(6, 0.005 * largest)]
    if len(kept) > _MOST_PARTS:
        return [], labels
    inside = cv2.distanceTransform(np.pad(marks, 1), cv2.DIST_L2, 3)[1:-1, 1:-1]
    edge = np.concatenate([labels[0], labels[-1], labels[1:-1, 0], labels[1:-1, -1]])
    contacts = np.bincount(edge, minlength=count)
    parts = []
    for i in kept:
        left, top, width, height, area = (int(v) for v in stats[i])
        within = np.s_[top : top + height, left : left + width]
        stroke = 2 * float(inside[within][labels[within] == i].max())
        parts.append(Part(i, left, top, width, height, area, stroke, int(contacts[i])))
    return parts, labels


def is_frame(part: Part, labels: Labels) -> bool:
    """Whether a part fills a rectangle or runs along its sides: a sheet of paper, a card, or a frame."""
    own, hull = _shape(part, labels)
    sides = cv2.minAreaRect(hull)[1]
    short, long = min(sides) + 1, max(sides) + 1
    if short < 0.45 * long:
        return False
    filled = (cv2.contourArea(hull) + long + short) / (short * long)
    if filled > 0.85 and part.area > 0.6 * short * long:
        return True
    rim = max(2, round(0.12 * part.size))
    return filled > 0.93 and int(own[rim:-rim, rim:-rim].sum()) < 0.15 * part.area


def is_wedge(part: Part, labels: Labels) -> bool:
    """Whether a part is broad and convex, as a shadow between two edges."""
    if part.stroke < 0.3 * part.size:
        return False
    return part.area > 0.9 * cv2.contourArea(_shape(part, labels)[1])


def _shape(part: Part, labels: Labels) -> tuple[Mask, NDArray[np.int32]]:
    """The mask of a part, shape (height, width), and its convex hull."""
    own = labels[part.top : part.top + part.height, part.left : part.left + part.width] == part.label
    return own, np.asarray(cv2.convexHull(cv2.findNonZero(own.astype(np.uint8))), np.int32)


def is_comparable(part: Part, main: Part) -> bool:
    """Whether a part could be a digit by itself, beside or below the main one."""
    if part.size < 0.5 * main.size or part.area < 0.2 * main.area:
        return False
    across, down = _overlap(part, main)
    # The separate bar of a five is flat, and above the rest or beside its top.
    beside = across < 0.3 * min(part.width, main.width) and down > 0.5 * min(part.height, main.height)
    below = down < 0.1 * min(part.height, main.height) and across > 0.3 * min(part.width, main.width)
    return part.height > 0.45 * main.height and (beside or below)


def gap(part: Part, main: Part) -> int:
    """Pixels between the boxes of two parts."""
    return max(*(-overlap for overlap in _overlap(part, main)), 0)


def _overlap(part: Part, main: Part) -> tuple[int, int]:
    """Pixels by which two boxes overlap horizontally and vertically; negative for a gap."""
    across = min(part.left + part.width, main.left + main.width) - max(part.left, main.left)
    down = min(part.top + part.height, main.top + main.height) - max(part.top, main.top)
    return across, down
