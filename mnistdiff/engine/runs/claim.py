"""Guard run folders: create and lock one, remove it again if nothing was written, and refuse links.

Through the links of a foreign run folder, a training would write and delete elsewhere.
"""

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from mnistdiff.engine import storage
from mnistdiff.engine.runs.lock import LOCK, OWNER, held, is_lock_file
from mnistdiff.errors import StorageError

FOLDERS = ("samples", "checkpoints", "tensorboard", "inference_samples")
"""The subfolders of a run folder."""
_FILES_OF_EVERY_RUN = ("settings.json", "diffusion_checkpoint.safetensors")
_HINT = "Check where it came from; delete it, or use another folder."


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
            elif not storage.is_temporary(entry.name):
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
                    storage.sweep_temporaries(folder)
                    storage.require_writable(folder)  # an error now rather than after an hour of training
                yield
            except BaseException:
                if storage.OPEN_FILES_CAN_BE_DELETED:
                    _tidy(path, made, keep_lock=had_lock)
                must_tidy = not storage.OPEN_FILES_CAN_BE_DELETED
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
            storage.remove(path / LOCK)
            storage.remove(path / OWNER)
        for folder in made:
            with suppress(FileNotFoundError):
                folder.rmdir()


def require_plain(folders: Iterable[Path], files: Iterable[Path]) -> None:
    """Raise StorageError for a link, pipe or device in place of a folder or a regular file; a missing one is fine."""
    for paths, is_right, expected in ((folders, stat.S_ISDIR, "folder"), (files, stat.S_ISREG, "regular file")):
        for path in paths:
            try:
                mode = os.lstat(path).st_mode
            except (FileNotFoundError, NotADirectoryError):
                continue
            if not is_right(mode):
                found = f"a link to {os.readlink(path)}" if stat.S_ISLNK(mode) else f"not a {expected}"
                raise StorageError(f"{path} is {found}; a run needs a {expected}", _HINT)


def require_inside_the_run(path: Path) -> None:
    """Raise StorageError if writing to ``path`` would leave a run folder through a link among the run's own folders."""
    for folder in Path(os.path.abspath(path)).parents:
        is_link = folder.name in FOLDERS and os.path.islink(folder)  # islink is False if access is denied
        if is_link and any(os.path.lexists(folder.parent / name) for name in _FILES_OF_EVERY_RUN):
            raise StorageError(
                f"{folder} is a link to {os.readlink(folder)}, outside of the run folder {folder.parent}",
                "Delete it, or name the folder that it links to.",
            )
