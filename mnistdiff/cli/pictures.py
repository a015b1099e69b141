"""Pictures that a user hands over: files, or a pipe on stdin."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mnistdiff.cli import console
from mnistdiff.errors import SettingsError

if TYPE_CHECKING:
    from mnistdiff.engine.data.image_files import Picture
    from mnistdiff.engine.data.preprocess import PreparedDigit

STDIN = Path("-")
_SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".gif", ".tif", ".tiff", ".bmp", ".heic", ".heif", ".avif"}
_FIRST_BYTES = 16
Scan = Annotated[
    Path,
    typer.Argument(
        metavar="PICTURE", readable=False, help="A picture of one digit (PNG, JPEG, WebP, GIF, TIFF, BMP); - is stdin."
    ),
]


def are_given(sources: Sequence[Path]) -> bool:
    """Whether what ``grid`` was given are pictures and not a model."""
    return any(map(is_picture, map(Path, sources)))


def is_picture(path: Path) -> bool:
    """Whether a path means a picture and not a run or a checkpoint: by its content, or where that says nothing by name.

    Nothing is opened but files: a named pipe would wait for its writer.
    """
    if path == STDIN or path.suffix.lower() in _SUFFIXES:
        return True
    from mnistdiff.engine.data.decoding.formats import kind_of

    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return kind_of(file.read(_FIRST_BYTES)) is not None
    except OSError:
        return False


def read(path: Path) -> "Picture":
    """A picture file; ``-`` is stdin.

    Raises:
        StorageError: if it cannot be read.
        SettingsError: if stdin is a terminal, or closed.
    """
    from mnistdiff.engine.data.image_files import Picture

    if path != STDIN:
        return Picture.read(path)
    if sys.stdin is None or sys.stdin.isatty():
        raise SettingsError("- is a picture on stdin, and nothing sends one", "Send it: mnistdiff ... - < digit.png")
    return Picture.receive("stdin", sys.stdin.buffer)


def digit(picture: "Picture") -> "PreparedDigit":
    """The digit of a picture as MNIST holds it. What may be wrong with it is a warning.

    Raises:
        StorageError: if the picture cannot be read.
        SettingsError: if it shows no digit.
    """
    from mnistdiff.engine.data.preprocess import as_mnist

    prepared = as_mnist(picture.photograph(), name=picture.name)
    for notice in prepared.notices:
        console.warn(notice)
    return prepared
