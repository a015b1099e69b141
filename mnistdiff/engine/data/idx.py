"""IDX files (LeCun's format of MNIST), found in a folder, read and verified."""

import gzip
import io
import os
import zlib
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mnistdiff.engine.data.idx_file import IdxFile
from mnistdiff.errors import DataError
from mnistdiff.setting_types import DATASETS

GZIP_OVERHEAD = 2**16
"""Bytes by which a compressed file may be larger than its content."""
BY_SIZE = "size"
_KINDS = {"sha256": "SHA-256", "md5": "MD5"}
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


class Verified(NamedTuple):
    """The content of a file, uncompressed, and what verified it."""

    content: bytes
    by: str


def read_any(folder: Path, file: IdxFile) -> Verified | None:
    """The first of ``candidates`` that is verified; None if there is no candidate.

    Candidates of a form whose digest is known come first.

    Raises:
        DataError: if no candidate has the right content.
        OSError: if the file system refuses.
    """
    problem: DataError | None = None
    for path in sorted(candidates(folder, file.name), key=lambda path: not file.has_digest(packed=_is_packed(path))):
        try:
            return _read(path, file)
        except DataError as error:
            problem = problem or error
    if problem is not None:
        raise problem
    return None


def _read(path: Path, file: IdxFile) -> Verified:
    if _is_packed(path) and file.gz_sha256:
        with _regular(path, _CORRUPT_HINT) as packed:
            return unpacked(packed.read(file.size + GZIP_OVERHEAD), file, source=str(path))
    return verified(read_at_most(path, file.size + 1, _CORRUPT_HINT), file, source=str(path))


def unpacked(packed: bytes, file: IdxFile, *, source: str, hint: str = _CORRUPT_HINT) -> Verified:
    """The verified content of a ``.gz`` file: as it was published, or another with the right content.

    Raises:
        DataError: if it is not complete, or its content is another.
    """
    content = uncompressed(io.BytesIO(packed), file.size + 1, source=source, hint=hint)
    if file.matches_packed(packed):
        return Verified(content, _KINDS["sha256"])
    return verified(content, file, source=source)


def verified(content: bytes, file: IdxFile, *, source: str) -> Verified:
    """The content of a file, if it is the right one.

    Args:
        content: one byte more than ``file.size`` if the file is longer.
        file: the expected file.
        source: path or address, for errors.

    Raises:
        DataError: if it is another.
    """
    kind = _KINDS.get(file.digest[0], "")
    if file.matches(content):
        return Verified(content, kind or BY_SIZE)
    size = "more" if len(content) > file.size else f"{len(content):,} bytes"
    raise DataError(
        f"{source} has the wrong content: {file.name} is {file.size:,} bytes{_with(kind, file.digest[1])}, "
        f"and this is {size}{_with(kind, file.digest_of(content))}{_resemblance(content, file)}",
        _CORRUPT_HINT,
    )


def _with(kind: str, digest: str) -> str:
    """A digest in a message; empty if none is known."""
    return f" with {kind} {digest[:12]}..." if kind else ""


def _resemblance(content: bytes, file: IdxFile) -> str:
    """What a file of wrong content may be, for the error."""
    if len(content) != file.size or not content.startswith(file.header):
        return ""
    for spec in DATASETS.values():
        if any(each.has_digest(packed=False) and each.matches(content) for each in spec.idx_files):
            return f"; it is of {spec.title}"
    return "; its header is right, so it may be of another data set"


def _is_packed(path: Path) -> bool:
    return path.suffix.lower() == ".gz"


def read_at_most(path: Path, limit: int, hint: str) -> bytes:
    """The first ``limit`` bytes of a file, uncompressed if its name ends in ``.gz``.

    Raises:
        DataError: with ``hint``, if it is no regular file or no complete gzip file.
        OSError: if the file system refuses.
    """
    with _regular(path, hint) as file:
        return uncompressed(file, limit, source=str(path), hint=hint) if _is_packed(path) else file.read(limit)


def _regular(path: Path, hint: str) -> IO[bytes]:
    """A regular file, opened; opening a FIFO would wait for a writer."""
    if not path.is_file():
        raise DataError(f"{path} is not a regular file", hint)
    return open(path, "rb")


def uncompressed(file: IO[bytes], limit: int, *, source: str, hint: str = "") -> bytes:
    """The first ``limit`` bytes of a gzip file.

    Raises:
        DataError: if it is not a complete gzip file.
    """
    try:
        with gzip.open(file) as content:
            return content.read(limit)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{source} is not a complete gzip file: {error}", hint) from error


def parse(content: bytes, file: IdxFile) -> NDArray[np.uint8] | NDArray[np.int32]:
    """The array in the verified content of a file."""
    stored = np.dtype(file.element).newbyteorder(">")
    # Copied: torch.from_numpy warns of read-only memory.
    return np.frombuffer(content, stored, offset=len(file.header)).reshape(file.shape).astype(file.element)
