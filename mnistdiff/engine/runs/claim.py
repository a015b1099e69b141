"""The folder of a run from before its training until after it."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from mnistdiff.engine.runs.links import FOLDERS
from mnistdiff.engine.runs.lock import LOCK, OWNER, held, is_lock_file
from mnistdiff.engine.storage import (
    OPEN_FILES_CAN_BE_DELETED,
    is_temporary,
    remove,
    require_writable,
    sweep_temporaries,
)
from mnistdiff.errors import StorageError


def is_empty(path: Path) -> bool:
    """Whether a folder holds no file, or is not there; what a killed training left of itself does not count."""
    folders = [path]
    while folders:
        folder = folders.pop()
        try:
            entries = list(os.scandir(folder))
        except (FileNotFoundError, NotADirectoryError):
            continue
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                folders.append(Path(entry.path))
            elif folder == path and entry.name in (LOCK, OWNER):
                if not is_lock_file(Path(entry.path)):
                    return False
            elif not is_temporary(entry.name):
                return False
    return True


@contextmanager
def held_for_a_run(path: Path, *, is_new: bool) -> Iterator[None]:
    """Make a folder with those for samples and checkpoints, and hold it; remove what was made if nothing comes of it.

    Args:
        path: of the folder.
        is_new: it was made for this run; so it is if it is not there.

    Raises:
        RunInUseError: if another process holds it.
        StorageError: if something that is no folder is in the way.
        OSError: if the file system refuses.
    """
    made = [path / name for name in FOLDERS if not (path / name).exists()]
    made += [path] if is_new or not path.exists() else []
    had_lock = (path / LOCK).exists()
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise StorageError(f"{path} is not a folder", "Choose another --run-dir.") from error
    to_tidy = False
    try:
        with held(path):
            try:
                for folder in (path, path / "samples", path / "checkpoints"):
                    folder.mkdir(exist_ok=True)
                    sweep_temporaries(folder)
                    require_writable(folder)  # better now than after an hour
                yield
            except BaseException:
                if OPEN_FILES_CAN_BE_DELETED:
                    _tidy(path, made, keep_lock=had_lock)
                to_tidy = not OPEN_FILES_CAN_BE_DELETED
                raise
    finally:
        if to_tidy:
            _tidy(path, made, keep_lock=had_lock)


def _tidy(path: Path, made: Sequence[Path], *, keep_lock: bool) -> None:
    """Remove what was made for a run of which nothing came.

    The lock goes while it is held, so that nobody can be waiting for it; on Windows it goes afterwards, unless another
    process has it open.
    """
    with suppress(OSError):
        if not is_empty(path):
            return
        if not keep_lock:
            remove(path / LOCK)
            remove(path / OWNER)
        for folder in made:
            with suppress(FileNotFoundError):
                folder.rmdir()
