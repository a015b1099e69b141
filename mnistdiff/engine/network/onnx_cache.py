"""Cache of the ONNX graphs that were made on this machine, in the user's cache folder.

A graph computes the images of a checkpoint, so a file is used only if no other user can have written it and it is, byte
for byte, what was kept: the file name holds a digest of the graph and of its name.
"""

import hashlib
import os
import stat
from contextlib import suppress
from pathlib import Path

from mnistdiff import __version__
from mnistdiff.engine.cache import cache_folder
from mnistdiff.engine.storage import remove, write_atomically

_SUFFIX = ".onnx"
_MAX_BYTES = 16 * 1024**2
_OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH


def kept_graph(name: str) -> bytes | None:
    """Read the graph ``name``; None if there is none, or none that can be trusted."""
    return next((graph for file in _files(name) if (graph := _read(name, file)) is not None), None)


def keep_graph(name: str, graph: bytes) -> None:
    """Write the graph ``name`` for this user alone, and remove earlier ones. Without a cache folder, do nothing."""
    with suppress(OSError):
        folder = _private_folder()
        if folder is None:
            return
        discard_graph(name)
        file = folder / f"{name}.{_digest(name, graph)}{_SUFFIX}"
        write_atomically(file, graph, durable=False)
        file.chmod(0o600)


def discard_graph(name: str) -> bool:
    """Remove the graph ``name``; returns whether there was one."""
    files = _files(name)
    for file in files:
        with suppress(OSError):
            remove(file)
    return bool(files)


def _folders() -> list[Path]:
    """The cache's own folders, outermost first; the last, one for each version of the program, holds the graphs."""
    top = cache_folder()
    return [] if top is None else [top, top / "graphs", top / "graphs" / __version__]


def _files(name: str) -> list[Path]:
    with suppress(OSError):
        return [file for folder in _folders()[-1:] for file in folder.iterdir() if file.name.startswith(f"{name}.")]
    return []


def _digest(name: str, graph: bytes) -> str:
    return hashlib.sha256(name.encode() + b"\0" + graph).hexdigest()


def _read(name: str, file: Path) -> bytes | None:
    """The content of a file if its digest is right and only this user can have written it, else None."""
    try:
        if not all(_is_private(folder.stat()) for folder in _folders()):
            return None
        descriptor = os.open(file, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
        with open(descriptor, "rb") as opened:
            found = os.fstat(descriptor)
            if not (stat.S_ISREG(found.st_mode) and _is_private(found) and found.st_size <= _MAX_BYTES):
                return None
            graph = opened.read(_MAX_BYTES)
    except OSError:
        return None
    return graph if file.name == f"{name}.{_digest(name, graph)}{_SUFFIX}" else None


def _is_private(found: os.stat_result) -> bool:
    """Whether only this user or root may write; always so on Windows, whose user folders are private."""
    if not hasattr(os, "geteuid"):
        return True
    return found.st_uid in (0, os.geteuid()) and not found.st_mode & _OTHERS_MAY_WRITE


def _private_folder() -> Path | None:
    """Create the folder of graphs and deny other users write access; None if that fails."""
    folders = _folders()
    for folder in folders:
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        if not _is_private(found := folder.stat()):
            folder.chmod(stat.S_IMODE(found.st_mode) & ~_OTHERS_MAY_WRITE)
            if not _is_private(folder.stat()):
                return None
    return folders[-1] if folders else None
