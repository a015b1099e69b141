"""Input images: files, or stdin."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mnistdiff.cli import console
from mnistdiff.engine.threads import import_numpy
from mnistdiff.errors import SettingsError

if TYPE_CHECKING:
    from mnistdiff.engine.data.datasets import DatasetSpec
    from mnistdiff.engine.data.image_files import Picture
    from mnistdiff.engine.data.preprocess import PreparedDigit

STDIN = Path("-")
_SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".gif", ".tif", ".tiff", ".bmp", ".heic", ".heif", ".avif"}
_KINDS = "(PNG, JPEG, WebP, GIF, TIFF, BMP); - is stdin."
ImagePath = Annotated[Path, typer.Argument(metavar="IMAGE", readable=False, help=f"An image of one digit {_KINDS}")]
ImagePaths = Annotated[
    list[Path], typer.Argument(metavar="IMAGE", readable=False, help=f"Images of one digit each {_KINDS}")
]


def is_image(path: Path) -> bool:
    """Whether an argument names an image and not a model: by its suffix, or as ``-``; nothing is opened."""
    return path == STDIN or path.suffix.lower() in _SUFFIXES


def read(path: Path) -> "Picture":
    """Read an image file; ``-`` is stdin.

    Raises:
        StorageError: if it cannot be read.
        SettingsError: if stdin is a terminal, or closed.
    """
    import_numpy()
    from mnistdiff.engine.data.image_files import Picture

    if path != STDIN:
        return Picture.read(path)
    if sys.stdin is None or sys.stdin.isatty():
        raise SettingsError("- is an image on stdin, and nothing sends one", "Send it: mnistdiff ... - < digit.png")
    return Picture.receive("stdin", sys.stdin.buffer)


def prepare_digit(image: "Picture", dataset: "DatasetSpec") -> "PreparedDigit":
    """Preprocess an image to the format of a data set, and print warnings about it.

    Raises:
        StorageError: if it cannot be decoded.
        SettingsError: if it shows no digit.
    """
    from mnistdiff.engine.data.preprocess import preprocess

    prepared = preprocess(image, dataset)
    for notice in prepared.notices:
        console.warn(notice)
    return prepared
