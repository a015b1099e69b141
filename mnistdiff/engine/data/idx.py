"""The four files of MNIST, each known to the bit."""

import gzip
import hashlib
import math
import os
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mnistdiff.engine.data.datasets import MNIST, IdxFile
from mnistdiff.errors import DataError

FILES: Mapping[str, IdxFile] = {file.name: file for files in MNIST.files.values() for file in files}
_OTHER_SET = "; it is laid out alike, as the files of Fashion-MNIST and others are, which have the same names"
_CORRUPT_HINT = "Delete the file, or move it away, and run again; or point --data-dir at another folder."


def find(folder: Path, name: str) -> Path | None:
    """The file of that name in a folder: the first of ``candidates``."""
    return next(iter(candidates(folder, name)), None)


def candidates(folder: Path, name: str) -> list[Path]:
    """The files in a folder that may be MNIST's ``name``; their digest says whether they are.

    Besides that name also the one that Windows and Kaggle know (``train-images.idx3-ubyte``), with ``.gz`` or without,
    in upper or lower case; the file itself, or one in a folder of that name, as in Kaggle's archive.
    """
    found = _named(folder, name)
    files = [path for path in found if path.is_file()]
    within = [path for path in found if path.is_dir() for path in _named(path, name) if path.is_file()]
    return files + within or found  # a pipe, or an empty folder, is told of


def _named(folder: Path, name: str) -> list[Path]:
    """Those entries of a folder that are called so, the ones with exactly that name first."""
    try:
        entries = os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return []
    except PermissionError:  # a folder may be entered and not listed
        entries = [name, f"{name}.gz"]
    exact = (name, f"{name}.gz")
    called_so = [each for each in entries if each.lower().removesuffix(".gz").replace(".idx", "-idx") == name]
    ordered = sorted(called_so, key=lambda each: (exact.index(each) if each in exact else len(exact), each))
    return [path for path in (folder / each for each in ordered) if path.exists()]


def read_any(folder: Path, name: str) -> bytes | None:
    """The content of the first of ``candidates`` that is MNIST's ``name``; None if there are none.

    Raises:
        DataError: if none of them is.
        OSError: if the file system refuses.
    """
    problem: DataError | None = None
    for path in candidates(folder, name):
        try:
            return read_verified(path, name)
        except DataError as error:
            problem = problem or error
    if problem is not None:
        raise problem
    return None


def read_verified(path: Path, name: str) -> bytes:
    """The content of ``path``, unpacked, if it is to the bit the file that MNIST calls ``name``.

    Raises:
        DataError: if it is not.
        OSError: if the file system refuses.
    """
    known = FILES[name]
    # One byte more than allowed shows that a file is too long without reading, or unpacking, all of it.
    content = read_at_most(path, known.size + 1, _CORRUPT_HINT)
    digest = hashlib.sha256(content).hexdigest()
    if digest != known.sha256:
        found = "more" if len(content) > known.size else f"{len(content):,} bytes"
        alike = len(content) == known.size and content[: -math.prod(known.shape)] == known.header
        raise DataError(
            f"{path} is not MNIST's {name}: expected {known.size:,} bytes with SHA-256 {known.sha256[:12]}..., "
            f"found {found} with {digest[:12]}...{_OTHER_SET if alike else ''}",
            _CORRUPT_HINT,
        )
    return content


def read_at_most(path: Path, limit: int, hint: str) -> bytes:
    """The first ``limit`` bytes of a file, unpacked if its name ends in ``.gz``.

    Raises:
        DataError: if it is no regular file or no whole gzip file; ``hint`` is what to do.
        OSError: if the file system refuses.
    """
    # Opening a FIFO would wait for a writer for ever.
    if not path.is_file():
        raise DataError(f"{path} is not a regular file", hint)
    try:
        with gzip.open(path) if path.suffix.lower() == ".gz" else open(path, "rb") as file:
            return file.read(limit)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{path} is not a whole gzip file: {error}", hint) from error


def parse(content: bytes, name: str) -> NDArray[np.uint8]:
    """The array in the verified content of a file."""
    shape = FILES[name].shape
    # The digest vouches for the header. Copied, since torch.from_numpy warns of the read-only memory of bytes.
    return np.frombuffer(content, np.uint8)[-math.prod(shape) :].reshape(shape).copy()
