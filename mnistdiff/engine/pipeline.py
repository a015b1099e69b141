"""Train a model, and resume a training.

``train`` and ``resume`` are generators of events (``runs.events``), for the caller to show. An event is yielded
once what it reports is done and its files are written. Of several processes that train together, the first one yields
events; in the others the generators train and are empty.
"""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mnistdiff import __version__
from mnistdiff.engine.checkpoint.file import Checkpoint, read_checkpoint
from mnistdiff.engine.checkpoint.metadata import Fingerprint
from mnistdiff.engine.data.load import TrainingImages, load_training_images
from mnistdiff.engine.network.device import execution_fingerprint, resolve_device
from mnistdiff.engine.runs.events import Event
from mnistdiff.engine.runs.recorder import Recorder
from mnistdiff.engine.runs.resume import destination, extended, newest_valid, replanned_notice, require_furthest
from mnistdiff.engine.runs.run_dir import RunDir
from mnistdiff.engine.training.choose import require_divisible, with_precision, with_shards
from mnistdiff.engine.training.execution import Execution, reproducible, with_available_compiler
from mnistdiff.engine.training.follow import Order, follow, give
from mnistdiff.engine.training.group import Group, joined
from mnistdiff.engine.training.held_out import HeldOutLoss
from mnistdiff.engine.training.launch import place_in_group
from mnistdiff.engine.training.loop import ObjectiveFactory, Stop, never, train_steps
from mnistdiff.engine.training.objective import Objective
from mnistdiff.engine.training.objectives import objective_of
from mnistdiff.engine.training.state import TrainState, Weights
from mnistdiff.engine.training.time_budget import steps_within
from mnistdiff.engine.training.warnings import warnings_of
from mnistdiff.errors import CheckpointError
from mnistdiff.machine_settings import MachineSettings
from mnistdiff.settings import TrainSettings

if TYPE_CHECKING:
    import torch


def train(
    settings: TrainSettings,
    machine: MachineSettings,
    *,
    allow_fallback: bool = False,
    epochs_yield: bool = False,
    force: bool = False,
    make_objective: ObjectiveFactory = objective_of,
    weights: Weights | None = None,
    stop: Stop = never,
) -> Iterator[Event]:
    """Train a model from its first step.

    Args:
        settings: what to compute.
        machine: where, and for how long; without ``run_dir`` the next free ``runs/NNN-PRESET`` is created.
        allow_fallback: train on the small offline data set if MNIST is unavailable.
        epochs_yield: train for more than ``epochs`` if ``max_steps`` or ``max_minutes`` takes longer.
        force: replace the run in the folder.
        make_objective: (settings, device) -> the loss to minimise.
        weights: to start from, by parameter name; None starts from random ones.
        stop: called after every step; True saves and ends.

    Raises:
        SettingsError: if the run folder is not empty, or the device is not available.
        RunInUseError: if another process trains in the run folder.
        DataError: if the images are unavailable.
        DivergedError, OutOfMemoryError, ProcessError: as in ``train_steps``.
    """
    if place_in_group().rank > 0:
        follow(machine, make_objective=make_objective, stop=stop)
        return
    device = resolve_device(machine.device)
    with joined(device, machine.processes, stop) as group, ExitStack() as opened:
        # A given folder is locked first: if it is in use, that error goes before those of the data.
        run = RunDir(machine.run_dir) if machine.run_dir is not None else None
        if run is not None:
            opened.enter_context(run.locked(must_be_free=not force))
        dataset = load_training_images(settings, data_dir=machine.data_dir, allow_fallback=allow_fallback)
        settings = settings.model_copy(update={"dataset": dataset.name})
        settings = with_shards(settings, machine, device, processes=group.size)
        opened.enter_context(reproducible(settings, device))
        execution = _planned(settings, machine, epochs_yield, dataset, make_objective, device, group)
        objective = make_objective(execution.settings, device)
        if run is None:
            run = RunDir.allocate(settings.preset)
            opened.enter_context(run.locked(is_new=True))
        state = TrainState.initial(execution.settings, device, objective, weights=weights)
        run.clear()  # with ``force``, once the new run has all that it needs
        notices = [dataset.notice, *warnings_of(settings)]
        with _cleared_if_nothing_was_learned(run, state):
            yield from _recorded(run, execution, dataset, state, objective, notices, group, stop)


def resume(
    source: Path | RunDir,
    machine: MachineSettings,
    *,
    epochs: int | None = None,
    max_steps: int | None = None,
    force: bool = False,
    make_objective: ObjectiveFactory = objective_of,
    stop: Stop = never,
) -> Iterator[Event]:
    """Resume a training from a checkpoint, bit-exact to an uninterrupted one.

    Args:
        source: a complete state, or a run: its latest state, or if that is damaged, the furthest undamaged one.
        machine: where; the training continues in the run of the checkpoint, unless ``run_dir`` names another folder. A
            file outside of any run continues in a new folder.
        epochs: a new end of the run, in epochs from its start.
        max_steps: a new end of the run, in steps from its start.
        force: resume from this state even if its run has got further, or the folder is not empty.
        make_objective: (settings, device) -> the loss to minimise.
        stop: called after every step; True saves and ends.

    Raises:
        CheckpointError: if the file is not a complete state.
        SettingsError: if the new end lies before the steps already done, or the run has got further.
        RunInUseError, DataError, DivergedError, OutOfMemoryError, ProcessError: as in ``train``.
    """
    if place_in_group().rank > 0:
        follow(machine, make_objective=make_objective, stop=stop)
        return
    device = resolve_device(machine.device)
    run, is_own, is_new = destination(source, machine.run_dir)
    # Read under the lock: a training that is just ending may still be writing this file.
    with (
        joined(device, machine.processes, stop) as group,
        run.locked(must_be_free=not (is_own or force), is_new=is_new),
        ExitStack() as opened,
    ):
        checkpoint, skipped = newest_valid(source) if isinstance(source, RunDir) else (read_checkpoint(source), "")
        settings, uncompiled = with_available_compiler(extended(checkpoint, epochs, max_steps), device)
        if is_own and not isinstance(source, RunDir) and not force:
            require_furthest(run, checkpoint)
        require_divisible(settings.fixed_shards, group.size)
        opened.enter_context(reproducible(settings, device))
        dataset = load_training_images(settings, data_dir=machine.data_dir)
        objective = make_objective(settings, device)
        state = _restored(checkpoint, settings, dataset, device, objective)
        if not is_own:
            run.clear()  # with ``force``: files of another run must not stay among those of this one
        notices = [skipped, _inexact_notice(checkpoint, device), uncompiled, replanned_notice(checkpoint, settings)]
        yield from _recorded(run, Execution(settings), dataset, state, objective, notices, group, stop)


@contextmanager
def _cleared_if_nothing_was_learned(run: RunDir, state: TrainState) -> Iterator[None]:
    """Clear the run after an error before its first step, since the next attempt needs an empty folder."""
    try:
        yield
    except Exception:
        if state.step == 0:
            run.clear()
        raise


def _planned(
    settings: TrainSettings,
    machine: MachineSettings,
    epochs_yield: bool,
    dataset: TrainingImages,
    make_objective: ObjectiveFactory,
    device: "torch.device",
    group: Group,
) -> Execution:
    """Choose precision and compiler, and the number of steps that fits into ``max_minutes``."""
    execution = with_precision(settings, machine, device)
    settings = execution.settings
    if machine.max_minutes is not None:
        give(Order(settings=settings, minutes=machine.max_minutes), group)
        images, labels, objective = dataset.images, dataset.labels, make_objective(settings, device)
        planned = steps_within(machine.max_minutes, images, labels, settings, objective, device, group)
        settings = settings.model_copy(update={"max_steps": planned})
    if epochs_yield:
        settings = settings.reaching_max_steps(len(dataset.images))
    return replace(execution, settings=settings)


def _recorded(
    run: RunDir,
    execution: Execution,
    dataset: TrainingImages,
    state: TrainState,
    objective: Objective,
    notices: Iterable[str],
    group: Group,
    stop: Stop,
) -> Iterator[Event]:
    """Train to the planned end or until stopped, in a locked run folder."""
    settings, images, labels = execution.settings, dataset.images, dataset.labels
    total_steps = settings.total_steps(len(images))
    computed = execution.describe(group.size)
    held_out = None if dataset.held_out is None else HeldOutLoss(dataset.held_out, settings, objective, state.device)
    recorder = Recorder(
        run,
        settings,
        state,
        num_images=len(images),
        held_out=held_out,
        execution=computed,
        notices=notices,
        stop=stop,
    )
    give(Order(settings=settings, step=state.step), group, state)
    steps = train_steps(state, images, labels, settings, objective, total_steps=total_steps, group=group, stop=stop)
    yield from recorder.record(steps)


def _restored(
    checkpoint: Checkpoint,
    settings: TrainSettings,
    dataset: TrainingImages,
    device: "torch.device",
    objective: Objective,
) -> TrainState:
    """The training state of a checkpoint.

    Raises:
        CheckpointError: if it was trained on another data set, or its tensors are not those of its network.
    """
    metadata, source = checkpoint.metadata, str(checkpoint.path)
    if len(dataset.images) != metadata.num_train_images:
        raise CheckpointError(
            f"{source} was trained on {metadata.num_train_images:,} images, and {dataset.name} here has "
            f"{len(dataset.images):,}"
        )
    state = TrainState.from_tensors(checkpoint.tensors, settings, device, objective, step=metadata.step, source=source)
    state.recent_losses.extend(metadata.recent_losses)
    state.epoch_loss_sum, state.held_out = metadata.epoch_loss_sum, metadata.held_out
    return state


def _inexact_notice(checkpoint: Checkpoint, device: "torch.device") -> str:
    """Why the resumed run will not have the bits of an unbroken one; empty if it will."""
    here = Fingerprint(mnistdiff=__version__, **execution_fingerprint(device))
    differences = checkpoint.metadata.fingerprint.differences(here)
    return f"this will not be bit-exact: {'; '.join(differences)}" if differences else ""
