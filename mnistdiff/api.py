"""The Python API: load a model, train one, resume its training, evaluate it, look at runs. ``Model`` has the rest.

Arguments have the names, ranges and defaults of the command line's options, and the pixels are the same. Errors that
the caller can fix are ``MnistDiffError`` and name arguments in backticks; errors of the file system are ``OSError``.
Warnings are returned as ``notices``. Nothing is printed, except the progress that ``progress=True`` asks for.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from mnistdiff.arguments import SampleOptions, settings_of
from mnistdiff.engine.checkpoint.describe import Description, describe
from mnistdiff.engine.checkpoint.pretrained import bundled
from mnistdiff.engine.data.datasets import Split
from mnistdiff.engine.data.transforms import to_uint8
from mnistdiff.engine.diffusion.samplers import SampleStep
from mnistdiff.engine.inference.denoising import Denoised
from mnistdiff.engine.inference.model import load_model
from mnistdiff.engine.libraries import require
from mnistdiff.engine.outputs.images import Images, Interpolation
from mnistdiff.engine.progress import Progress, ShowProgress, finish, shown_as
from mnistdiff.engine.runs.lookup import checkpoint_to_inspect, checkpoints_to_sample
from mnistdiff.engine.runs.view import Run, list_runs
from mnistdiff.errors import field_errors, validate
from mnistdiff.machine_settings import InferenceSettings
from mnistdiff.model import Model
from mnistdiff.sample_settings import SampleSettings
from mnistdiff.setting_types import (
    BackendName,
    BoundEvaluations,
    EvaluatedCount,
    Processes,
    Seed,
    WeightsName,
    user_path,
)
from mnistdiff.training_api import PathLike, distill, resume, train

if TYPE_CHECKING:  # these import torch
    from mnistdiff.engine.evaluation.report import EvaluationReport, LikelihoodReport

__all__ = [
    "Denoised",
    "Images",
    "Interpolation",
    "Model",
    "Progress",
    "Run",
    "SampleStep",
    "bits_per_dim",
    "distill",
    "evaluate",
    "export_html",
    "inspect",
    "list_runs",
    "load",
    "resume",
    "to_uint8",
    "train",
]


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


def export_html(source: PathLike | None = None, *, weights: WeightsName = "ema") -> bytes:
    """A page that samples from a model, reads drawings and completes them in a browser, without a server or network.

    Args:
        source: as for ``load``; of the bundled models the page holds the one of few steps.
        weights: ``ema``, the averaged weights, or ``raw``, those of the last step; stored in half precision.

    Returns:
        the one file, HTML in UTF-8: nearly 2.7 bytes a parameter.

    Raises:
        CheckpointError: as ``load``.
        SettingsError: for a network that is not ``unet``.
    """
    from mnistdiff.engine.checkpoint.file import read_checkpoint
    from mnistdiff.engine.outputs.demo_page import demo_page

    with field_errors():
        SampleSettings(weights=weights)
    found = bundled() if source is None else checkpoints_to_sample(user_path("source", source))
    return demo_page(read_checkpoint(found[0]), weights)


def evaluate(
    model: Model,
    *,
    n: int = 10_000,
    seed: int = 0,
    data_dir: PathLike | None = None,
    cas: bool = False,
    memorization: bool = False,
    classifiers: Sequence[PathLike] = (),
    processes: Processes | None = None,
    progress: ShowProgress = False,
    **settings: Unpack[SampleOptions],
) -> "EvaluationReport":
    """Evaluate a model: sample images, classes as frequent as in its data set, and measure them.

    Args:
        model: of MNIST, or of a data set whose reference classifiers were trained.
        n: images to sample, 10 to 60,000.
        seed: of the first image; each next one has the next.
        data_dir: folder with the data set's images, for the metrics that need them; default: the user's cache folder.
            Nothing is downloaded.
        cas: also train classifiers on the images (classification accuracy score; minutes).
        memorization: also look up the nearest training image of each image.
        classifiers: files of ``mnistdiff train-classifier``; by default those of the model's data set.
        processes: that sample, as for ``Model.sample``.
        progress: True shows a line on stderr; a function is called with each ``Progress``.
        **settings: as for ``Model.sample``.

    Returns:
        the report: ``classifiers`` with accuracy and Fréchet distance by classifier, ``notices``, ...;
        ``model_dump_json()`` is what ``mnistdiff evaluate --json`` prints.

    Raises:
        SettingsError: for an argument out of its range, or a data set without reference classifiers.
        CheckpointError: if a file of a classifier is missing or damaged.
        DataError: if images are corrupt, or missing and needed; if a classifier is that of other images.
    """
    model = model.able_to(**settings)
    options = settings_of(model, settings)
    n, seed = validate("n", EvaluatedCount, n), validate("seed", Seed, seed)
    number = None if processes is None else validate("processes", Processes, processes)
    require("torch")
    from mnistdiff.engine.evaluation.evaluate import OptionalMetrics, evaluate_each, load_references

    optional = OptionalMetrics(cas=cas, memorization=memorization)
    folder = None if data_dir is None else Path(data_dir)
    files = [user_path("classifiers", path) for path in classifiers]
    references, real = load_references(model.settings, folder, optional, files)
    work = evaluate_each([(model, options)], references, n=n, seed=seed, real=real, optional=optional, processes=number)
    [report] = finish(work, shown_as(progress))
    return report


def bits_per_dim(
    model: Model,
    *,
    split: Split | None = None,
    n: int = 2_000,
    evaluations: int = 12,
    seed: int = 0,
    data_dir: PathLike | None = None,
    progress: ShowProgress = False,
) -> "LikelihoodReport":
    """Measure the variational bound of a model on real images, given their labels (Ho et al. 2020, Eq. 5).

    Args:
        model: that is measured, without guidance. Distilled models have no bound: their teacher is measured if it is
            loaded.
        split: images of its data set: ``test``, or ``train`` for those that it was trained on; by default the former,
            if there are such images.
        n: images, 10 to 60,000, classes as frequent as in the split; all if there are fewer.
        evaluations: network evaluations of an image, at least 2. As many as the model has timesteps compute every term;
            with fewer the sum over the timesteps is estimated without bias.
        seed: of the noise of the first image; each next one has the next.
        data_dir: folder with the data set's images; default: the user's cache folder. Nothing is downloaded.
        progress: True shows a line on stderr; a function is called with each ``Progress``.

    Returns:
        the report: ``bits_per_dim`` with its ``standard_error`` and its ``terms``, in bits a dimension;
        ``model_dump_json()`` is what ``mnistdiff evaluate --bits-per-dim --json`` prints.

    Raises:
        SettingsError: for an argument out of its range.
        NeedsTeacherError: for a distilled model without its teacher.
        DataError: if the images are corrupt or missing.
    """
    model, chosen = model.able_to("`bits_per_dim`"), validate("split", Split | None, split)
    n, evaluations = validate("n", EvaluatedCount, n), validate("evaluations", BoundEvaluations, evaluations)
    seed = validate("seed", Seed, seed)
    from mnistdiff.engine.evaluation.likelihood import measure_likelihood
    from mnistdiff.engine.evaluation.real_images import load_split

    folder = None if data_dir is None else Path(data_dir)
    real = load_split(model.settings, chosen, folder, required_by="bits_per_dim")
    work = measure_likelihood(model, real, n=n, evaluations=evaluations, seed=seed)
    return finish(work, shown_as(progress))


def inspect(source: PathLike) -> Description:
    """Describe a checkpoint: settings, progress, versions, and whether its SHA-256 is valid.

    Args:
        source: a checkpoint file, a run folder, of which the latest state is taken, or the name of a bundled model.

    Raises:
        CheckpointError: if there is no checkpoint, or the file is none. A wrong digest is described, not raised.
        OSError: if the file system refuses.
    """
    return describe(checkpoint_to_inspect(user_path("source", source)))
