"""What must hold before a run goes on: its new end, its home, and that nothing further is lost."""

import os
from pathlib import Path

from mnistdiff.engine.checkpoint.file import Checkpoint, read_checkpoint
from mnistdiff.engine.checkpoint.header import read_checkpoint_file
from mnistdiff.engine.checkpoint.metadata import CheckpointMetadata
from mnistdiff.engine.runs.run_dir import RunDir
from mnistdiff.errors import CheckpointError, NewerFormatError, SettingsError
from mnistdiff.settings import TrainSettings


def extended(path: Path, metadata: CheckpointMetadata, epochs: int | None, max_steps: int | None) -> TrainSettings:
    """The settings of a run with a new end, or as they were.

    Args:
        path: of its checkpoint, to name in an error.
        metadata: of that checkpoint.
        epochs: a new end, in epochs from the start; None keeps it.
        max_steps: a new end, in steps from the start; None keeps it.

    Raises:
        CheckpointError: if the checkpoint is no complete state.
        SettingsError: if the new end lies before what is done.
    """
    settings = metadata.settings
    if metadata.kind != "training":
        raise CheckpointError(
            f"{path} holds the averaged weights alone, without the state of the training",
            "Resume from the run's diffusion_checkpoint.safetensors; or draw from this file: mnistdiff sample.",
        )
    if epochs is None and max_steps is None:
        return settings
    settings = settings.model_copy(update={"epochs": epochs or settings.epochs, "max_steps": max_steps})
    if epochs is None:  # steps alone are the new end, however many epochs were planned before
        settings = settings.reaching_max_steps(metadata.num_train_images)
    total = settings.total_steps(metadata.num_train_images)
    if total < metadata.step:
        raise SettingsError(
            f"the new end of the run, step {total}, lies before step {metadata.step}, which is done",
            f"The run has {metadata.epoch} whole epochs: use a larger --epochs or --max-steps.",
        )
    return settings


def replanned_notice(metadata: CheckpointMetadata, settings: TrainSettings) -> str:
    """What a new end means where the learning rate falls towards the end; empty where it means nothing."""
    before, now = (each.total_steps(metadata.num_train_images) for each in (metadata.settings, settings))
    if before == now or settings.lr_schedule == "constant":
        return ""
    return (
        f"the learning rate was planned for {before} steps and from here on falls as in a run of {now}, so the end is "
        "not that of an unbroken run"
    )


def newest_valid(run: RunDir) -> tuple[Checkpoint, str]:
    """The state of a run to go on from: the latest, or if that is damaged or gone, the furthest that is whole.

    Returns:
        the state, and what was skipped and why; empty if nothing was.

    Raises:
        CheckpointError: that of the latest, if no other state is whole.
        NewerFormatError: if the latest is of a later version: going back behind it would cost it.
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
    return furthest, f"{damage.message}; going on from {furthest.path}, at step {furthest.metadata.step}"


def new_home(checkpoint_path: Path) -> RunDir:
    """A run folder for a checkpoint that lies in none; made only if the file is whole.

    Raises:
        CheckpointError: if it is not.
    """
    file = read_checkpoint_file(checkpoint_path)
    file.require_valid()
    return RunDir.allocate(file.metadata.settings.preset)


def require_furthest(run: RunDir, chosen: Path, step: int, force: bool) -> None:
    """Refuse to go back behind the latest state, which the next save would replace."""
    if force or os.path.realpath(chosen) == os.path.realpath(run.latest):
        return
    try:
        latest = read_checkpoint_file(run.latest)
    except CheckpointError:
        return  # nothing readable would be lost
    if latest.digest_valid and latest.metadata.step > step:
        raise SettingsError(
            f"{chosen} is at step {step}, and its run has got to step {latest.metadata.step}",
            "Go on elsewhere with --run-dir NEW, or give up the later steps with --force.",
        )
