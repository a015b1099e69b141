"""The header of a checkpoint file: metadata, and the digest of the whole file.

A checkpoint is a safetensors file whose ``__metadata__`` holds one entry, ``mnistdiff``: JSON with the fields of
``CheckpointMetadata`` and ``sha256``, the SHA-256 of the whole file with those 64 digits taken as zeros. With a single
entry, the bytes of a file are a function of its content. This module reads it without NumPy or torch.
"""

import hashlib
import json
import math
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from pydantic import ValidationError

from mnistdiff.engine.checkpoint.metadata import DIGEST_PLACEHOLDER, FORMAT_VERSION, METADATA_KEY, CheckpointMetadata
from mnistdiff.engine.storage import open_without_waiting
from mnistdiff.errors import CheckpointError, NewerFormatError, explain
from mnistdiff.registry import unregistered_accepted
from mnistdiff.settings import TrainSettings
from mnistdiff.settings_file import unique_names

MAX_FILE_BYTES = 256 * 1024**2
MAX_HEADER_BYTES = 256 * 1024
_DIGEST_FIELD = re.compile(rb'\\"sha256\\": ?\\"([0-9a-f]{64})\\"')
_TENSOR_NAME = re.compile(r"(model|ema|objective|optimizer\.[a-z_]+)\.[A-Za-z0-9_.]{1,100}")
_LENGTH_BYTES = 8
_BYTES_OF_KIND = {"F32": 4, "F16": 2}
_HINT = "Only files written by mnistdiff can be read; name another file or train a new model."


@dataclass(frozen=True)
class CheckpointFile:
    """A checkpoint file with its header read and its digest computed; ``require_valid`` compares the digest.

    Attributes:
        path: of the file.
        content: all bytes of the file.
        metadata: the validated metadata.
        shapes: of the tensors, by name.
        sha256: the digest in the header.
        digest_valid: whether that is the digest of the content.
    """

    path: Path
    content: bytes
    metadata: CheckpointMetadata
    shapes: dict[str, tuple[int, ...]]
    sha256: str
    digest_valid: bool

    @property
    def settings(self) -> TrainSettings:
        """The settings of the training."""
        return self.metadata.settings

    def require_valid(self) -> None:
        """Raise CheckpointError if the digest is wrong."""
        if not self.digest_valid:
            raise _corrupt(self.path, "its SHA-256 does not match: the file was damaged or altered")


def read_checkpoint_file(path: Path) -> CheckpointFile:
    """Read a checkpoint and validate its metadata.

    Raises:
        CheckpointError: if the file is missing, too large, foreign, truncated or of a newer format.
        OSError: if the file system refuses.
    """
    content = _read_regular_file(path)
    header = _header(path, content)
    stated = _DIGEST_FIELD.findall(header)
    if len(stated) != 1:
        raise _foreign(path, "a safetensors file of another program")
    index, metadata = _parse(path, header, digest_valid := digest_of(content) == stated[0].decode())
    shapes = _shapes(path, index, bytes_of_tensors=len(content) - _LENGTH_BYTES - len(header))
    return CheckpointFile(path, content, metadata, shapes, stated[0].decode(), digest_valid)


def read_metadata(path: Path) -> CheckpointMetadata:
    """Read the metadata of a checkpoint from the header alone; the digest is not computed.

    Raises:
        CheckpointError, OSError: as ``read_checkpoint_file``.
    """
    with _regular_file(path) as (file, size):
        header = _header(path, file.read(_LENGTH_BYTES + MAX_HEADER_BYTES))
    index, metadata = _parse(path, header, digest_valid=False)
    _shapes(path, index, bytes_of_tensors=size - _LENGTH_BYTES - len(header))
    return metadata


def digest_of(content: bytes) -> str:
    """The SHA-256 of a checkpoint's bytes with the digits of the digest taken as zeros."""
    start = digest_offset(content)
    view = memoryview(content)
    sha256 = hashlib.sha256(view[:start])
    sha256.update(DIGEST_PLACEHOLDER.encode())
    sha256.update(view[start + len(DIGEST_PLACEHOLDER) :])
    return sha256.hexdigest()


def digest_offset(content: bytes) -> int:
    """The offset of the 64 digits of the digest."""
    end = _LENGTH_BYTES + int.from_bytes(content[:_LENGTH_BYTES], "little")
    match = _DIGEST_FIELD.search(content, _LENGTH_BYTES, end)
    assert match is not None, "a checkpoint has a digest"
    return match.start(1)


def _read_regular_file(path: Path) -> bytes:
    with _regular_file(path) as (file, _):
        return file.read(MAX_FILE_BYTES)


@contextmanager
def _regular_file(path: Path) -> Iterator[tuple[IO[bytes], int]]:
    """Open a file that may be a checkpoint; its size.

    Raises:
        CheckpointError, OSError: as ``read_checkpoint_file``.
    """
    try:
        file = open_without_waiting(path)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise CheckpointError(f"there is no checkpoint at {path}", "Check the path, or train a model first.") from error
    except (IsADirectoryError, PermissionError) as error:  # Windows denies permission to open a folder
        if path.is_dir():
            raise _no_file(path) from error
        raise
    with file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise _no_file(path)
        if status.st_size > MAX_FILE_BYTES:
            raise _foreign(path, f"{status.st_size:,} bytes, more than any checkpoint")
        yield file, status.st_size


def _header(path: Path, content: bytes) -> bytes:
    """The JSON header of a safetensors file.

    Raises:
        CheckpointError: if there is none, or it is too large.
    """
    length = int.from_bytes(content[:_LENGTH_BYTES], "little")
    if content[_LENGTH_BYTES : _LENGTH_BYTES + 1] != b"{":
        pickled = content.startswith((b"PK\x03\x04", b"\x80"))
        raise _foreign(path, "a pickled PyTorch file, which could execute code" if pickled else "not safetensors")
    if length > MAX_HEADER_BYTES:
        raise _foreign(path, f"a file with a header of {length:,} bytes")
    if _LENGTH_BYTES + length > len(content):
        raise _corrupt(path, "it ends in the middle of its header")
    return content[_LENGTH_BYTES : _LENGTH_BYTES + length]


def _parse(path: Path, header: bytes, digest_valid: bool) -> tuple[dict[str, Any], CheckpointMetadata]:
    """The tensor index and the validated metadata."""
    try:
        index = json.loads(header, object_pairs_hook=unique_names)
        values = json.loads(index.pop("__metadata__")[METADATA_KEY], object_pairs_hook=unique_names)
        version = values["format_version"]
        del values["sha256"]
        if type(version) is not int:
            raise ValueError("the format version is not a whole number")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        if not digest_valid:
            raise _corrupt(path, "its header cannot be read: the file was damaged or altered") from error
        raise _foreign(path, "a file whose header does not follow the format") from error
    if version > FORMAT_VERSION:
        raise NewerFormatError(
            f"{path} has format version {str(version)[:20]}, and this mnistdiff reads up to {FORMAT_VERSION}",
            "It was written by a newer program: upgrade mnistdiff.",
        )
    try:
        with unregistered_accepted():
            return index, CheckpointMetadata.model_validate(values)
    except ValidationError as error:
        raise _corrupt(path, f"its metadata are invalid: {explain(error)}") from error


def _shapes(path: Path, index: dict[str, Any], *, bytes_of_tensors: int) -> dict[str, tuple[int, ...]]:
    """The shapes of the tensors, by name.

    Raises:
        CheckpointError: if the index does not describe so many bytes.
    """
    try:
        return _dense_shapes(index, bytes_of_tensors=bytes_of_tensors)
    except (ValueError, TypeError, KeyError, IndexError) as error:
        raise _corrupt(path, "its header does not match the rest: the file was cut off, damaged or altered") from error


def _dense_shapes(index: dict[str, Any], *, bytes_of_tensors: int) -> dict[str, tuple[int, ...]]:
    """The shapes of the tensors, by name.

    Raises:
        ValueError, TypeError, KeyError, IndexError: for a foreign name, or if the tensors do not fill the file.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    end = 0
    for name, entry in sorted(index.items(), key=lambda item: tuple(item[1]["data_offsets"])):
        if not _TENSOR_NAME.fullmatch(name):
            raise ValueError("a tensor has a name of another program")
        shapes[name], (start, stop) = tuple(entry["shape"]), entry["data_offsets"]
        if not all(type(number) is int and 0 <= number <= bytes_of_tensors for number in (*shapes[name], start, stop)):
            raise ValueError("a shape or an offset is not a whole number, or out of range")
        if start != end or stop - start != math.prod(shapes[name]) * _BYTES_OF_KIND[entry["dtype"]]:
            raise ValueError("the tensors overlap or leave gaps")
        end = stop
    if end != bytes_of_tensors:
        raise ValueError("the tensors do not fill the file")
    return shapes


def _no_file(path: Path) -> CheckpointError:
    return CheckpointError(f"{path} is not a file but a folder or device", _HINT)


def _foreign(path: Path, what: str) -> CheckpointError:
    return CheckpointError(f"{path} is not a mnistdiff checkpoint ({what})", _HINT)


def _corrupt(path: Path, why: str) -> CheckpointError:
    return CheckpointError(f"{path} is corrupt: {why}", "Use an earlier checkpoint of the run's checkpoints/ folder.")
