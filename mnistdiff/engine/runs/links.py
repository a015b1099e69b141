"""Refuse links in run folders: through those of a foreign run folder, a training would write and delete elsewhere."""

import os
import stat
from collections.abc import Iterable
from pathlib import Path

from mnistdiff.errors import StorageError

FOLDERS = ("samples", "checkpoints", "tensorboard", "inference_samples")
"""The subfolders of a run folder."""
_FILES_OF_EVERY_RUN = ("settings.json", "diffusion_checkpoint.safetensors")
_HINT = "Check where it came from; delete it, or use another folder."


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
