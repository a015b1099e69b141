"""Read files of many images: CSV and npz as ``sample --format`` writes them, and IDX files."""

import gzip
import io
import itertools
import math
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from mnistdiff.engine.data.datasets import LabelledImages
from mnistdiff.engine.data.idx_file import idx_header
from mnistdiff.engine.data.pictures.bounds import require_classes, require_room
from mnistdiff.engine.progress import Progress, Work
from mnistdiff.engine.storage import open_without_waiting
from mnistdiff.errors import DataError

_LONGEST_LINE = 2**23
_LONGEST_SIDE = 1024
"""Larger images are not those of a table: their rows would be longer than ``_LONGEST_LINE``."""
_ROWS = 256
"""Of a CSV file between two events of progress."""
_HINT = "Write it as mnistdiff sample --format csv, npz or idx does."


@dataclass(frozen=True)
class Table:
    """The images of a file.

    Attributes:
        data: grey levels, uint8 (N, H, W), of any size, and labels 0 ... C - 1.
        class_names: the labels in the file, as texts.
    """

    data: LabelledImages
    class_names: tuple[str, ...]


def read_table(paths: list[Path]) -> Work[None, Table]:
    """Read a CSV or npz file, or the IDX file of images and that of labels.

    Yields:
        the progress of reading.

    Raises:
        DataError: if a file is not of its kind, is damaged, or holds too much.
        OSError: if the file system refuses.
    """
    path = paths[0]
    images: NDArray[np.uint8]
    labels: NDArray[np.integer]
    with _errors_of(path):
        if len(paths) > 1:
            images, labels = _idx(path, dimensions=3), _idx(paths[1], dimensions=1)
        elif path.suffix.lower() == ".npz":
            images, labels = _npz(path)
        else:
            images, labels = yield from _csv(path)
    if images.ndim != 3 or images.dtype != np.uint8 or labels.shape != images.shape[:1] or not images.size:
        raise DataError(
            f"{path} holds images {images.dtype} {images.shape}, labels {labels.shape}, not uint8 (N, H, W), (N,)",
            _HINT,
        )
    values, indices = np.unique(labels, return_inverse=True)
    require_classes(path, len(values))
    names = tuple(str(each) for each in values.tolist())
    return Table(LabelledImages(images, indices.astype(np.uint8)), names)


@contextmanager
def _errors_of(path: Path) -> Iterator[None]:
    """Turn what readers raise for a damaged file into an error that names it."""
    try:
        yield
    except (
        ValueError,
        EOFError,
        KeyError,
        zipfile.BadZipFile,
        zlib.error,
        gzip.BadGzipFile,
        NotImplementedError,
    ) as error:
        raise DataError(f"{path} cannot be read: {' '.join(str(error).split())[:200]}", _HINT) from error


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    """A file, unpacked as it is read if its name ends in ``.gz``."""
    with open_without_waiting(path) as file:
        if path.suffix.lower() != ".gz":
            yield file
            return
        with io.BufferedReader(gzip.GzipFile(fileobj=file)) as content:
            yield content


def _idx(path: Path, *, dimensions: int) -> NDArray[np.uint8]:
    """The array of an IDX file, whose header says its shape."""
    with _opened(path) as file:
        header = file.read(4 * (1 + dimensions))
        if header[:4] != idx_header(())[:3] + bytes([dimensions]) or len(header) < 4 * (1 + dimensions):
            raise ValueError(f"it is no IDX file of bytes in {dimensions} dimensions")
        shape = [int.from_bytes(header[4 * k : 4 * k + 4], "big") for k in range(1, 1 + dimensions)]
        require_room(path, math.prod(shape))
        content = file.read(math.prod(shape) + 1)
    if len(content) != math.prod(shape):
        raise ValueError(f"its header promises {math.prod(shape):,} bytes, and it holds {len(content):,} or more")
    return np.frombuffer(content, np.uint8).reshape(shape)


def _npz(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.integer]]:
    """``images`` and ``labels`` of an npz file; without labels there is one class, 0."""
    with open_without_waiting(path) as file, zipfile.ZipFile(file) as archive:
        images = _member(archive, "images", path)
        if "labels.npy" not in archive.namelist():
            return images, np.zeros(len(images), np.int64)
        labels = _member(archive, "labels", path)
    if not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"its labels are {labels.dtype}, not whole numbers")
    return images, labels


def _member(archive: zipfile.ZipFile, name: str, path: Path) -> NDArray[np.uint8]:
    """An array of an archive, once its header has been seen to promise no more than there is room for."""
    with archive.open(f"{name}.npy") as file:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(file)
        require_room(path, math.prod(shape) * max(1, dtype.itemsize))
    with archive.open(f"{name}.npy") as file:
        array: NDArray[np.uint8] = np.lib.format.read_array(file, allow_pickle=False)
        return array


def _csv(path: Path) -> Work[None, tuple[NDArray[np.uint8], NDArray[np.integer]]]:
    """The rows of a CSV file: label, grey levels row by row, and numbers that may follow."""
    total, done, number = path.stat().st_size, 0, 2
    with _opened(path) as file:
        names = file.readline(_LONGEST_LINE).decode("utf-8-sig").strip().lower().split(",")
        pixels = sum(name.startswith("pixel") for name in names)
        side = math.isqrt(pixels)
        if names[:1] != ["label"] or not 1 <= side <= _LONGEST_SIDE or side**2 != pixels:
            raise ValueError("its first line is not label, pixel0, pixel1, ... of square images")
        images, labels = bytearray(), []
        while lines := [*itertools.islice(iter(partial(file.readline, _LONGEST_LINE), b""), _ROWS)]:
            rows = _rows(lines, len(names), 1 + pixels, first=number)
            number += len(lines)
            labels.append(rows[:, 0])
            images += rows[:, 1:].astype(np.uint8).tobytes()
            require_room(path, len(images))
            done += sum(map(len, lines))
            yield Progress("reading", min(done, total), total)
    return np.frombuffer(images, np.uint8).reshape(-1, side, side), np.concatenate(labels or [np.zeros(0, np.int64)])


def _rows(lines: list[bytes], width: int, used: int, *, first: int) -> NDArray[np.int64]:
    """The first ``used`` of ``width`` numbers of some lines: a label and grey levels; empty lines are passed over.

    Raises:
        ValueError: naming the line.
    """
    for number, line in enumerate(lines, start=first):
        if line.count(b",") != width - 1 and line.strip():
            raise ValueError(f"line {number} has {line.count(b',') + 1} values, and the first line {width}")
    with warnings.catch_warnings(action="error", category=DeprecationWarning):
        try:
            text = b",".join(line for line in lines if line.strip())
            rows = np.fromstring(text, np.int64, sep=",").reshape(-1, width)
        except (DeprecationWarning, ValueError):
            raise ValueError(f"lines {first} to {first + len(lines) - 1} hold what is no whole number") from None
    rows = rows[:, :used]
    outside = np.flatnonzero((rows < 0).any(axis=1) | (rows[:, 1:] > 255).any(axis=1))
    if outside.size:
        raise ValueError(f"a value in line {first + int(outside[0])} is not from 0 to 255")
    return rows
