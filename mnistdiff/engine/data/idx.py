"""IDX files (LeCun's format of MNIST), verified by size and SHA-256."""

import gzip
import hashlib
import io
import math
import os
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mnistdiff.engine.data.datasets import IdxFile
from mnistdiff.errors import DataError

_CORRUPT_HINT = "Delete the file, or move it away, and run again; or set `data_dir` to another folder."


def find(folder: Path, name: str) -> Path | None:
    """The first of ``candidates``; None if there is none."""
    return next(iter(candidates(folder, name)), None)


def candidates(folder: Path, name: str) -> list[Path]:
    """The files in a folder that may be the file ``name``, to be verified by their digest.

    Also accepted are the name that Windows and Kaggle use (``train-images.idx3-ubyte``), ``.gz``, upper and lower case,
    and a file in a folder of that name, as in Kaggle's archive.
    """
    found = _entries(folder, name)
    files = [path for path in found if path.is_file()]
    inside = [path for path in found if path.is_dir() for path in _entries(path, name) if path.is_file()]
    return files + inside or found  # a pipe or an empty folder is returned, so that it is reported


def _entries(folder: Path, name: str) -> list[Path]:
    """The entries of a folder with this name in any spelling, exact spellings first."""
    try:
        entries = os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return []
    except PermissionError:  # the folder may be searchable though not listable
        entries = [name, f"{name}.gz"]
    exact = (name, f"{name}.gz")
    matching = [each for each in entries if each.lower().removesuffix(".gz").replace(".idx", "-idx") == name]
    ordered = sorted(matching, key=lambda each: (exact.index(each) if each in exact else len(exact), each))
    return [path for path in (folder / each for each in ordered) if path.exists()]


def read_any(folder: Path, file: IdxFile) -> bytes | None:
    """The content of the first of ``candidates`` that has the right digest; None if there is no candidate.

    Raises:
        DataError: if no candidate has.
        OSError: if the file system refuses.
    """
    problem: DataError | None = None
    for path in candidates(folder, file.name):
        try:
            return verified(read_at_most(path, file.size + 1, _CORRUPT_HINT), file, source=str(path))
        except DataError as error:
            problem = problem or error
    if problem is not None:
        raise problem
    return None


def verified(content: bytes, file: IdxFile, *, source: str) -> bytes:
    """The content of a file, if it has the right digest.

    Args:
        content: one byte more than ``file.size`` if the file is longer.
        file: the expected file.
        source: path or address, for errors.

    Raises:
        DataError: if its digest is another.
    """
    digest = hashlib.sha256(content).hexdigest()
    if digest == file.sha256:
        return content
    size = "more" if len(content) > file.size else f"{len(content):,} bytes"
    is_alike = len(content) == file.size and content[: -math.prod(file.shape)] == file.header
    raise DataError(
        f"{source} has the wrong content: {file.name} is {file.size:,} bytes with SHA-256 {file.sha256[:12]}..., "
        f"and this is {size} with {digest[:12]}..."
        + ("; its header is right, so it may be of another data set, such as Fashion-MNIST" if is_alike else ""),
        _CORRUPT_HINT,
    )


def read_at_most(path: Path, limit: int, hint: str) -> bytes:
    """The first ``limit`` bytes of a file, uncompressed if its name ends in ``.gz``.

    Raises:
        DataError: with ``hint``, if it is no regular file or no complete gzip file.
        OSError: if the file system refuses.
    """
    # Opening a FIFO would wait for a writer.
    if not path.is_file():
        raise DataError(f"{path} is not a regular file", hint)
    with open(path, "rb") as file:
        if path.suffix.lower() != ".gz":
            return file.read(limit)
        return uncompressed(file, limit, source=str(path), hint=hint)


def uncompressed(file: io.BufferedIOBase, limit: int, *, source: str, hint: str = "") -> bytes:
    """The first ``limit`` bytes of a gzip file.

    Raises:
        DataError: if it is not a complete gzip file.
    """
    try:
        with gzip.open(file) as content:
            return content.read(limit)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{source} is not a complete gzip file: {error}", hint) from error


def parse(content: bytes, file: IdxFile) -> NDArray[np.uint8]:
    """The array in the verified content of a file."""
    # Copied: torch.from_numpy warns of read-only memory.
    return np.frombuffer(content, np.uint8)[-math.prod(file.shape) :].reshape(file.shape).copy()
