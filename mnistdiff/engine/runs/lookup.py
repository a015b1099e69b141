"""Resolve a user-supplied path to a checkpoint or a run."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from mnistdiff.engine.checkpoint.header import read_checkpoint_file
from mnistdiff.engine.checkpoint.pretrained import EARLIER_MODELS, bundled, bundled_models
from mnistdiff.engine.runs.run_dir import RunDir
from mnistdiff.errors import CheckpointError
from mnistdiff.settings import TrainSettings


def checkpoints_to_sample(source: Path | None) -> tuple[Path, ...]:
    """The checkpoint to sample from: a file, or the best of a run; None is the newest run, else the bundled models.

    Of several, as ``bundled`` names them, the first that can do what is asked is used; the last can do all.

    Raises:
        CheckpointError: if the run holds no checkpoint, or there is no bundled model of that name.
    """
    return _checkpoints(source, RunDir.best)


def checkpoint_to_sample(source: Path | None) -> Path:
    """The last of ``checkpoints_to_sample``."""
    return checkpoints_to_sample(source)[-1]


def checkpoint_to_inspect(source: Path | None) -> Path:
    """The checkpoint to inspect: a file, or the latest state of a run; None is the newest run, else ``bundled``.

    Raises:
        CheckpointError: if the run holds no latest state, or there is no bundled model of that name.
    """
    return _checkpoints(source, lambda run: run.latest)[-1]


def checkpoint_to_resume(source: Path | None) -> Path | RunDir:
    """What to resume: a file, or a run that holds a state; None is the newest run.

    Raises:
        CheckpointError: if there is no run, or it holds no state.
    """
    found = _find(source)
    if not found:
        raise CheckpointError(
            "there is no run here: neither the current folder nor runs/ holds a checkpoint",
            "Train a model first, or name a run or a file.",
        )
    if not isinstance(found, RunDir):
        return found[-1]
    if not found.states():
        raise _nothing_in(found)
    return found


def interrupted_run(settings: TrainSettings, run_dir: Path | None) -> RunDir | None:
    """The run that a launcher's restart of the same command goes on with; None if it has saved nothing yet.

    Args:
        settings: of the command; the run also has what it chose itself: data set, end, shards, precision, compiler.
        run_dir: the folder of the command; None looks at all runs here, the newest first.
    """
    chosen_by_the_run = {"dataset", "epochs", "max_steps"} | {
        name for name in ("shards", "precision", "compile") if getattr(settings, name) == "auto"
    }
    asked = settings.model_dump(exclude=chosen_by_the_run)
    for run in RunDir.all() if run_dir is None else [RunDir(run_dir)]:
        with suppress(CheckpointError, OSError):
            if read_checkpoint_file(run.latest).metadata.settings.model_dump(exclude=chosen_by_the_run) == asked:
                return run
    return None


def run_to_show(source: Path | None) -> RunDir:
    """The run to show: a folder, or with None the newest run.

    Raises:
        CheckpointError: if there is no such folder.
    """
    run = RunDir.newest() if source is None else RunDir(source)
    if run is None or not run.path.is_dir():
        raise CheckpointError(f"there is no run {source or 'here'} to show", "Name a run folder.")
    return run


def checkpoint_with_digest(sha256: str, source: Path | None) -> Path:
    """Find the checkpoint with this digest: in ``source``, else the bundled models and the runs here.

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
    if sha256 in EARLIER_MODELS:
        raise CheckpointError(
            f"this image is of the bundled model of mnistdiff {EARLIER_MODELS[sha256]} (SHA-256 {sha256[:12]}...)",
            "Reproduce it with one of these versions, or name the file as `checkpoint`.",
        )
    where = f"{source} is not" if source is not None else "neither a bundled model nor any checkpoint in runs/ is"
    raise CheckpointError(
        f"{where} the one with SHA-256 {sha256[:12]}... of this image",
        "Name it as `checkpoint`; mnistdiff inspect FILE shows the SHA-256 of a file.",
    )


def _candidates(source: Path | None) -> Iterator[Path]:
    """The checkpoints of ``source``; else the bundled models and the checkpoints of every readable run here."""
    found = () if source is None else _find(source)
    if isinstance(found, RunDir):
        yield from found.checkpoints()
    elif found:
        yield from found
    else:
        yield from bundled_models().values()
        for run in RunDir.all():
            with suppress(OSError):
                yield from run.checkpoints()


def _checkpoints(source: Path | None, choose: Callable[[RunDir], Path]) -> tuple[Path, ...]:
    """The files, or what ``choose`` takes of a run; the bundled models if no run was named and there is none."""
    found = _find(source) or bundled()
    if not isinstance(found, RunDir):
        return found
    chosen = choose(found)
    if not chosen.is_file():
        raise _nothing_in(found)
    return (chosen,)


def _find(source: Path | None) -> RunDir | tuple[Path, ...]:
    """The run or the files that a path means; None is the newest run, and no file if there is none."""
    if source is None:
        return RunDir.newest() or ()
    if source.is_dir():
        return RunDir(source)
    return bundled(source) or (source,)


def _nothing_in(run: RunDir) -> CheckpointError:
    return CheckpointError(
        f"there is no checkpoint in the folder {run.path}", "Name a run folder or a file, or train a model."
    )
