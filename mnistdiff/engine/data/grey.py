"""Conversion of decoded pictures to grey levels: transparency, 16-bit and float pixels, colours."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

_VISIBLE = 16
"""Alpha from which a pixel counts as visible."""
_ONE_COLOUR = 24
"""Visible pixels whose channels spread less than this have one colour: then alpha holds the shape."""
_LUMINANCE = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601, as in Pillow
_COLOUR_GAIN = 2.0
"""Colour is used where its local contrast exceeds that of luminance by this factor."""
_SAMPLE_SIDE = 256
_HALF_DEPTH = 2**15


def to_grey(picture: Image.Image) -> NDArray[np.uint8]:
    """Grey levels of a decoded picture, shape (H, W).

    Transparent pictures are composited on a background that contrasts with their visible pixels. 16-bit and float
    pixels that use less than half of their depth are stretched. Colours become their luminance, or their projection on
    the axis of greatest local contrast where luminance is nearly flat, as for red ink on blue paper.
    """
    if picture.mode.startswith("I") or picture.mode == "F":
        return _from_deep(np.asarray(picture))
    if picture.has_transparency_data:
        return _from_transparent(picture.convert("RGBA"))
    if picture.mode in {"1", "L"}:
        return np.array(picture.convert("L"))
    # An opaque LA or RGBA picture ends here as well: convert() drops its alpha.
    return _from_colour(picture.convert("RGB"))


def _from_deep(values: NDArray[Any]) -> NDArray[np.uint8]:
    """8 bits of 16 or more: the upper ones, or the range in use if it is less than half of the depth."""
    if values.dtype == np.uint16:
        sample = values[:: max(1, values.shape[0] // 1024), :: max(1, values.shape[1] // 1024)]
        # Percentiles: one dead pixel of a sensor must not set the range.
        low, high = (float(v) for v in np.percentile(sample, (0.05, 99.95)))
        if high - low >= _HALF_DEPTH:
            return np.asarray(values >> 8, np.uint8)
    else:
        finite = values[np.isfinite(values)]
        low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
        if low >= 0 and _HALF_DEPTH / 256 <= high <= 255:  # 8 bits in a wider type
            low, high = 0.0, 255.0
    if high <= low:
        return np.zeros(values.shape, np.uint8)
    scaled = (values.astype(np.float32) - low) * (255 / (high - low))
    return np.asarray(np.clip(np.nan_to_num(scaled) + 0.5, 0, 255), np.uint8)


def _from_transparent(picture: Image.Image) -> NDArray[np.uint8]:
    """A picture with alpha, composited on white, or on black if its visible pixels are light."""
    alpha = np.asarray(picture.getchannel("A"))
    colours = picture.convert("RGB")
    if alpha.min() == alpha.max() > 0:  # uniform alpha has no shape
        return _from_colour(colours)
    if alpha.max() < _VISIBLE:
        return np.full(alpha.shape, 255, np.uint8)
    visible = alpha >= min(128, int(alpha.max()))
    seen = np.asarray(colours)[visible]  # (N, 3)
    low, high = np.percentile(seen, (2, 98), axis=0)
    paper = np.median(seen, axis=0)
    is_light = float(paper @ _LUMINANCE) > 127
    if (high - low).max() < _ONE_COLOUR:
        return alpha if is_light else 255 - alpha
    if visible.mean() <= 0.5:  # the visible pixels are ink, not paper with transparent margins
        is_light = float(seen.mean(axis=0) @ _LUMINANCE) > 127
        paper = np.zeros(3) if is_light else np.full(3, 255.0)
    ground = Image.new("RGB", picture.size, tuple(round(float(v)) for v in paper))
    ground.paste(colours, mask=picture.getchannel("A"))
    return _from_colour(ground)


def _from_colour(picture: Image.Image) -> NDArray[np.uint8]:
    """Luminance, or a projection of the colours if that has far more local contrast."""
    axis = _axis_of_contrast(picture)
    if axis is None:
        return np.array(picture.convert("L"))
    below = float(-axis[axis < 0].sum())  # moves the smallest value that can occur to 0
    return np.array(picture.convert("L", matrix=(*(float(v) for v in axis), 255 * below)))


def _axis_of_contrast(picture: Image.Image) -> NDArray[np.float64] | None:
    """Weights of red, green and blue, their absolute sum 1; None for luminance."""
    small = picture.reduce(max(1, min(picture.size) // _SAMPLE_SIDE))
    around = small.filter(ImageFilter.BoxBlur(max(2, min(small.size) // 8)))
    # Only local contrast counts: light and shadow vary slowly.
    local = (np.asarray(small).astype(np.float32) - np.asarray(around)).reshape(-1, 3)
    covariance = (local.T @ local).astype(np.float64) / len(local)
    axis: NDArray[np.float64] = np.linalg.eigh(covariance)[1][:, -1]
    axis = axis / np.abs(axis).sum() * (1 if axis.sum() >= 0 else -1)
    gain = _COLOUR_GAIN**2 * float(_LUMINANCE @ covariance @ _LUMINANCE)
    return axis if float(axis @ covariance @ axis) > gain else None
