"""Which checkpoint is meant: a file that was named, one of a run, of the newest run, or the bundled model."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from mnistdiff.engine.checkpoint.header import read_checkpoint_file
from mnistdiff.engine.checkpoint.pretrained import PRETRAINED, means_bundled
from mnistdiff.engine.runs.run_dir import RunDir
from mnistdiff.errors import CheckpointError


def checkpoint_to_sample(source: Path | None) -> Path:
    """The file to draw from: a file itself or a run's best; with None the newest run's best, else the bundled model.

    Raises:
        CheckpointError: if there is nothing in the run to draw from.
    """
    return _checkpoint(source, RunDir.best) or PRETRAINED


def checkpoint_to_inspect(source: Path | None) -> Path:
    """The file to look at: a file itself, a run's latest state, or with None the newest run's or the bundled model.

    Raises:
        CheckpointError: if there is nothing in the run to look at.
    """
    return _checkpoint(source, lambda run: run.latest) or PRETRAINED


def checkpoint_to_resume(source: Path | None) -> Path | RunDir:
    """What to go on from: a file, if one was named, or a run that holds a state; with None the newest run.

    Raises:
        CheckpointError: if there is no run, or nothing in it to go on from.
    """
    if source is not None and not source.is_dir():
        return PRETRAINED if means_bundled(source) else source
    run = RunDir.newest() if source is None else RunDir(source)
    if run is None:
        raise CheckpointError(
            "there is no run here: neither the current folder nor runs/ holds a checkpoint",
            "Train one first: mnistdiff train --preset fast. Or name a run or a file.",
        )
    if not run.states():
        raise _nothing_in(run)
    return run


def run_to_show(source: Path | None) -> RunDir:
    """The run whose course is to be shown: a folder, or with None the newest run.

    Raises:
        CheckpointError: if there is no such folder.
    """
    run = RunDir.newest() if source is None else RunDir(source)
    if run is None or not run.path.is_dir():
        raise CheckpointError(f"there is no run {source or 'here'} to show", "Name a run folder.")
    return run


def checkpoint_with_digest(sha256: str, source: Path | None) -> Path:
    """The checkpoint that a picture was drawn from: in what was named, else the bundled model or in a run here.

    Raises:
        CheckpointError: if no checkpoint has this digest.
    """
    for path in _candidates(source):
        try:
            if read_checkpoint_file(path).sha256 == sha256:
                return path
        except (CheckpointError, OSError):
            if path == source:
                raise
    where = f"{source} is not" if source is not None else "neither the bundled model nor any checkpoint in runs/ is"
    raise CheckpointError(
        f"{where} the one with SHA-256 {sha256[:12]}... that this was drawn from",
        "Name it with --checkpoint FILE; mnistdiff inspect FILE shows the SHA-256.",
    )


def _candidates(source: Path | None) -> Iterator[Path]:
    """The checkpoints in what was named; else the bundled model and those of every run here that can be looked at."""
    if source is not None:
        if source.is_dir():
            yield from RunDir(source).checkpoints()
        else:
            yield PRETRAINED if means_bundled(source) else source
        return
    yield PRETRAINED
    for run in RunDir.all():
        with suppress(OSError):
            yield from run.checkpoints()


def _checkpoint(source: Path | None, choose: Callable[[RunDir], Path]) -> Path | None:
    """What was named, or what ``choose`` takes of the newest run; None if there is no run."""
    if source is not None and not source.is_dir():
        return PRETRAINED if means_bundled(source) else source
    run = RunDir.newest() if source is None else RunDir(source)
    if run is None:
        return None
    chosen = choose(run)
    if not chosen.is_file():
        raise _nothing_in(run)
    return chosen


def _nothing_in(run: RunDir) -> CheckpointError:
    return CheckpointError(
        f"there is no checkpoint in the folder {run.path}", "Name a run folder or a file; mnistdiff train makes one."
    )
