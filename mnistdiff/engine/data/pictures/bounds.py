"""What a set of pictures may hold: classes, and bytes in memory."""

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from mnistdiff.errors import DataError
from mnistdiff.pictures import MAX_CLASSES

MAX_BYTES = 2 * 10**9
_NAMED = 3
_LONGEST_NAME = 255
_LONGEST_NAMES = 20_000
"""Bytes of all class names, as JSON: the header of a checkpoint is bounded."""


def named(things: Sequence[Path | str], root: Path) -> str:
    """The first of some paths or names, for a message, and the number of the others."""
    names = [os.path.relpath(each, root) if isinstance(each, Path) else each for each in things]
    return ", ".join(names[:_NAMED]) + f" and {len(names) - _NAMED:,} more" * (len(names) > _NAMED)


def require_room(path: Path, count: int) -> None:
    """Raise DataError if images of so many bytes are more than are held in memory."""
    if count > MAX_BYTES:
        raise DataError(
            f"the images of {path} take {count / 1e9:.1f} GB of memory, more than {MAX_BYTES / 1e9:.0f} GB",
            "Use fewer pictures, or a smaller `image_size`.",
        )


def require_classes(path: Path, count: int) -> None:
    """Raise DataError if there are more classes than labels."""
    if count > MAX_CLASSES:
        raise DataError(
            f"{path} holds {count:,} classes, and a data set has at most {MAX_CLASSES}",
            "Join classes, or give a folder without sub-folders, which is one class.",
        )


def require_names(path: Path, names: Sequence[str]) -> None:
    """Raise DataError unless class names are different, can be printed, and are short enough for a checkpoint."""
    for name in names:
        if not name or not name.isprintable() or len(name) > _LONGEST_NAME:
            raise DataError(
                f"the name {ascii(name)[:_LONGEST_NAME]} in {path} is not that of a class: it is empty, longer than "
                f"{_LONGEST_NAME} characters, or has some that cannot be printed",
                "Rename the class.",
            )
    twice = next((name for number, name in enumerate(names) if name in names[:number]), None)
    if twice is not None:
        raise DataError(
            f"two classes of {path} have the name {twice}; folders may differ in the encoding of its characters",
            "Rename one of them, or put their pictures into one.",
        )
    if (length := len(json.dumps([*names]))) > _LONGEST_NAMES:
        raise DataError(
            f"the names of the {len(names)} classes of {path} are {length:,} bytes long, more than {_LONGEST_NAMES:,}",
            "Give shorter names: checkpoints store them.",
        )


def scarcity(path: Path, class_names: Sequence[str], counts: Sequence[int]) -> Iterator[str]:
    """A warning about classes of one picture.

    Raises:
        DataError: if a class has none, or no class has two.
    """
    empty = [name for name, count in zip(class_names, counts, strict=True) if not count]
    if empty:
        raise DataError(f"no picture of {named(empty, path)} in {path} can be read", "Give others of this class.")
    single = [name for name, count in zip(class_names, counts, strict=True) if count == 1]
    if len(single) == len(class_names):
        of_each = " of each class" if len(single) > 1 else ""
        raise DataError(
            f"{path} holds one picture{of_each}, which a model could only copy",
            "Give several pictures of a class; those of one class need no folder of their own.",
        )
    if single:
        yield f"{path} holds one picture only of {named(single, path)}: samples of a class with one are copies of it"
