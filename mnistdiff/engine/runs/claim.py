"""Create and lock a run folder, and remove it again if nothing was written."""

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
    """Whether a folder is missing or holds no file, temporary and lock files of a killed training aside."""
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
    """Create a run folder and its subfolders, and lock it; after an error, remove what was created if it is empty.

    Args:
        path: of the folder.
        is_new: whether it was created for this run, if it exists.

    Raises:
        RunInUseError: if another process has locked it.
        StorageError: if the path is not a folder.
        OSError: if the file system refuses.
    """
    made = [path / name for name in FOLDERS if not (path / name).exists()]
    made += [path] if is_new or not path.exists() else []
    had_lock = (path / LOCK).exists()
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise StorageError(f"{path} is not a folder", "Choose another `run_dir`.") from error
    must_tidy = False
    try:
        with held(path):
            try:
                for folder in (path, path / "samples", path / "checkpoints"):
                    folder.mkdir(exist_ok=True)
                    sweep_temporaries(folder)
                    require_writable(folder)  # an error now rather than after an hour of training
                yield
            except BaseException:
                if OPEN_FILES_CAN_BE_DELETED:
                    _tidy(path, made, keep_lock=had_lock)
                must_tidy = not OPEN_FILES_CAN_BE_DELETED
                raise
    finally:
        if must_tidy:
            _tidy(path, made, keep_lock=had_lock)


def _tidy(path: Path, made: Sequence[Path], *, keep_lock: bool) -> None:
    """Remove the empty run folder, its lock file last.

    The lock file is removed while it is locked, so that no other process waits for it. On Windows it is removed
    afterwards, unless another process has it open.
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
