"""Write a file whole or not at all."""

import os
import secrets
from pathlib import Path

TEMPORARY_SUFFIX = ".mnistdiff-tmp"


def write_atomically(path: Path, content: bytes, *, durable: bool = True) -> None:
    """Replace ``path`` by ``content`` so that a crash leaves the old file or the new one.

    The temporary file lies in the same folder, since a rename is atomic only within a file system.

    Args:
        path: the file to be.
        content: all of it.
        durable: whether it must also survive a power cut, which costs two fsyncs: without that of the folder the
            rename itself may be lost. Pictures that can be drawn again go without.

    Raises:
        OSError: if the file system refuses; ``path`` is then as it was, unless only the last fsync failed.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}{TEMPORARY_SUFFIX}")
    try:
        with open(temporary, "xb") as file:
            file.write(content)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            error.filename = str(path)  # what the user knows, not the temporary name
        raise
    if durable:
        _fsync_folder(path.parent)


def sweep_temporaries(folder: Path) -> None:
    """Delete what writers that were killed left in ``folder``."""
    for leftover in folder.glob(f".*{TEMPORARY_SUFFIX}"):
        leftover.unlink(missing_ok=True)


def _fsync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
