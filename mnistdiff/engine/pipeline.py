"""From settings to a finished run, and from a stopped run onward.

``train`` and ``resume`` are generators of events; whoever consumes them draws the progress bar. What an event speaks of
is done, and its files are written, before it is yielded.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

from mnistdiff import __version__
from mnistdiff.engine.checkpoint.file import read_checkpoint
from mnistdiff.engine.checkpoint.metadata import Fingerprint
from mnistdiff.engine.data.mnist import Dataset, load_training_images
from mnistdiff.engine.diffusion.schedule import NoiseSchedule
from mnistdiff.engine.network.device import execution_fingerprint, resolve_device
from mnistdiff.engine.runs.events import Event, Finished, Saved, Started
from mnistdiff.engine.runs.recorder import Recorder
from mnistdiff.engine.runs.resume import extended, new_home, newest_valid, replanned_notice, require_furthest
from mnistdiff.engine.runs.run_dir import RunDir
from mnistdiff.engine.training.loop import train_steps
from mnistdiff.engine.training.state import TrainState
from mnistdiff.engine.training.time_budget import steps_within
from mnistdiff.errors import CheckpointError
from mnistdiff.settings import MachineSettings, TrainSettings

Stop = Callable[[], bool]
_MUCH_SIGNAL = 0.2


def never() -> bool:
    """Do not stop."""
    return False


def train(
    settings: TrainSettings,
    machine: MachineSettings,
    *,
    allow_fallback: bool = False,
    epochs_yield: bool = False,
    force: bool = False,
    stop: Stop = never,
) -> Iterator[Event]:
    """Train a model from its first step.

    Args:
        settings: what to compute.
        machine: where, and for how long; without a run folder the next free ``runs/NNN-PRESET`` is made.
        allow_fallback: train on the small offline data set if MNIST cannot be had.
        epochs_yield: train for more than ``epochs`` where the steps or minutes asked for take longer.
        force: replace the run that is in the folder.
        stop: asked after every step; True saves and ends.

    Raises:
        SettingsError: if the run folder is not empty, or the device is not there.
        RunInUseError: if another process trains in the run folder.
        DataError: if the images cannot be had.
        DivergedError: if the loss is no longer finite.
        OutOfMemoryError: if a step does not fit.
        OSError: if the file system refuses.
    """
    device = resolve_device(machine.device)
    with ExitStack() as held:
        # A folder that was named is claimed first: if it is in use, that is what the user must hear.
        run = RunDir(machine.run_dir) if machine.run_dir is not None else None
        if run is not None:
            held.enter_context(run.locked(must_be_free=not force))
        dataset = load_training_images(settings.dataset, data_dir=machine.data_dir, allow_fallback=allow_fallback)
        settings = settings.model_copy(update={"dataset": dataset.name})
        if machine.max_minutes is not None:
            planned = steps_within(machine.max_minutes, dataset.images, dataset.labels, settings, device)
            settings = settings.model_copy(update={"max_steps": planned})
        if epochs_yield:
            settings = settings.reaching_max_steps(len(dataset.images))
        if run is None:
            run = RunDir.allocate(settings.preset)
            held.enter_context(run.locked(is_new=True))
        state = TrainState.initial(settings, device)
        run.clear()  # what --force gives up, once nothing of the new run can be missing
        notices = tuple(notice for notice in (dataset.notice, _schedule_notice(settings)) if notice)
        try:
            yield from _go_on(run, settings, dataset, state, notices, stop)
        except Exception:
            if state.step == 0:
                run.clear()  # nothing was learned, so nothing shall stand in the way of the next attempt
            raise


def resume(
    source: Path | RunDir,
    machine: MachineSettings,
    *,
    epochs: int | None = None,
    max_steps: int | None = None,
    force: bool = False,
    stop: Stop = never,
) -> Iterator[Event]:
    """Go on from a checkpoint, to the same bits as if training had never stopped.

    Args:
        source: a complete state, or a run, which goes on from its latest; if that is damaged, from the furthest state
            that is whole. The run goes on in its folder, unless ``machine`` names another; a file that lies in no run
            starts a run folder of its own.
        machine: where.
        epochs: a new end of the run, in epochs from its start.
        max_steps: a new end, in steps from its start.
        force: go on from this state even if its run has got further.
        stop: asked after every step; True saves and ends.

    Raises:
        CheckpointError: if the file is not a state to train on from.
        SettingsError: if the new end lies before the steps already done, or the run has got further.
        RunInUseError: if another process trains in the run folder.
        DataError: if the images cannot be had.
        DivergedError: if the loss is no longer finite.
        OutOfMemoryError: if a step does not fit.
        OSError: if the file system refuses.
    """
    device = resolve_device(machine.device)
    elsewhere = RunDir(machine.run_dir) if machine.run_dir is not None else None
    if isinstance(source, RunDir):
        home: RunDir | None = source
        run = elsewhere or source
    else:
        home = RunDir.of(source)
        run = elsewhere or home or new_home(source)
    at_home = home is not None and os.path.realpath(run.path) == os.path.realpath(home.path)
    is_new_home = elsewhere is None and home is None
    # Read under the lock: a training that is just ending may still be writing this file.
    with run.locked(must_be_free=not (at_home or force), is_new=is_new_home):
        checkpoint, skipped = newest_valid(source) if isinstance(source, RunDir) else (read_checkpoint(source), "")
        checkpoint_path, metadata = checkpoint.path, checkpoint.metadata
        settings = extended(checkpoint_path, metadata, epochs, max_steps)
        if at_home and not isinstance(source, RunDir):
            require_furthest(run, checkpoint_path, metadata.step, force)
        dataset = load_training_images(settings.dataset, data_dir=machine.data_dir)
        if len(dataset.images) != metadata.num_train_images:
            raise CheckpointError(
                f"{checkpoint_path} was trained on {metadata.num_train_images:,} images, and {dataset.name} here has "
                f"{len(dataset.images):,}"
            )
        state = TrainState.from_tensors(
            checkpoint.tensors, settings, device, step=metadata.step, source=str(checkpoint_path)
        )
        state.recent_losses.extend(metadata.recent_losses)
        state.epoch_loss_sum = metadata.epoch_loss_sum
        if not at_home:
            run.clear()  # what --force gives up; nothing of another run may stand among the files of this one
        here = Fingerprint(mnistdiff=__version__, **execution_fingerprint(device))
        differences = metadata.fingerprint.differences(here)
        inexact = f"this will not be bit-exact: {'; '.join(differences)}" if differences else ""
        notices = tuple(notice for notice in (skipped, inexact, replanned_notice(metadata, settings)) if notice)
        yield from _go_on(run, settings, dataset, state, notices, stop)


def _go_on(
    run: RunDir,
    settings: TrainSettings,
    dataset: Dataset,
    state: TrainState,
    notices: tuple[str, ...],
    stop: Stop,
) -> Iterator[Event]:
    """Train to the end or until stopped, in a locked run folder."""
    num_images = len(dataset.images)
    steps_per_epoch, total_steps = settings.steps_per_epoch(num_images), settings.total_steps(num_images)
    recorder = Recorder(run, settings, state, num_images, stop)
    notices += tuple(filter(None, [recorder.space_notice(total_steps)]))
    yield Started(
        run=run,
        settings=settings,
        device=state.device.type,
        parameters=state.model.num_parameters,
        num_images=num_images,
        step=state.step,
        total_steps=total_steps,
        steps_per_epoch=steps_per_epoch,
        notices=notices,
    )
    # At once: a run killed in its first minute can be resumed, and a full disk is known before the first step.
    recorder.save()
    run.write_settings(settings)
    if state.step < total_steps and run.metrics_file.exists():
        run.rewind_metrics(state.step, log_every=settings.log_every)
    if state.step > 0 and state.step % steps_per_epoch == 0:
        # Stopped between the end of the epoch and its preview.
        yield from _preview(recorder, run, settings, state.step // steps_per_epoch)

    for step in train_steps(state, dataset.images, dataset.labels, settings, total_steps=total_steps):
        recorder.count(step)
        yield step
        epoch, in_epoch = divmod(step.step, steps_per_epoch)
        # Metrics before the state: what is recorded after the state that a killed run goes on from is recorded again.
        if step.step % settings.log_every == 0 or step.step == total_steps:
            yield recorder.log(step)
        if in_epoch == 0:
            yield from _end_of_epoch(recorder, run, settings, epoch, stop)
        elif step.step % settings.save_every == 0:
            recorder.save()
        if stop():
            break

    if recorder.saved_step != state.step:
        recorder.save()
    if state.step >= total_steps:
        yield Saved(recorder.save_weights())
    recorder.plot()
    yield Finished(
        run=run,
        step=state.step,
        total_steps=total_steps,
        epoch=settings.epochs_done(state.step, num_images),
        loss=state.recent_loss,
        notices=notices,
    )


def _end_of_epoch(recorder: Recorder, run: RunDir, settings: TrainSettings, epoch: int, stop: Stop) -> Iterator[Event]:
    yield recorder.epoch_done()
    keep = settings.checkpoint_every and epoch % settings.checkpoint_every == 0
    kept = recorder.save(keep_epoch=epoch if keep else None)
    if kept is not None:
        yield Saved(kept)
    if not stop():
        yield from _preview(recorder, run, settings, epoch)
        recorder.plot()


def _preview(recorder: Recorder, run: RunDir, settings: TrainSettings, epoch: int) -> Iterator[Event]:
    due = settings.sample_every and epoch % settings.sample_every == 0
    if due and not run.epoch_samples(epoch).exists():
        preview = recorder.preview(epoch)
        if preview is not None:
            yield preview


def _schedule_notice(settings: TrainSettings) -> str:
    signal = NoiseSchedule.from_settings(settings).terminal_signal
    if signal < _MUCH_SIGNAL:
        return ""
    return (
        f"with these betas x_T still holds {signal:.0%} of the image, while drawing starts from pure noise; "
        "use more --timesteps or --beta-schedule cosine"
    )
