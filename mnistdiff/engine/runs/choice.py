"""Which checkpoint is meant: a file that was named, one of a run, of the newest run, or the model in the box."""

from collections.abc import Callable
from pathlib import Path

from mnistdiff.engine.checkpoint.header import read_checkpoint_file
from mnistdiff.engine.checkpoint.pretrained import PRETRAINED
from mnistdiff.engine.runs.run_dir import RunDir
from mnistdiff.errors import CheckpointError


def checkpoint_to_sample(source: Path | None) -> Path:
    """The file to draw from: a file itself or a run's best; with None the newest run's best, else the model in the box.

    Raises:
        CheckpointError: if there is nothing in the run to draw from.
    """
    return _checkpoint(source, RunDir.best) or PRETRAINED


def checkpoint_to_inspect(source: Path | None) -> Path:
    """The file to look at: a file itself, a run's latest state, or with None the newest run's or the model in the box.

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
        return source
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
    """The checkpoint that a picture was drawn from: in what was named, else the model in the box or in a run here.

    Raises:
        CheckpointError: if no checkpoint has this digest.
    """
    if source is not None:
        candidates = [source] if not source.is_dir() else RunDir(source).checkpoints()
    else:
        candidates = [PRETRAINED, *(path for run in RunDir.all() for path in run.checkpoints())]
    for path in candidates:
        try:
            if read_checkpoint_file(path).sha256 == sha256:
                return path
        except CheckpointError:
            if path == source:
                raise
    where = f"{source} is not" if source is not None else "neither the model in the box nor any checkpoint in runs/ is"
    raise CheckpointError(
        f"{where} the one with SHA-256 {sha256[:12]}... that this was drawn from",
        "Name it with --checkpoint FILE; mnistdiff inspect FILE shows the SHA-256.",
    )


def _checkpoint(source: Path | None, choose: Callable[[RunDir], Path]) -> Path | None:
    """What was named, or what ``choose`` takes of the newest run; None if there is no run."""
    if source is not None and not source.is_dir():
        return source
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
