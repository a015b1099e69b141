"""Preconditions of resuming: the checkpoint, the folder, the new end of the run, and that no later state is lost."""

import os
from pathlib import Path
from typing import NamedTuple

from mnistdiff.engine.checkpoint.file import Checkpoint, read_checkpoint
from mnistdiff.engine.checkpoint.header import read_checkpoint_file
from mnistdiff.engine.runs.run_dir import RunDir
from mnistdiff.errors import CheckpointError, NewerFormatError, SettingsError
from mnistdiff.settings import TrainSettings


class Destination(NamedTuple):
    """The run folder in which a training continues.

    Attributes:
        run: the folder.
        is_own: whether the checkpoint lies in it.
        is_new: whether it was created for this.
    """

    run: RunDir
    is_own: bool
    is_new: bool


def destination(source: Path | RunDir, run_dir: Path | None) -> Destination:
    """The folder in which a training continues: the run of its checkpoint, unless ``run_dir`` names another.

    For a checkpoint outside of any run, the next free folder is created.

    Raises:
        CheckpointError: if it would be created for a file that cannot be read.
    """
    own = source if isinstance(source, RunDir) else RunDir.of(source)
    if run_dir is not None:
        is_own = own is not None and os.path.realpath(run_dir) == os.path.realpath(own.path)
        return Destination(RunDir(run_dir), is_own, is_new=False)
    if own is not None:
        return Destination(own, is_own=True, is_new=False)
    assert isinstance(source, Path)
    file = read_checkpoint_file(source)
    file.require_valid()
    return Destination(RunDir.allocate(file.metadata.settings.preset), is_own=False, is_new=True)


def extended(checkpoint: Checkpoint, epochs: int | None, max_steps: int | None) -> TrainSettings:
    """The settings of a run, with a new end if one is given.

    Args:
        checkpoint: to resume from.
        epochs: a new end, in epochs from the start; None keeps it.
        max_steps: a new end, in steps from the start; None keeps it.

    Raises:
        CheckpointError: if the checkpoint is not a complete state.
        SettingsError: if the new end lies before the steps already done.
    """
    metadata = checkpoint.metadata
    settings = metadata.settings
    if metadata.kind != "training":
        raise CheckpointError(
            f"{checkpoint.path} holds the averaged weights alone, without the state of the training",
            "Resume from the run's diffusion_checkpoint.safetensors; this file is for sampling.",
        )
    if epochs is None and max_steps is None:
        return settings
    settings = settings.model_copy(update={"epochs": epochs or settings.epochs, "max_steps": max_steps})
    if epochs is None:  # ``max_steps`` alone is the new end, however many epochs were planned before
        settings = settings.reaching_max_steps(metadata.num_train_images)
    total = settings.total_steps(metadata.num_train_images)
    if total < metadata.step:
        raise SettingsError(
            f"the new end of the run, step {total}, lies before step {metadata.step}, which is done",
            f"The run has {metadata.epoch} whole epochs: use a larger `epochs` or `max_steps`.",
        )
    return settings


def replanned_notice(checkpoint: Checkpoint, settings: TrainSettings) -> str:
    """A notice that a new end changes the learning rate schedule; empty if it does not."""
    metadata = checkpoint.metadata
    before, now = (each.total_steps(metadata.num_train_images) for each in (metadata.settings, settings))
    if before == now or settings.lr_schedule == "constant":
        return ""
    return (
        f"the learning rate was planned for {before} steps and from here on falls as in a run of {now}, so the end is "
        "not that of an unbroken run"
    )


def newest_valid(run: RunDir) -> tuple[Checkpoint, str]:
    """The state to resume a run from: the latest, or if that is damaged or missing, the furthest undamaged one.

    Returns:
        the state, and a notice of what was skipped and why; empty if nothing was.

    Raises:
        CheckpointError: that of the latest, if no state is undamaged.
        NewerFormatError: if the latest is of a later version: resuming from an earlier one would replace it.
    """
    try:
        return read_checkpoint(run.latest), ""
    except NewerFormatError:
        raise
    except CheckpointError as error:
        damage = error
    furthest: Checkpoint | None = None
    for path in run.states():
        try:
            state = read_checkpoint(path)
        except CheckpointError:
            continue
        if furthest is None or state.metadata.step > furthest.metadata.step:
            furthest = state
    if furthest is None:
        raise damage
    return furthest, f"{damage.message}; resuming from {furthest.path}, at step {furthest.metadata.step}"


def require_furthest(run: RunDir, chosen: Checkpoint) -> None:
    """Refuse to resume from a state before the latest of its run, which the next save would replace.

    Raises:
        SettingsError: naming both steps.
    """
    if os.path.realpath(chosen.path) == os.path.realpath(run.latest):
        return
    try:
        latest = read_checkpoint_file(run.latest)
    except CheckpointError:
        return  # nothing readable would be lost
    step, furthest = chosen.metadata.step, latest.metadata.step
    if latest.digest_valid and furthest > step:
        raise SettingsError(
            f"{chosen.path} is at step {step}, and its run has got to step {furthest}",
            "Resume in another folder (`run_dir`), or discard the later steps with `force`.",
        )
