"""Pictures that a user hands over: files, or a pipe on stdin."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mnistdiff.errors import SettingsError

if TYPE_CHECKING:
    from mnistdiff.engine.rendering.picture import Picture

STDIN = Path("-")
Scan = Annotated[
    Path, typer.Argument(metavar="PICTURE", readable=False, help="A PNG or JPEG picture of one digit; - is stdin.")
]


def are_given(sources: Sequence[Path]) -> bool:
    """Whether what ``grid`` was given are pictures, by their names, and not a model."""
    return any(path.suffix.lower() == ".png" or path == STDIN for path in map(Path, sources))


def read(path: Path) -> "Picture":
    """A picture file; ``-`` is stdin.

    Raises:
        StorageError: if it cannot be read.
        SettingsError: if stdin is a terminal, or closed.
    """
    from mnistdiff.engine.rendering.picture import Picture

    if path != STDIN:
        return Picture.read(path)
    if sys.stdin is None or sys.stdin.isatty():
        raise SettingsError("- is a picture on stdin, and nothing sends one", "Send it: mnistdiff ... - < digit.png")
    return Picture.receive("stdin", sys.stdin.buffer)
