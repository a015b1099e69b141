"""Many small images on one sheet: a row per label, black tiles on white paper."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from mnistdiff.errors import SettingsError

Row = tuple[str, Sequence[NDArray[np.uint8]]]
_Shapes = Sequence[tuple[str, Sequence[tuple[int, int]]]]
"""The rows, with the height and width of each image in its place."""

MAX_SHEET_PIXELS = 64_000_000
"""A larger sheet is not made: nobody can look at it, and the pictures that ask for it may come from somebody else."""

_PAPER = 255
_LABEL_INK = 70
_TITLE_INK = 20


@dataclass(frozen=True)
class _Layout:
    """Where everything lies, in pixels of the sheet."""

    cell_height: int
    cell_width: int
    row_height: int
    gap: int
    margin: int
    left: int
    """Where the first tile of a row begins; its label ends shortly before."""
    top: int
    """Where the first row begins, below the title and the words above the columns."""
    height: int
    width: int


@dataclass(frozen=True)
class _Fonts:
    label: ImageFont.FreeTypeFont | ImageFont.ImageFont
    title: ImageFont.FreeTypeFont | ImageFont.ImageFont


def labelled_grid(
    rows: Sequence[Row], *, scale: int = 2, title: str = "", columns: Sequence[str] = ()
) -> NDArray[np.uint8]:
    """One sheet of images, a row per label. The same arguments give the same pixels.

    Every cell is as large as the largest image; smaller images are centred in theirs. Rows may differ in length.

    Args:
        rows: label, and the images to its right: grey levels, each of a shape (H, W). A label may be empty; the
            font, the one inside Pillow, knows ASCII.
        scale: pixels of the sheet per pixel of an image, each way; enlarging repeats pixels, it does not blur.
        title: a line above the rows; empty for none.
        columns: a word above each column; none, or one for each.

    Returns:
        grey levels, shape (H, W), on white.

    Raises:
        ValueError: if there is no row, a row without images, or a scale below 1.
        SettingsError: if the sheet would have more than ``MAX_SHEET_PIXELS``.
    """
    if len(rows) == 0 or any(len(images) == 0 for _, images in rows):
        raise ValueError("a grid needs at least one row, and each row at least one image")
    if scale < 1:
        raise ValueError(f"scale must be at least 1, not {scale}")

    shapes = [(label, [(image.shape[0], image.shape[1]) for image in images]) for label, images in rows]
    fonts = _fonts(shapes, scale)
    layout = _lay_out(shapes, fonts, scale=scale, title=title, columns=columns)
    _require_room(layout)
    sheet = Image.new("L", (layout.width, layout.height), _PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((layout.left, layout.margin), title, fill=_TITLE_INK, font=fonts.title, anchor="la")
    for number, word in enumerate(columns):
        middle = layout.left + number * (layout.cell_width + layout.gap) + layout.cell_width // 2
        draw.text((middle, layout.top - layout.gap), word, fill=_LABEL_INK, font=fonts.label, anchor="mb")
    for number, (label, images) in enumerate(rows):
        middle = layout.top + number * (layout.row_height + layout.gap) + layout.row_height // 2
        label_end = (layout.left - _label_gap(layout.cell_height), middle)
        draw.text(label_end, label, fill=_LABEL_INK, font=fonts.label, anchor="rm", align="right")
        for column, image in enumerate(images):
            height, width = image.shape[0] * scale, image.shape[1] * scale
            tile = Image.fromarray(image).resize((width, height), Image.Resampling.NEAREST)
            x = layout.left + column * (layout.cell_width + layout.gap) + (layout.cell_width - width) // 2
            sheet.paste(tile, (x, middle - height // 2))
    return np.array(sheet)


def require_room(rows: _Shapes, *, columns: Sequence[str] = ()) -> None:
    """Raise SettingsError if the sheet that ``labelled_grid`` makes of images of these shapes would be too large."""
    scale = 2
    _require_room(_lay_out(rows, _fonts(rows, scale), scale=scale, title="", columns=columns))


def _require_room(layout: _Layout) -> None:
    if layout.width * layout.height > MAX_SHEET_PIXELS:
        raise SettingsError(
            f"the sheet would have {layout.width:,}x{layout.height:,} pixels, more than {MAX_SHEET_PIXELS:,} in all",
            "Use fewer images or smaller ones.",
        )


def captioned(sheet: NDArray[np.uint8], caption: str) -> NDArray[np.uint8]:
    """A sheet, grey levels of shape (H, W), with a line above it."""
    font = ImageFont.load_default(16)
    _, height = _text_size(caption, font)
    above = 2 * height
    whole = Image.new("L", (sheet.shape[1], sheet.shape[0] + above), _PAPER)
    whole.paste(Image.fromarray(sheet), (0, above))
    ImageDraw.Draw(whole).text((height, height), caption, fill=_TITLE_INK, font=font, anchor="la")
    return np.array(whole)


def _lay_out(rows: _Shapes, fonts: _Fonts, *, scale: int, title: str, columns: Sequence[str]) -> _Layout:
    cell_height, cell_width = _cell(rows, scale)
    word_sizes = [_text_size(word, fonts.label) for word in columns]
    cell_width = max([cell_width, *(width for width, _ in word_sizes)])
    label_sizes = [_text_size(label, fonts.label) for label, _ in rows]
    label_width = max(width for width, _ in label_sizes)
    title_width, title_height = _text_size(title, fonts.title)

    gap = 2 * scale
    margin = max(8, cell_height // 4)
    row_height = max(cell_height, *(height for _, height in label_sizes))
    left = margin + (label_width + _label_gap(cell_height) if label_width else 0)
    top = margin + (title_height + margin if title else 0)
    top += max((height + gap for _, height in word_sizes), default=0)
    longest = max(len(images) for _, images in rows)
    return _Layout(
        cell_height=cell_height,
        cell_width=cell_width,
        row_height=row_height,
        gap=gap,
        margin=margin,
        left=left,
        top=top,
        height=top + len(rows) * (row_height + gap) - gap + margin,
        width=left + max(longest * (cell_width + gap) - gap, title_width) + margin,
    )


def _cell(rows: _Shapes, scale: int) -> tuple[int, int]:
    """Height and width of the largest image, enlarged."""
    shapes = [shape for _, images in rows for shape in images]
    return max(height for height, _ in shapes) * scale, max(width for _, width in shapes) * scale


def _fonts(rows: _Shapes, scale: int) -> _Fonts:
    """Text in proportion to the tiles, within what can be read and what does not shout."""
    size = min(max(_cell(rows, scale)[0] * 3 // 10, 12), 24)
    return _Fonts(label=ImageFont.load_default(size), title=ImageFont.load_default(max(size - 2, 12)))


def _label_gap(cell_height: int) -> int:
    return max(6, cell_height // 6)


def _text_size(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> tuple[int, int]:
    """Width and height in pixels that hold the text, which may have several lines; (0, 0) for none."""
    if not text:
        return 0, 0
    ruler = ImageDraw.Draw(Image.new("L", (1, 1)))
    left, top, right, bottom = ruler.textbbox((0, 0), text, font=font)
    return math.ceil(right - min(left, 0)), math.ceil(bottom - min(top, 0))
