"""The Python API: load a model, train one, resume its training, evaluate it. ``Model`` has the rest.

Arguments have the names, ranges and defaults of the command line's options, and the pixels are the same. Errors that
the caller can fix are ``MnistDiffError`` and name arguments in backticks; errors of the file system are ``OSError``.
Warnings are returned as ``notices``. Nothing is printed, except the progress that ``progress=True`` asks for.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from mnistdiff.arguments import SampleOptions, settings_of
from mnistdiff.engine.checkpoint.pretrained import bundled
from mnistdiff.engine.inference.model import load_model
from mnistdiff.engine.libraries import require
from mnistdiff.engine.outputs.images import Images, Interpolation
from mnistdiff.engine.progress import ShowProgress, finish, shown_as
from mnistdiff.engine.runs.lookup import checkpoint_to_resume, checkpoints_to_sample, interrupted_run
from mnistdiff.engine.runs.run_dir import RunDir
from mnistdiff.errors import field_errors, validate
from mnistdiff.machine_settings import InferenceSettings, MachineSettings
from mnistdiff.model import Model
from mnistdiff.sample_settings import SampleSettings
from mnistdiff.setting_types import BackendName, EvaluatedCount, LogName, Processes, Seed, WeightsName, user_path
from mnistdiff.settings import TrainSettings

if TYPE_CHECKING:  # these import torch
    from mnistdiff.engine.evaluation.report import EvaluationReport
    from mnistdiff.engine.runs.events import Event
    from mnistdiff.presets import Layer, Resolved

__all__ = ["Images", "Interpolation", "Model", "evaluate", "load", "resume", "train"]

PathLike = str | os.PathLike[str]


def load(
    source: PathLike | None = None, *, weights: WeightsName = "ema", device: str = "auto", backend: BackendName = "auto"
) -> Model:
    """Load a trained model.

    Args:
        source: a run folder, a checkpoint file, or the name of a bundled model; by default ``bundled``, which samples
            with a model of few steps where that can do what is asked, and does all else with its ``teacher``.
        weights: ``ema``, the averaged weights, or ``raw``, those of the last step.
        device: ``cpu``, ``cuda``, ``mps``, or ``auto``.
        backend: ``onnx`` (ONNX Runtime, on the CPU), ``torch``, or ``auto``: the former where it can.

    Raises:
        CheckpointError: if there is no checkpoint, it is damaged, or does not hold those weights.
        SettingsError: if the device or the backend is not available.
    """
    with field_errors():
        machine = InferenceSettings(device=device, backend=backend)
        SampleSettings(weights=weights)
    found = bundled() if source is None else checkpoints_to_sample(user_path("source", source))
    loaded = load_model(found[0], weights=weights, device=machine.device, backend=machine.backend)
    return Model(**{**vars(loaded), "teacher_file": found[1] if len(found) > 1 else None})


def train(
    *, config: PathLike | None = None, force: bool = False, stop: Callable[[], bool] = lambda: False, **settings: object
) -> Iterator["Event"]:
    """Train a model.

    Settings are checked by the call; training starts when the first event is taken. If the caller stops taking events
    before ``Finished``, ``resume`` continues from the last save, at most ``save_every`` steps back.

    Args:
        config: a file of settings, TOML or a run's ``settings.json``, which keywords override.
        force: replace the run in ``run_dir``.
        stop: called after each step; True saves and ends the training.
        **settings: any field of ``TrainSettings`` (``preset``, ``epochs``, ``lr``, ...) and of ``MachineSettings``
            (``run_dir``, ``data_dir``, ``device``, ``max_minutes``, ``log``).

    Yields:
        ``Started``, ``TrainStep``, ``Logged``, ``EpochDone``, ``Saved``, ``Finished``, each once its files are written.

    Raises:
        SettingsError: for an unknown name, a value out of range, or a run folder that is not empty.
        DataError: if the images are not available.
        DivergedError: if the loss is no longer finite.
        RunInUseError: if another process trains in the run folder.
        OSError: if the file system refuses.
    """
    from mnistdiff.presets import read_settings_file, resolve

    layers: list[Layer] = [] if config is None else [(str(config), read_settings_file(user_path("config", config)))]
    return start_training(resolve([*layers, ("train()", settings)]), force=force, stop=stop)


def start_training(resolved: "Resolved", *, force: bool, stop: Callable[[], bool]) -> Iterator["Event"]:
    """``train`` with settings that are checked already."""
    require("matplotlib", "torch")
    from mnistdiff.engine import pipeline

    events = pipeline.train(
        resolved.train,
        resolved.machine,
        allow_fallback="dataset" not in resolved.given,  # a data set that was named is used, or it is an error
        epochs_yield=resolved.epochs_yield,
        force=force,
        stop=stop,
    )
    return _logged(events, resolved.machine)


def start_or_continue(resolved: "Resolved", *, force: bool, stop: Callable[[], bool]) -> Iterator["Event"]:
    """``start_training``, or ``resume_training`` if a launcher such as torchrun restarts this command."""
    from mnistdiff.engine.training.launch import place_in_group

    run = interrupted_run(resolved.train, resolved.machine.run_dir) if place_in_group().restarts else None
    if run is None:
        return start_training(resolved, force=force, stop=stop)
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
        data_dir: folder with the images; default: the user's cache folder.
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


def evaluate(
    model: Model,
    *,
    n: int = 10_000,
    seed: int = 0,
    data_dir: PathLike | None = None,
    cas: bool = False,
    memorization: bool = False,
    processes: Processes | None = None,
    progress: ShowProgress = False,
    **settings: Unpack[SampleOptions],
) -> "EvaluationReport":
    """Evaluate a model: sample images, classes as frequent as in its data set, and measure them.

    Args:
        model: of a data set that has reference classifiers.
        n: images to sample, 10 to 60,000.
        seed: of the first image; each next one has the next.
        data_dir: folder with the data set's images, for the metrics that need them; default: the user's cache folder.
            Nothing is downloaded.
        cas: also train classifiers on the images (classification accuracy score; minutes).
        memorization: also look up the nearest training image of each image.
        processes: that sample, as for ``Model.sample``.
        progress: True shows a line on stderr; a function is called with each ``Progress``.
        **settings: as for ``Model.sample``.

    Returns:
        the report: ``classifiers`` with accuracy and Fréchet distance by classifier, ``notices``, ...;
        ``model_dump_json()`` is what ``mnistdiff evaluate --json`` prints.

    Raises:
        SettingsError: for an argument out of its range, or a data set without reference classifiers.
        DataError: if images are corrupt, or missing and needed.
    """
    model = model.able_to(**settings)
    options = settings_of(model, settings)
    n, seed = validate("n", EvaluatedCount, n), validate("seed", Seed, seed)
    number = None if processes is None else validate("processes", Processes, processes)
    require("torch")
    from mnistdiff.engine.evaluation.evaluate import OptionalMetrics, evaluate_each, load_references

    optional = OptionalMetrics(cas=cas, memorization=memorization)
    folder = None if data_dir is None else Path(data_dir)
    classifiers, real = load_references(model.settings, folder, optional)
    work = evaluate_each(
        [(model, options)], classifiers, n=n, seed=seed, real=real, optional=optional, processes=number
    )
    [report] = finish(work, shown_as(progress))
    return report
