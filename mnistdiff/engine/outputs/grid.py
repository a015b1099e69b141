"""Labelled grids: small images in rows on a white background, each row with a label."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from mnistdiff.errors import SettingsError

Row = tuple[str, Sequence[NDArray[np.uint8]]]
_Shapes = Sequence[tuple[str, Sequence[tuple[int, int]]]]
"""Rows as above, with the height and width of each image."""

MAX_SHEET_PIXELS = 64_000_000
"""Larger sheets are refused: no viewer shows them, and provenance metadata may come from an untrusted source."""

_BACKGROUND = 255
_LABEL_COLOUR = 70
_TITLE_COLOUR = 20


@dataclass(frozen=True)
class _Layout:
    """Sizes and positions, in pixels of the sheet."""

    cell_height: int
    cell_width: int
    row_height: int
    gap: int
    margin: int
    left: int
    """Left edge of the first image of a row; its label ends before it."""
    top: int
    """Upper edge of the first row, below the title and the column headings."""
    height: int
    width: int


_Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def labelled_grid(
    rows: Sequence[Row], *, scale: int = 2, title: str = "", columns: Sequence[str] = ()
) -> NDArray[np.uint8]:
    """A sheet of images, one row per label. The same arguments give the same pixels.

    Every cell is as large as the largest image; smaller images are centred. Rows may differ in length.

    Args:
        rows: labels, and at least one image of each: grey levels, uint8 (H, W). A label may be empty, and is ASCII.
        scale: enlargement of the images, by repeating pixels.
        title: a line above the rows; may be empty.
        columns: a heading for each column, or none.

    Returns:
        grey levels, uint8 (H, W).

    Raises:
        SettingsError: if the sheet would have more than ``MAX_SHEET_PIXELS``.
    """
    shapes = [(label, [(image.shape[0], image.shape[1]) for image in images]) for label, images in rows]
    label_font, title_font = fonts = _fonts(shapes, scale)
    layout = _lay_out(shapes, fonts, scale=scale, title=title, columns=columns)
    _require_room(layout)
    sheet = Image.new("L", (layout.width, layout.height), _BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    draw.text((layout.left, layout.margin), title, fill=_TITLE_COLOUR, font=title_font, anchor="la")
    for number, heading in enumerate(columns):
        middle = layout.left + number * (layout.cell_width + layout.gap) + layout.cell_width // 2
        draw.text((middle, layout.top - layout.gap), heading, fill=_LABEL_COLOUR, font=label_font, anchor="mb")
    for number, (label, images) in enumerate(rows):
        middle = layout.top + number * (layout.row_height + layout.gap) + layout.row_height // 2
        label_end = (layout.left - _label_gap(layout.cell_height), middle)
        draw.text(label_end, label, fill=_LABEL_COLOUR, font=label_font, anchor="rm", align="right")
        for column, image in enumerate(images):
            height, width = image.shape[0] * scale, image.shape[1] * scale
            tile = Image.fromarray(image).resize((width, height), Image.Resampling.NEAREST)
            x = layout.left + column * (layout.cell_width + layout.gap) + (layout.cell_width - width) // 2
            sheet.paste(tile, (x, middle - height // 2))
    return np.array(sheet)


def require_room(rows: _Shapes, *, columns: Sequence[str] = ()) -> None:
    """Raise SettingsError if the ``labelled_grid`` of images of these shapes would be too large."""
    scale = 2
    _require_room(_lay_out(rows, _fonts(rows, scale), scale=scale, title="", columns=columns))


def _require_room(layout: _Layout) -> None:
    if layout.width * layout.height > MAX_SHEET_PIXELS:
        raise SettingsError(
            f"the sheet would have {layout.width:,}x{layout.height:,} pixels, more than {MAX_SHEET_PIXELS:,} in all",
            "Use fewer images or smaller ones.",
        )


def captioned(sheet: NDArray[np.uint8], caption: str) -> NDArray[np.uint8]:
    """A sheet, grey levels, uint8 (H, W), with a line of text above it."""
    font = ImageFont.load_default(16)
    _, height = _text_size(caption, font)
    above = 2 * height
    whole = Image.new("L", (sheet.shape[1], sheet.shape[0] + above), _BACKGROUND)
    whole.paste(Image.fromarray(sheet), (0, above))
    ImageDraw.Draw(whole).text((height, height), caption, fill=_TITLE_COLOUR, font=font, anchor="la")
    return np.array(whole)


def _lay_out(rows: _Shapes, fonts: tuple[_Font, _Font], *, scale: int, title: str, columns: Sequence[str]) -> _Layout:
    label_font, title_font = fonts
    cell_height, cell_width = _cell(rows, scale)
    heading_sizes = [_text_size(heading, label_font) for heading in columns]
    cell_width = max([cell_width, *(width for width, _ in heading_sizes)])
    label_sizes = [_text_size(label, label_font) for label, _ in rows]
    label_width = max(width for width, _ in label_sizes)
    title_width, title_height = _text_size(title, title_font)

    gap = 2 * scale
    margin = max(8, cell_height // 4)
    row_height = max(cell_height, *(height for _, height in label_sizes))
    left = margin + (label_width + _label_gap(cell_height) if label_width else 0)
    top = margin + (title_height + margin if title else 0)
    top += max((height + gap for _, height in heading_sizes), default=0)
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


def _fonts(rows: _Shapes, scale: int) -> tuple[_Font, _Font]:
    """Fonts of the labels and of the title, in proportion to the images, of 12 to 24 pixels."""
    size = min(max(_cell(rows, scale)[0] * 3 // 10, 12), 24)
    return ImageFont.load_default(size), ImageFont.load_default(max(size - 2, 12))


def _label_gap(cell_height: int) -> int:
    return max(6, cell_height // 6)


def _text_size(text: str, font: _Font) -> tuple[int, int]:
    """Width and height in pixels of a text of one or several lines; (0, 0) for an empty one."""
    if not text:
        return 0, 0
    ruler = ImageDraw.Draw(Image.new("L", (1, 1)))
    left, top, right, bottom = ruler.textbbox((0, 0), text, font=font)
    return math.ceil(right - min(left, 0)), math.ceil(bottom - min(top, 0))
