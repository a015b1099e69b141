"""Reading a drawn curve."""

import io

import numpy as np
from PIL import Image, ImageColor

BOLD = ImageColor.getrgb("#1b4f8f")


def pixels(png):
    with Image.open(io.BytesIO(png)) as picture:
        assert picture.format == "PNG"
        assert picture.text == {}
        return np.asarray(picture.convert("RGB"))


def bold(png):
    """Rows and columns of the pixels of the bold line."""
    return np.argwhere((pixels(png) == BOLD).all(axis=2)).T
