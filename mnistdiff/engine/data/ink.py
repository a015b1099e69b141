"""Segmentation of the ink on a page: contrast to the paper around it, without ruled lines and frames."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

# The planes are small: threads would cost more time than they save.
cv2.setNumThreads(1)

Plane = NDArray[np.float32]
Mask = NDArray[np.bool_]

_LEAST_CONTRAST = 0.06
"""As a share of the paper's brightness: fainter marks are uneven paper or light (16 of 255 grey levels)."""
_NOISE_FACTOR = 8.0
_DARKEST_PAPER = 0.35
"""Minimum brightness of paper relative to the brightest: in black corners the contrast would be noise."""


@dataclass(frozen=True)
class Ink:
    """The ink on a page.

    Attributes:
        page: brightness, 0 to 1, shape (H, W).
        paper: brightness of the paper under and around the ink.
        contrast: share of the paper's light that is missing, 0 to 1, shape (H, W), lines removed.
        mask: true where there is ink.
        lines: where ruled lines or the sides of a frame were removed.
        has_frame: whether those lines close to a frame, instead of ruling the page.
    """

    page: Plane
    paper: Plane
    contrast: Plane
    mask: Mask
    lines: Mask
    has_frame: bool


def noise_level(page: Plane) -> float:
    """Standard deviation of the noise of neighbouring pixels (Immerkær 1996, by a quantile: edges do not count)."""
    if min(page.shape) < 3:
        return 0.0
    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    response = np.abs(cv2.filter2D(page, cv2.CV_32F, kernel))[1:-1, 1:-1]
    return float(np.quantile(response, 0.3)) / (0.385 * 6)


def find_ink(page: Plane, *, widest: int, noise: float, paper_beyond: bool) -> Ink | None:
    """Dark strokes narrower than ``widest`` pixels on lighter paper; None if there are none.

    Args:
        page: brightness, 0 to 1, shape (H, W).
        widest: size of the closing that removes strokes and leaves the paper with its light and shadows.
        noise: standard deviation of the page's noise.
        paper_beyond: whether there is paper around the picture, as around a digit that fills it, or what is at its
            edge continues, as a desk or a shadow does.
    """
    paper, contrast = _contrast(page, widest, paper_beyond=paper_beyond)
    least = max(_LEAST_CONTRAST, _NOISE_FACTOR * noise / max(float(np.median(page)), 1e-3))
    lines, has_frame = _lines(contrast > least)
    if lines.any():
        contrast = _without(contrast, lines)
    strong = contrast[contrast > least]
    if strong.size < 4:
        return None
    levels = np.clip(strong * 255, 0, 255).astype(np.uint8).reshape(-1, 1)
    threshold = cv2.threshold(levels, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)[0] / 255
    # Half of the darkest ink is the middle of a blurred edge; more would thin the strokes.
    threshold = max(least, min(threshold, 0.5 * float(np.quantile(strong, 0.95))))
    return Ink(page, paper, contrast, contrast > threshold, lines, has_frame)


def _contrast(page: Plane, widest: int, *, paper_beyond: bool) -> tuple[Plane, Plane]:
    """The paper, and by how much each point is darker than it, as a share of the paper's brightness."""
    if paper_beyond:
        # The brightest that is near: paper beside a stroke, or a shadow if there is nothing else.
        near = max(3, round(0.3 * max(page.shape)))
        light = np.asarray(cv2.dilate(page, np.ones((near, near), np.uint8)), np.float32)
        around = np.pad(light, widest, mode="edge")
        around[widest:-widest, widest:-widest] = page
    else:
        around = np.pad(page, widest, mode="edge")
    closed = _closed(around, widest)[widest:-widest, widest:-widest]
    paper = np.maximum(closed, _DARKEST_PAPER * float(np.quantile(closed, 0.98)))
    contrast = (closed - page) / np.maximum(paper, 1e-3)
    # The closing follows the brightest grains of the paper: most points are paper, and paper has no contrast.
    return closed, np.clip(contrast - float(np.median(contrast)), 0, 1).astype(np.float32)


def _closed(page: Plane, size: int) -> Plane:
    """A grey closing with a square; large squares are closed on a reduced page of local maxima."""
    factor = max(1, size // 24)
    if factor > 1:
        shape = page.shape
        small = cv2.dilate(page, np.ones((factor, factor), np.uint8))[factor // 2 :: factor, factor // 2 :: factor]
        side = size // factor
        small = cv2.morphologyEx(small, cv2.MORPH_CLOSE, np.ones((side, side), np.uint8))
        wide = np.repeat(np.repeat(small, factor, axis=0), factor, axis=1)
        wide = np.pad(wide, ((0, factor), (0, factor)), mode="edge")[: shape[0], : shape[1]]
        # Eroded by as much again: the blocks must not stick out over the edge of a shadow.
        return np.maximum(cv2.erode(wide, np.ones((2 * factor + 1, 2 * factor + 1), np.uint8)), page)
    return np.asarray(cv2.morphologyEx(page, cv2.MORPH_CLOSE, np.ones((size, size), np.uint8)), np.float32)


def _lines(ink: Mask) -> tuple[Mask, bool]:
    """Straight thin lines across the page, ruled or the sides of a frame; whether they are a frame."""
    across, num_across = _lines_across(ink)
    down, num_down = _lines_across(np.ascontiguousarray(ink.T))
    return across | down.T, 1 <= num_across <= 2 and 1 <= num_down <= 2


def _lines_across(ink: Mask) -> tuple[Mask, int]:
    """Nearly horizontal lines, and how many there are."""
    height, width = ink.shape
    marks = ink.astype(np.uint8)
    thickest = max(3, round(0.03 * max(ink.shape)))
    thick = cv2.morphologyEx(marks, cv2.MORPH_OPEN, np.ones((thickest, 1), np.uint8), borderValue=0)
    thin = cv2.subtract(marks, thick)
    # Closed at crossings, as on squared paper.
    thin = cv2.morphologyEx(thin, cv2.MORPH_CLOSE, np.ones((1, thickest + 2), np.uint8))
    thin = cv2.bitwise_and(thin, marks)
    # Pieces that stay within two pixels of a horizontal: includes lines of a page rotated by a few degrees.
    piece = max(5, round(0.1 * width))
    bold = cv2.dilate(thin, np.ones((3, 1), np.uint8))
    pieces = cv2.morphologyEx(bold, cv2.MORPH_OPEN, np.ones((1, piece), np.uint8), borderValue=0)
    if pieces.any(axis=0).sum() < 0.4 * width:  # too few for a line, as on most pages
        return np.zeros(ink.shape, np.bool_), 0
    # A line with ink on it is in pieces.
    gap = round(0.5 * width)
    padded = np.pad(pieces, ((3, 3), (gap, gap)))
    joined = cv2.morphologyEx(padded, cv2.MORPH_CLOSE, np.ones((5, gap), np.uint8))[3:-3, gap:-gap]
    count, labels, stats, _ = cv2.connectedComponentsWithStats(joined, connectivity=8)
    wide = [
        i
        for i in range(1, count)
        if stats[i, cv2.CC_STAT_WIDTH] >= 0.5 * width
        and ((labels == i) & (pieces > 0)).any(axis=0).sum() >= 0.4 * width
    ]
    whole = [i for i in wide if stats[i, cv2.CC_STAT_WIDTH] >= 0.85 * width]
    kept = wide if len(wide) >= 2 else whole
    if not kept:
        return np.zeros(ink.shape, np.bool_), 0
    lines = cv2.dilate(np.isin(labels, kept).astype(np.uint8), np.ones((3, 3), np.uint8))
    return (lines > 0) & (thin > 0), len(kept)


def _without(contrast: Plane, lines: Mask) -> Plane:
    """The contrast without lines; ink that they cross is closed again."""
    grown = cv2.dilate(lines.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    cleared: Plane = np.where(grown, np.float32(0), contrast)
    reach = 2 * _thickness(grown) + 3
    bridged = np.maximum(
        cv2.morphologyEx(cleared, cv2.MORPH_CLOSE, np.ones((reach, 1), np.uint8)),
        cv2.morphologyEx(cleared, cv2.MORPH_CLOSE, np.ones((1, reach), np.uint8)),
    )
    return np.where(grown, np.minimum(bridged, contrast), cleared)


def _thickness(lines: Mask) -> int:
    """Half of the thickness of a line, at the most common place."""
    inside = cv2.distanceTransform(lines.astype(np.uint8), cv2.DIST_L1, 3)
    return round(float(np.quantile(inside[lines], 0.9)))
