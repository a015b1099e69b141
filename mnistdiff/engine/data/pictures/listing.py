"""List the pictures of a folder, by class, in an order that does not depend on the file system."""

import hashlib
import os
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from mnistdiff.errors import DataError
from mnistdiff.pictures import MAX_CLASSES

SUFFIXES = frozenset((".png", ".jpg", ".jpeg", ".webp", ".gif", ".tif", ".tiff", ".bmp", ".heic", ".heif", ".avif"))
_NO_DATA = frozenset(("thumbs.db", "desktop.ini", "__macosx"))
_SPLITS = frozenset(("train", "training", "test", "testing", "val", "valid", "validation"))
_HINT = "Give a folder with a sub-folder of pictures for each class, or a folder of pictures alone."
_NAMED = 3
"""Files that a message names at most."""


@dataclass(frozen=True)
class Found:
    """A file that is listed: its path, and what changes if its content does."""

    path: Path
    label: int
    state: tuple[int, ...]


@dataclass
class Listing:
    """The pictures of a folder, or one file of them.

    Attributes:
        path: of the folder or file.
        class_names: in the order of the labels; empty for a file, which says them itself.
        files: in the order of their labels, then of the bytes of their paths.
        broken: entries that cannot be listed, with the reason.
        notices: what was left out, in sentences.
    """

    path: Path
    class_names: tuple[str, ...]
    files: list[Found]
    broken: list[tuple[Path, str]] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)

    @property
    def digest(self) -> str:
        """A digest that changes if a file is added, removed, renamed or written to."""
        sha256 = hashlib.sha256(os.fsencode(os.path.realpath(self.path)))
        for name in self.class_names:
            sha256.update(b"\0\0" + name.encode())
        for each in self.files:
            sha256.update(b"\0" + os.fsencode(each.path) + str((each.label, each.state)).encode())
        for path, _ in self.broken:
            sha256.update(b"\0\1" + os.fsencode(path))
        return sha256.hexdigest()


def title_of(path: Path) -> str:
    """The name of a folder or a file, for messages."""
    name = Path(os.path.abspath(path)).name or "pictures"
    return _printable_name(name)[:255]


def list_pictures(path: Path) -> Listing:
    """List a folder: a class for each sub-folder, or one class without sub-folders.

    Hidden entries are passed over; links are followed, but for those to a folder around them.

    Args:
        path: of a folder.

    Raises:
        DataError: if there are no pictures, or too many classes, or their names are no names.
        OSError: if the file system refuses.
    """
    entries = _visible(path)
    folders, files = [each for each in entries if each.is_dir()], [each for each in entries if not each.is_dir()]
    pictures = [each for each in files if is_picture(each)]
    if not folders:
        listing = Listing(path, (title_of(path),), [])
        _add(listing, 0, path, [os.stat(path)])
    else:
        _require_no_splits(path, folders)
        listing = Listing(path, _class_names(path, folders), [])
        for label, folder in enumerate(folders):
            _add(listing, label, folder, [os.stat(path)])
        _require_pictures_of_each(listing, folders)
        if pictures:
            listing.notices.append(f"{path} holds {_counted(pictures)} beside the folders of its classes: left out")
    if not listing.files and not listing.broken:
        raise DataError(f"{path} holds no pictures", _HINT)
    return listing


def is_picture(path: Path) -> bool:
    """Whether the name of a file is that of a picture."""
    return path.suffix.lower() in SUFFIXES


def named(paths: list[Path], root: Path) -> str:
    """The first of some paths, for a message."""
    shown = ", ".join(os.path.relpath(path, root) for path in paths[:_NAMED])
    return shown + (", ..." if len(paths) > _NAMED else "")


def _visible(folder: Path) -> list[Path]:
    """The entries of a folder in the order of the bytes of their names, without hidden ones."""
    names = [name for name in os.listdir(folder) if not name.startswith(".") and name.lower() not in _NO_DATA]
    return [folder / name for name in sorted(names, key=os.fsencode)]


def _add(listing: Listing, label: int, folder: Path, above: list[os.stat_result]) -> None:
    """List a folder of a class, with the folders in it."""
    here = os.stat(folder)
    if any(os.path.samestat(here, each) for each in above) and folder != listing.path:
        listing.broken.append((folder, "a link to a folder around it"))
        return
    for path in _visible(folder):
        if path.is_dir():
            _add(listing, label, path, [*above, here])
        elif is_picture(path):
            try:
                found = os.stat(path)
            except OSError as error:
                listing.broken.append((path, str(error.strerror)))
                continue
            state = (found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)
            listing.files.append(Found(path, label, state))


def _class_names(root: Path, folders: list[Path]) -> tuple[str, ...]:
    """The names of class folders, composed (NFC) and unique."""
    if len(folders) > MAX_CLASSES:
        raise DataError(f"{root} holds {len(folders)} folders, and a data set has at most {MAX_CLASSES} classes", _HINT)
    names: dict[str, Path] = {}
    for folder in folders:
        name = unicodedata.normalize("NFC", folder.name)
        if name != _printable_name(name):
            raise DataError(
                f"the name of the folder {folder} is not that of a class: it holds what is no character",
                "Rename the folder.",
            )
        if name in names:
            raise DataError(
                f"{names[name]} and {folder} are two classes with one name: they differ in the encoding of its letters",
                "Rename one of them.",
            )
        names[name] = folder
    return tuple(names)


def _printable_name(name: str) -> str:
    """A name of characters that can be printed and stored as UTF-8."""
    return "".join(each if each.isprintable() else "?" for each in name)


def _require_no_splits(root: Path, folders: list[Path]) -> None:
    if all(each.name.lower() in _SPLITS for each in folders) and any(
        entry.is_dir() for folder in folders for entry in _visible(folder)
    ):
        names = " and ".join(each.name for each in folders)
        raise DataError(f"the folders of {root} are {names}, not classes", f"Give one of them: {folders[0]}.")


def _require_pictures_of_each(listing: Listing, folders: list[Path]) -> None:
    full = {each.label for each in listing.files} | {
        label for label, folder in enumerate(folders) for path, _ in listing.broken if path.is_relative_to(folder)
    }
    empty = [folder for label, folder in enumerate(folders) if label not in full]
    if empty:
        raise DataError(
            f"{listing.path} holds no pictures of {_counted(empty, 'class', 'classes')}: {named(empty, listing.path)}"
            if full
            else f"{listing.path} and its folders hold no pictures",
            "Put pictures into each of these folders, or remove them." if full else _HINT,
        )


def _counted(things: list[Path], one: str = "picture", several: str = "pictures") -> str:
    return f"{len(things):,} {one if len(things) == 1 else several}"


def classes_of(listing: Listing) -> Iterator[tuple[str, int]]:
    """Each class and the number of its pictures."""
    for label, name in enumerate(listing.class_names):
        yield name, sum(each.label == label for each in listing.files)
