"""Images printed in the terminal."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from rich.text import Text
from rich_pixels import Pixels

_SHADES = " .:-=+*#%@"


def show_digits(images: Sequence[NDArray[np.uint8]], console: Console, *, small: bool = False) -> None:
    """Print images side by side, as many as fit: as coloured half blocks, or as characters if there is no colour.

    Args:
        images: grey levels, shape (H, W) each.
        console: where to print.
        small: at half the size.
    """
    if small:
        images = [np.asarray(Image.fromarray(image).reduce(2)) for image in images]
    fitting = max(1, console.width // (images[0].shape[1] + 1)) if images else 1
    for start in range(0, len(images), fitting):
        _show_row(images[start : start + fitting], console)


def _show_row(images: Sequence[NDArray[np.uint8]], console: Console) -> None:
    row = Image.fromarray(np.hstack([np.pad(image, ((0, 0), (0, 1))) for image in images]))
    if console.color_system and not console.no_color:
        console.print(Pixels.from_image(row.convert("RGB")), soft_wrap=False)
        return
    # A character is twice as high as it is wide.
    levels = np.asarray(row.resize((row.width, row.height // 2)), dtype=np.int64)
    for line in levels * (len(_SHADES) - 1) // 255:
        console.print(Text("".join(_SHADES[shade] for shade in line).rstrip()))
