"""The layout of a run folder: the name of every file of a run."""

import glob
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mnistdiff.engine.runs import claim, metrics
from mnistdiff.engine.runs.lock import LOCK, OWNER, require_unheld
from mnistdiff.engine.storage import remove, write_atomically
from mnistdiff.errors import SettingsError
from mnistdiff.settings import TrainSettings
from mnistdiff.shell import quoted

RUNS_FOLDER = Path("runs")
_KEPT_CHECKPOINTS = "checkpoints/diffusion_checkpoint_epoch_*.safetensors"


class _Named:
    """An attribute of a run: the path of this name in its folder."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, run: "RunDir", owner: object) -> Path:
        return run.path / self._name


@dataclass(frozen=True)
class RunDir:
    """The files of a run. The names are those of the original script of this project."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)

    settings_file = _Named("settings.json")
    """All settings, as JSON; ``train`` reads it as ``config``."""
    metrics_file = _Named("metrics.jsonl")
    """The metrics, one JSON object a line: losses of steps and of epochs."""
    loss_plot = _Named("loss.png")
    """The plot of the loss curve."""
    latest = _Named("diffusion_checkpoint.safetensors")
    """The latest complete state, which ``resume`` reads."""
    previous = _Named("diffusion_checkpoint_previous.safetensors")
    """The state before the latest, which ``resume`` reads if the latest is damaged."""
    weights = _Named("conditional_diffusion_mnist.safetensors")
    """The final averaged weights, which ``sample`` reads."""
    tensorboard = _Named("tensorboard")
    """The folder of event files for TensorBoard, with ``log`` tensorboard."""
    evaluation = _Named("evaluation.json")
    """An evaluation report, which the HTML report of the run shows."""

    def epoch_checkpoint(self, epoch: int) -> Path:
        """A kept state, by the number of epochs done."""
        return self.path / "checkpoints" / f"diffusion_checkpoint_epoch_{epoch:04d}.safetensors"

    def epoch_samples(self, epoch: int) -> Path:
        """A preview grid, by the number of epochs done."""
        return self.path / "samples" / f"epoch_{epoch:04d}.png"

    def previews(self) -> dict[int, Path]:
        """The preview grids by the number of epochs done, in that order."""
        found = {path: re.fullmatch(r"epoch_([0-9]+)\.png", path.name) for path in self.path.glob("samples/*.png")}
        by_epoch = {int(match[1]): path for path, match in found.items() if match}
        return dict(sorted(by_epoch.items()))

    @classmethod
    def allocate(cls, preset: str, parent: Path = RUNS_FOLDER) -> "RunDir":
        """Create the folder ``runs/NNN-PRESET`` with the next free number."""
        parent.mkdir(parents=True, exist_ok=True)
        numbers = [entry.name.partition("-")[0] for entry in parent.iterdir()]
        number = max((int(text) for text in numbers if text.isdecimal()), default=0)
        while True:
            number += 1
            run = cls(parent / f"{number:03d}-{preset}")
            try:
                run.path.mkdir()
            except FileExistsError:
                continue
            return run

    @classmethod
    def of(cls, checkpoint: Path) -> "RunDir | None":
        """The run that contains a checkpoint file; None if there is none."""
        # Absolute first: the parent of a bare file name is ".", and the parent of "." is "." again.
        for folder in Path(os.path.abspath(checkpoint)).parents[:2]:
            run = cls(folder if checkpoint.is_absolute() else Path(os.path.relpath(folder)))
            if os.path.lexists(run.settings_file):
                return run
        return None

    @classmethod
    def newest(cls, start: Path = Path()) -> "RunDir | None":
        """The most recently written run in ``runs/`` and in the current folder; None if there is none."""
        return next(iter(cls.all(start)), None)

    @classmethod
    def all(cls, start: Path = Path()) -> "list[RunDir]":
        """The runs in ``runs/`` and in the current folder, the most recently written first.

        Folders that cannot be read are left out.
        """
        folders = [start]
        for parent in (start, start / RUNS_FOLDER):
            # Unlike ``Path.glob``, it passes over folders that may not be read.
            folders += [parent / name for name in sorted(glob.glob("*/", root_dir=parent, include_hidden=True))]
        written = [(cls(folder), _time_written(cls(folder).latest)) for folder in folders]
        found = [(run, time) for run, time in written if time is not None]
        return [run for run, _ in sorted(found, key=lambda pair: pair[1], reverse=True)]

    def checkpoints(self) -> "list[Path]":
        """The final weights and all complete states, the latest first."""
        return [path for path in (self.weights, *self.states()) if path.is_file()]

    def states(self) -> list[Path]:
        """All complete states, the latest first."""
        kept = sorted(self.path.glob(_KEPT_CHECKPOINTS), reverse=True)
        return [path for path in (self.latest, self.previous, *kept) if path.is_file()]

    def best(self) -> Path:
        """The checkpoint to sample from: the final weights of a finished run, else the latest state."""
        return self.weights if self.weights.is_file() else self.latest

    def is_empty(self) -> bool:
        """Whether the folder is missing or holds no file, temporary and lock files of a killed training aside."""
        return claim.is_empty(self.path)

    def require_free(self, *, force: bool) -> None:
        """Refuse a folder that is not empty, unless ``force`` is set.

        Raises:
            RunInUseError: if another process trains in it.
            SettingsError: otherwise.
        """
        if force or self.is_empty():
            return
        require_unheld(self.path)
        raise self._not_empty()

    def _not_empty(self) -> SettingsError:
        resume = f"Continue it: mnistdiff resume {quoted(self.path)}. Or use" if self.states() else "Use"
        return SettingsError(
            f"{self.path} is not empty, and a run is never overwritten",
            f"{resume} another `run_dir`, or replace the run with `force`.",
        )

    @contextmanager
    def locked(self, *, must_be_free: bool = False, is_new: bool = False) -> Iterator[None]:
        """Create the folder and lock it for one training; after an error, remove it if it is empty.

        Args:
            must_be_free: refuse a folder that is not empty.
            is_new: whether the folder was created for this run, if it exists.

        Raises:
            RunInUseError: if another process trains in it.
            SettingsError: if the folder must be free and is not.
            StorageError: if the path is not a folder, or one of its files is a link.
            OSError: if the file system refuses.
        """
        self.require_free(force=not must_be_free)
        folders = [self.path / name for name in claim.FOLDERS]
        claim.require_plain(folders, [self.path / LOCK, self.path / OWNER, *self._files()])
        with claim.held_for_a_run(self.path, is_new=is_new):
            if must_be_free and not self.is_empty():
                raise self._not_empty()
            yield

    def _files(self) -> "list[Path]":
        """The files that a training writes or deletes, besides locks and those for TensorBoard."""
        curves = (self.metrics_file, self.loss_plot, *self.previews().values())
        states = (self.latest, self.previous, *self.path.glob(_KEPT_CHECKPOINTS))
        return [self.settings_file, *curves, self.weights, *states]

    def clear(self) -> None:
        """Delete the files of an earlier training, and no others."""
        for file in (*self._files(), *self.tensorboard.glob("events.out.tfevents.*")):
            remove(file)

    def write_settings(self, settings: TrainSettings) -> None:
        """Write the settings file."""
        write_atomically(self.settings_file, (settings.model_dump_json(indent=2) + "\n").encode())

    def append_metrics(self, record: metrics.Record) -> None:
        """Append a record to the metrics."""
        metrics.append(self.metrics_file, record)

    def read_metrics(self) -> list[metrics.Record]:
        """Read the metrics; see ``metrics.read``."""
        return metrics.read(self.metrics_file)

    def rewind_metrics(self, step: int, *, log_every: int) -> None:
        """Remove the metrics after ``step``; see ``metrics.rewind``."""
        metrics.rewind(self.metrics_file, step, log_every=log_every)


def _time_written(file: Path) -> int | None:
    """The modification time of a file in nanoseconds; None if it is not a readable file."""
    try:
        status = file.stat()
    except (OSError, ValueError):
        return None
    return status.st_mtime_ns if stat.S_ISREG(status.st_mode) and os.access(file, os.R_OK) else None
