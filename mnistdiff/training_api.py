"""The part of the Python API that trains: train, distil, resume. Each is a generator of events (``runs.events``)."""

import os
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from mnistdiff.distillation import STUDENT_STEPS, StudentSteps
from mnistdiff.engine.checkpoint.file import read_checkpoint
from mnistdiff.engine.checkpoint.header import CheckpointFile, read_checkpoint_file
from mnistdiff.engine.checkpoint.pretrained import PRETRAINED
from mnistdiff.engine.libraries import require
from mnistdiff.engine.runs.lookup import checkpoint_to_resume, checkpoints_to_sample, interrupted_run
from mnistdiff.engine.runs.run_dir import RunDir
from mnistdiff.errors import field_errors, validate
from mnistdiff.machine_settings import MachineSettings
from mnistdiff.setting_types import LogName, user_path
from mnistdiff.settings import TrainSettings

if TYPE_CHECKING:  # these import torch
    from mnistdiff.engine.runs.events import Event
    from mnistdiff.presets import Resolved

PathLike = str | os.PathLike[str]


def train(
    *,
    config: PathLike | None = None,
    start: PathLike | None = None,
    force: bool = False,
    stop: Callable[[], bool] = lambda: False,
    **settings: object,
) -> Iterator["Event"]:
    """Train a model.

    Settings are checked by the call; training starts when the first event is taken. If the caller stops taking events
    before ``Finished``, ``resume`` continues from the last save, at most ``save_every`` steps back.

    Args:
        config: a file of settings, TOML or a run's ``settings.json``, which keywords override.
        start: a run folder, a checkpoint or ``bundled``, whose averaged weights are the start, instead of random ones;
            network, noise schedule and prediction type are then those of its model. Classes are matched by name.
        force: replace the run in ``run_dir``.
        stop: called after each step; True saves and ends the training.
        **settings: any field of ``TrainSettings`` (``preset``, ``epochs``, ``lr``, ...) and of ``MachineSettings``
            (``run_dir``, ``data_dir``, ``device``, ``max_minutes``, ``log``). ``dataset`` may be the path of pictures:
            a folder with a sub-folder for each class, or of pictures of one class; a CSV or npz file of ``sample
            --format``; IDX files. They are read by the call, or come from the user's cache folder, as the fields of
            ``PictureSettings`` say: ``fit``, ``invert``, ``image_size``, ``skip_bad``.

    Yields:
        ``Started``, ``TrainStep``, ``Logged``, ``EpochDone``, ``Saved``, ``Finished``, each once its files are written.

    Raises:
        SettingsError: for an unknown name, a value out of range, or a run folder that is not empty.
        DataError: if the images are not available, or pictures cannot be read.
        DivergedError: if the loss is no longer finite.
        RunInUseError: if another process trains in the run folder.
        OSError: if the file system refuses.
    """
    from mnistdiff.engine.progress import finish
    from mnistdiff.presets import resolve
    from mnistdiff.read_pictures import with_pictures
    from mnistdiff.settings_file import read_settings_file
    from mnistdiff.start import require_same_model, start_layers, with_classes

    file = None if start is None else read_checkpoint_file(checkpoints_to_sample(user_path("start", start))[-1])
    layers = start_layers(file)
    layers += [] if config is None else [(str(config), read_settings_file(user_path("config", config)))]
    resolved = resolve([*layers, ("train()", settings)])
    require_same_model(resolved, file)
    resolved = with_classes(finish(with_pictures(resolved)), file)
    return start_training(resolved, start=file, force=force, stop=stop)


def start_training(
    resolved: "Resolved", *, start: CheckpointFile | None = None, force: bool, stop: Callable[[], bool]
) -> Iterator["Event"]:
    """``train`` with settings that are checked already."""
    require("matplotlib", "torch")
    from mnistdiff.engine import pipeline
    from mnistdiff.engine.training.start import weights_to_start

    events = pipeline.train(
        resolved.train,
        resolved.machine,
        allow_fallback="dataset" not in resolved.given,  # a data set that was named is used, or it is an error
        epochs_yield=resolved.epochs_yield,
        force=force,
        weights=None if start is None else weights_to_start(read_checkpoint(start), resolved.train),
        stop=stop,
    )
    return _logged(events, resolved.machine)


def distill(
    teacher: PathLike | None = None,
    steps: int = STUDENT_STEPS,
    *,
    sampling: Mapping[str, object] = MappingProxyType({}),
    force: bool = False,
    stop: Callable[[], bool] = lambda: False,
    **settings: object,
) -> Iterator["Event"]:
    """Distil a model into one that samples in a few network evaluations, guidance included.

    Settings are checked by the call; training starts when the first event is taken. ``resume`` continues such a run as
    any other.

    Args:
        teacher: a run folder or a checkpoint, by default the bundled model.
        steps: network evaluations of the student, 1 to 16.
        sampling: how the teacher samples the paths that the student learns: fields of ``SampleSettings`` by name. Its
            ``steps`` must be a multiple of the student's.
        force: replace the run in ``run_dir``.
        stop: called after each step; True saves and ends the training.
        **settings: as for ``train``, but for those of the network and the noise schedule, which are the teacher's.

    Yields:
        the events of ``train``.

    Raises:
        CheckpointError: if there is no teacher, or it is damaged.
        SettingsError, DataError, DivergedError, RunInUseError, OSError: as ``train``.
    """
    from mnistdiff.distillation_settings import resolve_distillation

    path = PRETRAINED if teacher is None else checkpoints_to_sample(user_path("teacher", teacher))[-1]
    file = read_checkpoint_file(path)
    number = validate("steps", StudentSteps, steps)
    resolved = resolve_distillation(file, number, sampling, [("distill()", settings)])
    return start_distillation(file, resolved, force=force, stop=stop)


def start_distillation(
    teacher: CheckpointFile, resolved: "Resolved", *, force: bool, stop: Callable[[], bool]
) -> Iterator["Event"]:
    """``distill`` with settings that are checked already."""
    require("matplotlib", "torch")
    from mnistdiff.engine import pipeline
    from mnistdiff.engine.training.distillation import DistillationLoss

    weights = read_checkpoint(teacher).weights("ema")
    events = pipeline.train(
        resolved.train,
        resolved.machine,
        allow_fallback=True,
        epochs_yield=resolved.epochs_yield,
        force=force,
        make_objective=partial(DistillationLoss, teacher=weights),
        weights=weights,
        stop=stop,
    )
    return _logged(events, resolved.machine)


def or_continue(
    resolved: "Resolved", start: Callable[[], Iterator["Event"]], *, stop: Callable[[], bool]
) -> Iterator["Event"]:
    """``start()``, or the interrupted run if a launcher such as torchrun restarts this command."""
    from mnistdiff.engine.training.launch import place_in_group

    run = interrupted_run(resolved.train, resolved.machine.run_dir) if place_in_group().restarts else None
    if run is None:
        return start()
    return resume_training(run, resolved.machine, epochs=None, max_steps=None, force=False, stop=stop)


def resume(
    source: PathLike,
    *,
    epochs: int | None = None,
    max_steps: int | None = None,
    run_dir: PathLike | None = None,
    data_dir: PathLike | None = None,
    device: str = "auto",
    log: LogName = "none",
    force: bool = False,
    stop: Callable[[], bool] = lambda: False,
) -> Iterator["Event"]:
    """Resume a training, bit-exact to an uninterrupted one.

    Args:
        source: a run folder or a checkpoint of a training.
        epochs: a new end of the run, in epochs from its start.
        max_steps: a new end, in steps from its start.
        run_dir: continue in this new folder instead of the run's own.
        data_dir: folder with the images, or the path of the pictures of a model; default: the user's cache folder.
        device: ``cpu``, ``cuda``, ``mps``, or ``auto``, which prefers a GPU.
        log: ``tensorboard`` also logs to the run's folder ``tensorboard/``.
        force: resume from an earlier checkpoint and give up the later steps.
        stop: as for ``train``.

    Yields:
        the events of ``train``.

    Raises:
        CheckpointError: if there is no state to resume from.
        SettingsError: for a value out of range, or an end that lies before the steps already done.
        DataError, DivergedError, RunInUseError, OSError: as ``train``.
    """
    for name, end in (("epochs", epochs), ("max_steps", max_steps)):
        if end is not None:
            validate(name, TrainSettings.model_fields[name].rebuild_annotation(), end)
    with field_errors():
        machine = MachineSettings.model_validate(
            {"run_dir": run_dir, "data_dir": data_dir, "device": device, "log": log}
        )
    chosen = checkpoint_to_resume(user_path("source", source))
    return resume_training(chosen, machine, epochs=epochs, max_steps=max_steps, force=force, stop=stop)


def resume_training(
    source: Path | RunDir,
    machine: MachineSettings,
    *,
    epochs: int | None,
    max_steps: int | None,
    force: bool,
    stop: Callable[[], bool],
) -> Iterator["Event"]:
    """``resume`` with a state that was looked up already."""
    require("matplotlib", "torch")
    from mnistdiff.engine import pipeline

    events = pipeline.resume(source, machine, epochs=epochs, max_steps=max_steps, force=force, stop=stop)
    return _logged(events, machine)


def _logged(events: Iterator["Event"], machine: MachineSettings) -> Iterator["Event"]:
    if machine.log == "none":
        return events
    require("tensorboard")
    from mnistdiff.engine.runs.tensorboard import recorded

    return recorded(events)
