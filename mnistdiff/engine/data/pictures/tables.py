"""Read files of many images: CSV and npz as ``sample --format`` writes them, and IDX files."""

import gzip
import math
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnistdiff.engine.data.datasets import LabelledImages
from mnistdiff.engine.data.idx_file import idx_header
from mnistdiff.engine.data.pictures.bounds import require_classes, require_names, require_room
from mnistdiff.engine.data.pictures.csv_table import Columns, opened, read_csv
from mnistdiff.engine.progress import Work
from mnistdiff.engine.storage import open_without_waiting
from mnistdiff.errors import DataError

_MAX_TEXT = 2**20
_HINT = "Write it as mnistdiff sample --format csv, npz or idx does."
_DAMAGES = (ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error, gzip.BadGzipFile, NotImplementedError)
"""What readers raise for a damaged file."""


@dataclass(frozen=True)
class Table:
    """The images of a file.

    Attributes:
        data: grey levels, uint8 (N, H, W), of any size, and labels 0 ... C - 1.
        class_names: of these labels: those in the file, else its labels as texts.
    """

    data: LabelledImages
    class_names: tuple[str, ...]


def read_table(paths: list[Path]) -> Work[None, Table]:
    """Read a CSV or npz file, or the IDX files of images and labels and that of the class names, if there is one.

    Yields:
        the progress of reading.

    Raises:
        DataError: if a file is not of its kind, is damaged, or holds too much.
        OSError: if the file system refuses.
    """
    path = paths[0]
    with _errors_of(path):
        if len(paths) > 1:
            columns = _idx_files(paths)
        elif path.suffix.lower() == ".npz":
            columns = _npz(path)
        else:
            columns = yield from read_csv(path)
    images, labels = columns.images, columns.labels
    if images.ndim != 3 or images.dtype != np.uint8 or labels.shape != images.shape[:1] or not images.size:
        raise DataError(
            f"{path} holds images {images.dtype} {images.shape}, labels {labels.shape}, not uint8 (N, H, W), (N,)",
            _HINT,
        )
    values, indices = np.unique(labels, return_inverse=True)
    require_classes(path, len(values))
    names = tuple(columns.class_names.get(each, str(each)) for each in values.tolist())
    require_names(path, names)
    return Table(LabelledImages(images, indices.astype(np.uint8)), names)


@contextmanager
def _errors_of(path: Path) -> Iterator[None]:
    """Turn what readers raise for a damaged file into an error that names it."""
    try:
        yield
    except _DAMAGES as error:
        raise DataError(f"{path} cannot be read: {' '.join(str(error).split())[:200]}", _HINT) from error


def _idx_files(paths: list[Path]) -> Columns:
    """The files of images and labels, and of class names, a line for each label."""
    images, labels = _idx(paths[0], dimensions=3), _idx(paths[1], dimensions=1)
    if len(paths) < 3:
        return Columns(images, labels, {})
    with open_without_waiting(paths[2]) as file:
        return Columns(images, labels, dict(enumerate(file.read(_MAX_TEXT).decode().splitlines())))


def _idx(path: Path, *, dimensions: int) -> NDArray[np.uint8]:
    """The array of an IDX file, whose header says its shape."""
    with opened(path) as file:
        header = file.read(4 * (1 + dimensions))
        if header[:4] != idx_header(())[:3] + bytes([dimensions]) or len(header) < 4 * (1 + dimensions):
            raise ValueError(f"{path.name} is no IDX file of bytes in {dimensions} dimensions")
        shape = [int.from_bytes(header[4 * k : 4 * k + 4], "big") for k in range(1, 1 + dimensions)]
        require_room(path, math.prod(shape))
        content = file.read(math.prod(shape) + 1)
    if len(content) != math.prod(shape):
        raise ValueError(f"the header of {path.name} promises {math.prod(shape):,} bytes, which it does not hold")
    return np.frombuffer(content, np.uint8).reshape(shape)


def _npz(path: Path) -> Columns:
    """``images``, ``labels`` and ``class_names`` of an npz file; without labels there is one class, 0."""
    with open_without_waiting(path) as file, zipfile.ZipFile(file) as archive:
        found = {
            name: _member(archive, name, path)
            for name in ("images", "labels", "class_names")
            if name == "images" or f"{name}.npy" in archive.namelist()
        }
    images = found["images"]
    labels = found.get("labels", np.zeros(len(images), np.int64))
    names = found.get("class_names", np.zeros(0, np.str_))
    if not np.issubdtype(labels.dtype, np.integer) or names.dtype.kind != "U" or names.ndim != 1:
        raise ValueError(f"its labels are {labels.dtype}, its class_names {names.dtype}, not whole numbers and texts")
    return Columns(images, labels, dict(enumerate(names.tolist())))


def _member(archive: zipfile.ZipFile, name: str, path: Path) -> NDArray[Any]:
    """An array of an archive, once its header has been seen to promise no more than there is room for."""
    with archive.open(f"{name}.npy") as file:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(file)
        require_room(path, math.prod(shape) * max(1, dtype.itemsize))
    with archive.open(f"{name}.npy") as file:
        array: NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False)
        return array
