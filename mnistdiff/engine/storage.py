"""Atomic file writes, removal, and temporary files."""

import io
import os
import re
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

from mnistdiff.errors import StorageError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

TEMPORARY_SUFFIX = ".mnistdiff-tmp"
_TEMPORARY = re.compile(rf"\..+\.[0-9a-f]{{8}}{re.escape(TEMPORARY_SUFFIX)}", re.DOTALL)
O_BINARY = getattr(os, "O_BINARY", 0)
"""Windows converts line feeds in any file without this flag; other systems have no such flag."""
OPEN_FILES_CAN_BE_DELETED = not hasattr(os, "O_BINARY")
"""On all systems but Windows."""
_CHUNK = 1024**2
_RETRY_SECONDS = (0.01, 0.03, 0.1, 0.3, 1.0)


def open_without_waiting(path: Path) -> IO[bytes]:
    """Open a file of the user for reading. Opening a named pipe would wait for its writer; Windows has none.

    Raises:
        OSError: if it is a folder, or the file system refuses.
    """
    flag = O_BINARY | getattr(os, "O_NONBLOCK", 0)
    return open(path, "rb", opener=lambda name, flags: os.open(name, flags | flag))


def make_folder(path: Path) -> None:
    """Make a folder, and those above it, unless it exists.

    Raises:
        StorageError: if the path or a part of it is no folder.
        OSError: if the file system refuses.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise StorageError(f"{path} is not a folder", "Choose another path.") from error


def write_atomically(path: Path, content: bytes, *, durable: bool = True, previous: Path | None = None) -> None:
    """Write a file so that a crash leaves either the old content or the new one.

    The temporary file lies in the same folder, since a rename is atomic only within a file system.

    Args:
        path: of the file.
        content: of the file.
        durable: whether it must survive a power failure, at the cost of two fsyncs: without that of the folder the
            rename itself may be lost. Images, which can be sampled again, do without.
        previous: a path in the same folder under which the old file is kept, once the new one is safe. A file system
            without hard links keeps nothing.

    Raises:
        OSError: if the file system refuses; ``path`` is then unchanged, unless only what follows the rename failed.
    """
    temporary = _temporary_beside(path)
    earlier = _temporary_beside(previous) if previous is not None else None
    try:
        _write(temporary, content, durable=durable)
        if earlier is not None:
            with suppress(OSError):
                os.link(path, earlier)
        _replace(temporary, path)
        if durable:
            _fsync_folder(path.parent)
        if earlier is not None and previous is not None and earlier.exists():
            _replace(earlier, previous)
    except BaseException as error:
        with suppress(OSError):  # the next start removes temporary files
            for leftover in filter(None, (temporary, earlier)):
                remove(leftover)
        if isinstance(error, OSError):
            error.filename = str(path)  # not the temporary name
        raise


@contextmanager
def new_file(path: Path, *, durable: bool = False) -> Iterator[IO[bytes]]:
    """Open a new file that replaces ``path`` when the block ends without an error.

    Args:
        path: of the file.
        durable: whether it must survive a power failure, as for ``write_atomically``.

    Raises:
        OSError: if the file system refuses, naming ``path``, which is then unchanged.
    """
    temporary = _temporary_beside(path)
    try:
        with io.BufferedWriter(_NamedFile(temporary, path)) as file:
            yield file
            file.flush()
            if durable:
                _fsync(file.fileno())
        with _naming(path):
            _replace(temporary, path)
            if durable:
                _fsync_folder(path.parent)
    except BaseException:
        with suppress(OSError):
            remove(temporary)
        raise


class _NamedFile(io.FileIO):
    """A new file whose errors name the file that it will replace, also where a library writes to it."""

    def __init__(self, path: Path, target: Path) -> None:
        self._target = target
        with _naming(target):
            super().__init__(path, "xb")

    def write(self, data: "ReadableBuffer", /) -> int:
        with _naming(self._target):
            return super().write(data)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        error.filename, error.filename2 = str(path), None
        raise


def remove(path: Path) -> None:
    """Delete a file if it exists."""
    with suppress(FileNotFoundError):
        _with_retries(lambda: os.unlink(path))


def sweep_temporaries(folder: Path) -> None:
    """Delete the temporary files of killed processes in ``folder``, and no other files."""
    for leftover in folder.glob(f".*{TEMPORARY_SUFFIX}"):
        if is_temporary(leftover.name) and not leftover.is_symlink() and leftover.is_file():
            remove(leftover)


def is_temporary(name: str) -> bool:
    """Whether a file name is that of a temporary file of this module."""
    return _TEMPORARY.fullmatch(name) is not None


def require_writable(folder: Path) -> None:
    """Create a file in ``folder`` and delete it: permissions do not show that a disk is read-only or full.

    Raises:
        OSError: if the file system refuses, naming the folder.
    """
    probe = _temporary_beside(folder / "probe")
    with _naming(folder):
        try:
            _write(probe, b"\0", durable=False)
            remove(probe)
        except BaseException:
            with suppress(OSError):
                remove(probe)
            raise


def _temporary_beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}{TEMPORARY_SUFFIX}")


def is_open_elsewhere(error: OSError) -> bool:
    """Whether an error is that of Windows for a file that another program has open."""
    return isinstance(error, PermissionError) and hasattr(error, "winerror")


def _replace(source: Path, target: Path) -> None:
    _with_retries(lambda: os.replace(source, target))


def _with_retries(operate: Callable[[], None]) -> None:
    """Replace or delete a file; on Windows, retry for 1.5 s while another program has it open, as virus scanners do."""
    for seconds in _RETRY_SECONDS:
        try:
            return operate()
        except PermissionError as error:
            if not is_open_elsewhere(error):
                raise
            time.sleep(seconds)
    return operate()


def _write(path: Path, content: bytes, *, durable: bool) -> None:
    """Create a file. Python closes every descriptor on exec."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | O_BINARY, 0o666)
    try:
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(descriptor, rest[:_CHUNK]) :]
        if durable:
            _fsync(descriptor)
    finally:
        os.close(descriptor)


def _fsync(descriptor: int) -> None:
    """Flush a file to the disk. On macOS ``fsync`` leaves it in the drive's cache; ``F_FULLFSYNC`` does not."""
    full = getattr(fcntl, "F_FULLFSYNC", None)
    if full is not None:
        with suppress(OSError):  # not supported by some file systems, such as network shares
            fcntl.fcntl(descriptor, full)
            return
    os.fsync(descriptor)


def _fsync_folder(folder: Path) -> None:
    """Flush a rename to the disk. Windows cannot open folders; there, NTFS's journal keeps the order of renames."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        _fsync(descriptor)
    finally:
        os.close(descriptor)
