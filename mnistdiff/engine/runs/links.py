"""A run folder that somebody else made may hold links, through which a training would write and delete elsewhere."""

import os
import stat
from collections.abc import Iterable
from pathlib import Path

from mnistdiff.errors import StorageError

FOLDERS = ("samples", "checkpoints", "tensorboard", "inference_samples")
"""Those that mnistdiff makes in a run folder."""
_MARKS_OF_A_RUN = ("settings.json", "diffusion_checkpoint.safetensors")
_HINT = "Look at where it came from; delete it, or use another folder."


def require_plain(folders: Iterable[Path], files: Iterable[Path]) -> None:
    """Raise StorageError unless each of these is a folder, or a file, or not there: no link, no pipe, no device."""
    for paths, is_right, wanted in ((folders, stat.S_ISDIR, "folder"), (files, stat.S_ISREG, "regular file")):
        for path in paths:
            try:
                mode = os.lstat(path).st_mode
            except (FileNotFoundError, NotADirectoryError):
                continue
            if not is_right(mode):
                found = f"a link to {os.readlink(path)}" if stat.S_ISLNK(mode) else f"no {wanted}"
                raise StorageError(f"{path} is {found}, and a run keeps a {wanted} of its own there", _HINT)


def require_inside_the_run(path: Path) -> None:
    """Raise StorageError if writing to ``path`` would leave a run folder through a link among the run's own folders."""
    for folder in Path(os.path.abspath(path)).parents:
        is_link = folder.name in FOLDERS and os.path.islink(folder)  # no error above a folder that may not be read
        if is_link and any(os.path.lexists(folder.parent / name) for name in _MARKS_OF_A_RUN):
            raise StorageError(
                f"{folder} is a link to {os.readlink(folder)}, out of the run folder {folder.parent}",
                "Delete it, or name the folder that it leads to.",
            )
