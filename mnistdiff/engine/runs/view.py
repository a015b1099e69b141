"""Read-only views of run folders: state, progress, metrics, previews, checkpoints, evaluation.

Nothing in a folder is written or locked, and no link in it is followed: it may come from an untrusted source.
"""

import os
import stat
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mnistdiff.engine.checkpoint.header import read_metadata
from mnistdiff.engine.checkpoint.metadata import CheckpointMetadata
from mnistdiff.engine.runs import metrics
from mnistdiff.engine.runs.lock import is_held
from mnistdiff.engine.runs.metrics import Record
from mnistdiff.engine.runs.run_dir import RunDir
from mnistdiff.errors import CheckpointError, MnistDiffError, StorageError
from mnistdiff.setting_types import user_path
from mnistdiff.settings import TrainSettings

if TYPE_CHECKING:
    from mnistdiff.engine.evaluation.report import EvaluationReport

State = Literal["training", "stopped", "finished", "damaged"]
_SPEED_RECORDS = 20
"""The last records, whose median speed the time left is computed from."""
_TAIL_BYTES = 8192
_CACHED_RUNS = 4096
_Signature = tuple[tuple[int, int, int] | None, ...]
"""Inode, size and modification time of the files that a view is read from."""


@dataclass(frozen=True)
class Run:
    """A run folder as it was when it was listed.

    Attributes:
        name: of the folder; path: to it.
        state: ``training`` while its folder is locked; ``finished`` with final weights; ``damaged`` if it has no
            checkpoint that can be read; else ``stopped``: ``resume`` continues it.
        problem: a sentence on what cannot be read; empty if all can.
        settings: of the training; None before its first save.
        num_train_images: that are trained on; None before the first save.
        step: optimizer steps done: while it trains, those of the last record, else those that ``resume`` starts from.
        total_steps: planned; None before the first save.
        last: the last record of the metrics; None if there is none.
        seconds_left: estimated from the speed of the last records; None unless it trains.
        started: when it was started or last resumed; written: when a file was last written. Both in seconds since 1970.
        previews: the preview grids by the number of epochs done, in that order.
        checkpoints: the final weights and all complete states, the latest first; ``inspect`` describes each.
        evaluation_file: a report of ``evaluate``, saved as ``evaluation.json``; None if there is none.
    """

    name: str
    path: Path
    state: State
    problem: str
    settings: TrainSettings | None
    num_train_images: int | None
    step: int
    total_steps: int | None
    last: Record | None
    seconds_left: float | None
    started: float
    written: float
    previews: Mapping[int, Path]
    checkpoints: tuple[Path, ...]
    evaluation_file: Path | None

    @property
    def epoch(self) -> int:
        """Whole epochs done."""
        if self.settings is None or self.num_train_images is None:
            return 0
        return self.settings.epochs_done(self.step, self.num_train_images)

    @property
    def dataset(self) -> str:
        """The title of the data set; its name if it is not registered here, empty before the first save."""
        if self.settings is None:
            return ""
        try:
            return self.settings.spec.title
        except CheckpointError:
            return self.settings.dataset

    def records(self, after: int = -1) -> Sequence[Record]:
        """The metrics of this moment, a record every ``log_every`` steps.

        Only the end of the file is read if ``after`` is near it. Lines that are cut off or foreign are left out; of a
        very long run every n-th record is kept.

        Args:
            after: a step; the records of later steps are returned.

        Raises:
            StorageError: if the file is a link, not a regular file, or larger than any training writes.
        """
        file = RunDir(self.path).metrics_file
        if os.path.lexists(file) and not _is_plain(file):
            raise StorageError(f"{file} is not a regular file", "Move it out of the run folder.")
        return [record for record in metrics.read_after(file, after) if record["kind"] == "step"]

    def evaluation(self) -> "EvaluationReport | None":
        """The evaluation in the folder; None if there is none.

        Raises:
            StorageError: if it is no report of ``evaluate``, or cannot be read.
        """
        from mnistdiff.engine.evaluation.report import EvaluationReport

        return None if self.evaluation_file is None else EvaluationReport.read(self.evaluation_file)


def list_runs(folder: str | os.PathLike[str] = "runs") -> tuple[Run, ...]:
    """The runs in a folder, the last started first; those that are links are left out.

    Args:
        folder: whose subfolders are the runs; none if it does not exist.

    Raises:
        SettingsError: for a path that no file system knows.
        OSError: if the folder cannot be read.
    """
    return tuple(sorted(_runs(user_path("folder", folder)), key=lambda run: (run.started, run.name), reverse=True))


def _runs(folder: Path) -> Iterator[Run]:
    try:
        entries = list(os.scandir(folder))
    except FileNotFoundError:
        return
    for entry in entries:
        path = Path(entry.path)
        try:
            if not entry.is_dir(follow_symlinks=False):
                continue
            is_training, signature = is_held(path), _signature(path)
            files = RunDir(path)
            if is_training or any(map(os.path.lexists, (files.settings_file, files.latest, files.weights))):
                yield _view(path, is_training, signature)
        except OSError:  # it was deleted meanwhile, or may not be read
            continue


def _signature(path: Path) -> _Signature:
    run = RunDir(path)
    files = (run.latest, run.weights, run.metrics_file, run.evaluation, run.settings_file)
    found: list[tuple[int, int, int] | None] = []
    for file in (*files, path / "samples", path / "checkpoints", path):
        try:
            status = os.lstat(file)
            found.append((status.st_ino, status.st_size, status.st_mtime_ns))
        except (FileNotFoundError, NotADirectoryError):
            found.append(None)
    return tuple(found)


@lru_cache(maxsize=_CACHED_RUNS)  # so that watching runs reads only those that change
def _view(path: Path, is_training: bool, signature: _Signature) -> Run:
    run = RunDir(path)
    metadata, problem = _metadata(run, is_training=is_training)
    last, speeds = None, []
    try:
        if _is_plain(run.metrics_file):
            recent = [record for record in metrics.read(run.metrics_file, tail=_TAIL_BYTES) if record["kind"] == "step"]
            last = recent[-1] if recent else None
            speeds = [record.get("images_per_second", 0.0) for record in recent[-_SPEED_RECORDS:]]
    except MnistDiffError as error:
        problem = problem or error.message
    step = max(metadata.step if metadata else 0, last["step"] if last and (is_training or not metadata) else 0)
    total = metadata.settings.total_steps(metadata.num_train_images) if metadata else None
    times = [mtime_ns / 1e9 for _, _, mtime_ns in filter(None, signature)]
    has_weights, started = _is_plain(run.weights), signature[4] or signature[-1]
    state: State = "training" if is_training else "finished" if metadata and has_weights else "stopped"
    return Run(
        name=path.name,
        path=path,
        state=state if metadata or is_training else "damaged",
        problem=problem,
        settings=metadata.settings if metadata else None,
        num_train_images=metadata.num_train_images if metadata else None,
        step=step if total is None else min(step, total),
        total_steps=total,
        last=last,
        seconds_left=_seconds_left(metadata, step, speeds) if metadata and is_training else None,
        started=started[2] / 1e9 if started else 0.0,
        written=max(times, default=0.0),
        previews={epoch: file for epoch, file in run.previews().items() if _is_plain(file)},
        checkpoints=tuple(filter(_is_plain, run.checkpoints())),
        evaluation_file=run.evaluation if _is_plain(run.evaluation) else None,
    )


def _metadata(run: RunDir, *, is_training: bool) -> tuple[CheckpointMetadata | None, str]:
    """The metadata of the checkpoint to sample from, or None and why not."""
    file = next((file for file in (run.weights, run.latest) if os.path.lexists(file)), None)
    if file is None:
        return None, "" if is_training else f"{run.path} holds no checkpoint"
    if not _is_plain(file):
        return None, f"{file} is not a regular file"
    try:
        return read_metadata(file), ""
    except CheckpointError as error:
        return None, error.message


def _seconds_left(metadata: CheckpointMetadata, step: int, speeds: Sequence[float]) -> float | None:
    settings, count = metadata.settings, metadata.num_train_images
    speed = statistics.median(speeds) if speeds else 0.0
    images = settings.images_seen(settings.total_steps(count), count) - settings.images_seen(step, count)
    return max(images, 0) / speed if speed > 0 else None


def _is_plain(file: Path) -> bool:
    """Whether a file of a run is a regular file, and neither it nor the folder that it lies in is a link."""
    try:
        return stat.S_ISREG(os.lstat(file).st_mode) and not os.path.islink(file.parent)
    except OSError:
        return False
