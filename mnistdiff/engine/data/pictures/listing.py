"""List the pictures of a folder, by class, in an order that does not depend on the file system."""

import hashlib
import os
import re
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path

from mnistdiff.engine.data.class_names import CLASSES_FILE
from mnistdiff.engine.data.pictures.bounds import named, require_classes, require_names
from mnistdiff.errors import DataError

_SUFFIXES = frozenset((".png", ".jpg", ".jpeg", ".webp", ".gif", ".tif", ".tiff", ".bmp", ".heic", ".heif", ".avif"))
_NO_DATA = frozenset(("thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx"))
_SPLITS = frozenset(("train", "training", "test", "testing", "val", "valid", "validation"))
_IDX = re.compile(r"(?P<stem>.*)images[-.]idx3[-.]ubyte(?P<packed>\.gz)?", re.IGNORECASE | re.DOTALL)
_HINT = "Give a folder with a sub-folder of pictures for each class, or a folder of pictures alone."
_KINDS = "Give a folder of pictures, a .csv or .npz file as mnistdiff sample writes them, or IDX files."


@dataclass(frozen=True)
class Found:
    """A file: its path, the label of what it shows, and what changes with its content."""

    path: Path
    label: int
    state: tuple[int, ...]

    @classmethod
    def at(cls, path: Path, label: int = 0) -> "Found":
        """The file at a path."""
        status = os.stat(path)
        return cls(path, label, (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino))


@dataclass
class Listing:
    """The pictures of a folder, or one file of them.

    Attributes:
        path: of the folder or file.
        class_names: in the order of the labels; empty where the files themselves hold labels.
        files: in the order of their labels, then of the bytes of their paths.
        broken: entries that are no files, with the reason.
        notices: what was left out, in sentences.
    """

    path: Path
    class_names: tuple[str, ...] = ()
    files: list[Found] = field(default_factory=list)
    broken: list[tuple[Path, str]] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)

    @property
    def digest(self) -> str:
        """A digest that changes if a file is added, removed, renamed or written to."""
        sha256 = hashlib.sha256(os.fsencode(os.path.realpath(self.path)))
        for name in self.class_names:
            sha256.update(b"\0\0" + name.encode())
        root = os.fsencode(self.path)
        for each in self.files:
            below = os.fsencode(each.path).removeprefix(root)  # however the path of the folder was written
            sha256.update(b"\0" + below + str((each.label, each.state)).encode())
        for path, _ in self.broken:
            sha256.update(b"\0\1" + os.fsencode(path).removeprefix(root))
        sha256.update("\0".join(self.notices).encode(errors="surrogateescape"))
        return sha256.hexdigest()


def list_pictures(path: Path) -> Listing:
    """List a folder or a file of pictures.

    Of a folder, each sub-folder is a class; without sub-folders it is one class. Hidden entries are passed over, and
    links are followed, but for those to a folder around them. A folder with IDX files is these.

    Raises:
        DataError: if there are no pictures, or too many classes, or their names are no names.
        OSError: if the file system refuses.
    """
    if not path.exists():
        raise DataError(f"there is no file or folder {path}", _KINDS)
    if not path.is_dir():
        return _list_file(path)
    for folder in (path, path / "raw", *sorted(path.glob("*/raw"), key=os.fsencode)):
        if folder.is_dir() and (pairs := _idx_pairs(folder)):
            return _idx_listing(path, *_pair_to_train_on(folder, pairs))
    return _list_folder(path)


def title_of(path: Path) -> str:
    """The name of a folder or a file, as messages show it."""
    return _printable(Path(os.path.abspath(path)).name)[:100] or "pictures"


def _list_file(path: Path) -> Listing:
    name = path.name.lower()
    if not path.is_file():
        raise DataError(f"{path} is neither a folder nor a file", _KINDS)
    if name.endswith((".csv", ".csv.gz", ".npz")):
        return Listing(path, files=[Found.at(path)])
    if _IDX.fullmatch(path.name):
        labels = _idx_pairs(path.parent).get(path)
        if labels is None:
            raise DataError(f"{path} has no file of labels beside it", f"Name it {_labels_name(path)}.")
        return _idx_listing(path, path, labels)
    raise DataError(f"{path} is not a file of images with labels", _KINDS)


def _idx_listing(path: Path, images: Path, labels: Path) -> Listing:
    names = images.with_name(CLASSES_FILE)
    return Listing(path, files=[Found.at(each) for each in (images, labels, *([names] if names.is_file() else []))])


def _labels_name(images: Path) -> str:
    return re.sub("images([-.])idx3", r"labels\1idx1", images.name, flags=re.IGNORECASE)


def _idx_pairs(folder: Path) -> dict[Path, Path]:
    """The IDX files of images in a folder, with those of their labels, each packed or not."""
    entries = {each.name.lower().removesuffix(".gz"): each for each in _visible(folder) if each.is_file()}
    images = [each for each in entries.values() if _IDX.fullmatch(each.name)]
    labels = {each: _labels_name(each).lower().removesuffix(".gz") for each in images}
    return {each: entries[name] for each, name in labels.items() if name in entries}


def _pair_to_train_on(folder: Path, pairs: dict[Path, Path]) -> tuple[Path, Path]:
    training = [each for each in pairs if each.name.lower().startswith("train")] if len(pairs) > 1 else [*pairs]
    if len(training) != 1:
        raise DataError(
            f"{folder} holds {len(pairs)} files of images: {named([*pairs], folder)}",
            "Name one of them, or its folder.",
        )
    return training[0], pairs[training[0]]


def _list_folder(path: Path) -> Listing:
    entries = _visible(path)
    folders, files = [each for each in entries if each.is_dir()], [each for each in entries if not each.is_dir()]
    if folders:
        _require_no_splits(path, folders)
        listing = Listing(path, _class_names(path, folders))
        for label, folder in enumerate(folders):
            _add(listing, label, folder, os.stat(path))
        _require_pictures_of_each(listing, folders)
        if beside := [each for each in files if _is_picture(each)]:
            listing.notices.append(f"left out, beside the folders of the classes: {named(beside, path)}")
    else:
        listing = Listing(path, (title_of(path),))
        _add_files(listing, 0, files)
    if not listing.files and not listing.broken:
        raise DataError(f"{path} holds no pictures", _HINT)
    return listing


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in _SUFFIXES


def _visible(folder: Path) -> list[Path]:
    """The entries of a folder in the order of the bytes of their names, without hidden ones."""
    names = [name for name in os.listdir(folder) if not name.startswith(".") and name.lower() not in _NO_DATA]
    return [folder / name for name in sorted(names, key=os.fsencode)]


def _add(listing: Listing, label: int, folder: Path, root: os.stat_result) -> None:
    """List a folder of a class, then the folders in it."""
    rest: list[tuple[Path, tuple[os.stat_result, ...]]] = [(folder, (root,))]
    while rest:
        folder, above = rest.pop()
        here = os.stat(folder)
        if any(os.path.samestat(here, each) for each in above):
            listing.broken.append((folder, "it is a link to a folder around it"))
            continue
        entries = _visible(folder)
        folders = [each for each in entries if each.is_dir()]
        _add_files(listing, label, [each for each in entries if not each.is_dir()])
        rest += [(each, (*above, here)) for each in reversed(folders)]


def _add_files(listing: Listing, label: int, files: list[Path]) -> None:
    for path in filter(_is_picture, files):
        try:
            listing.files.append(Found.at(path, label))
        except OSError as error:
            listing.broken.append((path, str(error.strerror)))


def _class_names(root: Path, folders: list[Path]) -> tuple[str, ...]:
    """The names of class folders, composed (Unicode NFC), all different."""
    require_classes(root, len(folders))
    names = tuple(unicodedata.normalize("NFC", folder.name) for folder in folders)
    require_names(root, names)
    return names


def _printable(name: str) -> str:
    return "".join(each if each.isprintable() else "?" for each in name)


def _require_no_splits(root: Path, folders: list[Path]) -> None:
    """Raise DataError for the folder above those of the training and the test images."""
    inner = (entry.is_dir() for folder in folders for entry in _visible(folder))
    if all(each.name.lower() in _SPLITS for each in folders) and any(inner):
        names = " and ".join(each.name for each in folders)
        raise DataError(f"the folders of {root} are {names}, and hold those of the classes", f"Give {folders[0]}.")


def _require_pictures_of_each(listing: Listing, folders: list[Path]) -> None:
    full = {each.label for each in listing.files}
    full.update(label for label, folder in enumerate(folders) if any(_in(folder, each) for each, _ in listing.broken))
    if not full:
        raise DataError(f"{listing.path} and its folders hold no pictures", _HINT)
    if empty := [folder for label, folder in enumerate(folders) if label not in full]:
        raise DataError(
            f"a folder of {listing.path} holds no pictures: {named(empty, listing.path)}",
            "Put pictures of its class into it, or move it away.",
        )


def _in(folder: Path, path: Path) -> bool:
    return path.is_relative_to(folder)
