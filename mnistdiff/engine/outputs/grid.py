"""Labelled grids: small images in rows on a white background, each row with a label."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mnistdiff.engine.outputs.captions import font_for
from mnistdiff.errors import SettingsError

if TYPE_CHECKING:
    from mnistdiff.engine.outputs.captions import Font

Row = tuple[str, Sequence[NDArray[np.uint8]]]
_Shapes = Sequence[tuple[str, Sequence[tuple[int, int]]]]
"""Rows as above, with the height and width of each image."""

MAX_SHEET_PIXELS = 64_000_000
"""Larger sheets are refused: no viewer shows them, and provenance metadata may come from an untrusted source."""

_BACKGROUND = 255
_LABEL_COLOUR = 70
_TITLE_COLOUR = 20


class _Layout:
    """Sizes and positions, in pixels of the sheet.

    Attributes:
        left: of the first image of a row; its label ends ``label_gap`` before it.
        top: of the first row, below the title and the column headings.
    """

    def __init__(self, rows: _Shapes, *, scale: int, title: str, columns: Sequence[str]) -> None:
        shapes = [shape for _, images in rows for shape in images]
        self.cell_height = max(height for height, _ in shapes) * scale
        # In proportion to the images, from 12 to 24 pixels.
        font_size = min(max(self.cell_height * 3 // 10, 12), 24)
        self.label_font = font_for([*columns, *(label for label, _ in rows)], font_size)
        self.title_font = font_for([title], max(font_size - 2, 12))
        headings = [_text_size(heading, self.label_font) for heading in columns]
        labels = [_text_size(label, self.label_font) for label, _ in rows]
        label_width = max(width for width, _ in labels)
        title_width, title_height = _text_size(title, self.title_font)

        self.cell_width = max([*(width * scale for _, width in shapes), *(width for width, _ in headings)])
        self.gap = 2 * scale
        self.label_gap = max(6, self.cell_height // 6)
        self.margin = max(8, self.cell_height // 4)
        self.row_height = max(self.cell_height, *(height for _, height in labels))
        self.left = self.margin + (label_width + self.label_gap if label_width else 0)
        self.top = self.margin + (title_height + self.margin if title else 0)
        self.top += max((height + self.gap for _, height in headings), default=0)
        longest = max(len(images) for _, images in rows)
        self.height = self.top + len(rows) * (self.row_height + self.gap) - self.gap + self.margin
        self.width = self.left + max(longest * (self.cell_width + self.gap) - self.gap, title_width) + self.margin

    def require_room(self) -> None:
        """Raise SettingsError if the sheet would be too large."""
        if self.width * self.height > MAX_SHEET_PIXELS:
            raise SettingsError(
                f"the sheet would have {self.width:,}x{self.height:,} pixels, more than {MAX_SHEET_PIXELS:,} in all",
                "Use fewer images or smaller ones.",
            )


def labelled_grid(
    rows: Sequence[Row], *, scale: int = 2, title: str = "", columns: Sequence[str] = ()
) -> NDArray[np.uint8]:
    """A sheet of images, one row per label. The same arguments give the same pixels.

    Every cell is as large as the largest image; smaller images are centred. Rows may differ in length.

    Args:
        rows: labels, and at least one image of each: grey levels, uint8 (H, W). A label may be empty.
        scale: enlargement of the images, by repeating pixels.
        title: a line above the rows; may be empty.
        columns: a heading for each column, or none.

    Returns:
        grey levels, uint8 (H, W).

    Raises:
        SettingsError: if the sheet would have more than ``MAX_SHEET_PIXELS``.
    """
    from PIL import Image, ImageDraw

    shapes = [(label, [(image.shape[0], image.shape[1]) for image in images]) for label, images in rows]
    layout = _Layout(shapes, scale=scale, title=title, columns=columns)
    layout.require_room()
    sheet = Image.new("L", (layout.width, layout.height), _BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    draw.text((layout.left, layout.margin), title, fill=_TITLE_COLOUR, font=layout.title_font, anchor="la")
    for number, heading in enumerate(columns):
        middle = layout.left + number * (layout.cell_width + layout.gap) + layout.cell_width // 2
        draw.text((middle, layout.top - layout.gap), heading, fill=_LABEL_COLOUR, font=layout.label_font, anchor="mb")
    for number, (label, images) in enumerate(rows):
        middle = layout.top + number * (layout.row_height + layout.gap) + layout.row_height // 2
        label_end = (layout.left - layout.label_gap, middle)
        draw.text(label_end, label, fill=_LABEL_COLOUR, font=layout.label_font, anchor="rm", align="right")
        for column, image in enumerate(images):
            height, width = image.shape[0] * scale, image.shape[1] * scale
            tile = Image.fromarray(image).resize((width, height), Image.Resampling.NEAREST)
            x = layout.left + column * (layout.cell_width + layout.gap) + (layout.cell_width - width) // 2
            sheet.paste(tile, (x, middle - height // 2))
    return np.array(sheet)


def require_room(rows: _Shapes, *, columns: Sequence[str] = ()) -> None:
    """Raise SettingsError if the ``labelled_grid`` of images of these shapes would be too large."""
    _Layout(rows, scale=2, title="", columns=columns).require_room()


def captioned(sheet: NDArray[np.uint8], caption: str) -> NDArray[np.uint8]:
    """A sheet, grey levels, uint8 (H, W), with a line of text above it."""
    from PIL import Image, ImageDraw

    font = font_for([caption], 16)
    _, height = _text_size(caption, font)
    above = 2 * height
    whole = Image.new("L", (sheet.shape[1], sheet.shape[0] + above), _BACKGROUND)
    whole.paste(Image.fromarray(sheet), (0, above))
    ImageDraw.Draw(whole).text((height, height), caption, fill=_TITLE_COLOUR, font=font, anchor="la")
    return np.array(whole)


def _text_size(text: str, font: "Font") -> tuple[int, int]:
    """Width and height in pixels of a text of one or several lines; (0, 0) for an empty one."""
    if not text:
        return 0, 0
    from PIL import Image, ImageDraw

    ruler = ImageDraw.Draw(Image.new("L", (1, 1)))
    left, top, right, bottom = ruler.textbbox((0, 0), text, font=font)
    return math.ceil(right - min(left, 0)), math.ceil(bottom - min(top, 0))
