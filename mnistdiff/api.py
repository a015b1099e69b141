"""The Python API: load a model, train one, resume its training, evaluate it. ``Model`` has the rest.

Arguments have the names, ranges and defaults of the command line's options, and the pixels are the same. Errors that
the caller can fix are ``MnistDiffError`` and name arguments in backticks; errors of the file system are ``OSError``.
Warnings are returned as ``notices``. Nothing is printed, except the progress that ``progress=True`` asks for.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from mnistdiff.arguments import SampleOptions, settings_of
from mnistdiff.engine.checkpoint.pretrained import bundled
from mnistdiff.engine.inference.model import load_model
from mnistdiff.engine.libraries import require
from mnistdiff.engine.outputs.images import Images, Interpolation
from mnistdiff.engine.progress import ShowProgress, finish, shown_as
from mnistdiff.engine.runs.lookup import checkpoints_to_sample
from mnistdiff.errors import field_errors, validate
from mnistdiff.machine_settings import InferenceSettings
from mnistdiff.model import Model
from mnistdiff.sample_settings import SampleSettings
from mnistdiff.setting_types import BackendName, EvaluatedCount, Processes, Seed, WeightsName, user_path
from mnistdiff.training_api import PathLike, distill, resume, train

if TYPE_CHECKING:  # these import torch
    from mnistdiff.engine.evaluation.report import EvaluationReport

__all__ = ["Images", "Interpolation", "Model", "distill", "evaluate", "load", "resume", "train"]


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
