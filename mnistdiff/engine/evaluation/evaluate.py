"""Evaluation of models: labelled images are sampled, and measured with the reference classifiers.

All metrics are of the grey levels that ``sample`` would save. The same model, settings, seed and number give the same
report on the same machine; the batch size changes only the rounding of floats.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Never, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from mnistdiff import __version__
from mnistdiff.engine.data.datasets import LabelledImages
from mnistdiff.engine.data.stratified import stratified_labels
from mnistdiff.engine.evaluation.cas import measure_cas
from mnistdiff.engine.evaluation.memorization import check_memorization
from mnistdiff.engine.evaluation.metrics import Gaussian, confusion, frechet_distance
from mnistdiff.engine.evaluation.reference_classifier import ReferenceClassifier, load_reference_classifiers
from mnistdiff.engine.evaluation.reference_stats import RealImages, ReferenceStats
from mnistdiff.engine.evaluation.report import EvaluatedModel, EvaluationReport, Sampling
from mnistdiff.engine.evaluation.results import CAS, BinomialProportion, ClassifierMetrics, Memorization
from mnistdiff.engine.inference.model import DiffusionModel
from mnistdiff.engine.inference.parallel import sample_in_processes
from mnistdiff.engine.inference.sampling import SampleSpec, specs_in_order
from mnistdiff.engine.progress import Progress, Work
from mnistdiff.sample_settings import SampleSettings
from mnistdiff.setting_types import Processes
from mnistdiff.settings import TrainSettings

BATCH_SIZE = 250
"""Larger than that of ``sample`` on the CPU, since no image is shown before all are complete."""

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class OptionalMetrics:
    """Metrics that take minutes and need real images, off by default."""

    cas: bool = False
    memorization: bool = False


def load_references(
    trained: TrainSettings,
    data_dir: Path | None,
    optional: OptionalMetrics = OptionalMetrics(),
    files: Sequence[Path] = (),
) -> tuple[Sequence[ReferenceClassifier], RealImages | None]:
    """The classifiers and the real images to evaluate a model with: those of its own data set.

    Args:
        trained: the settings of the model's training.
        data_dir: folder with the images; None is the user's cache folder. Nothing is downloaded.
        optional: metrics that need the images.
        files: of the classifiers, as for ``load_reference_classifiers``.

    Returns:
        the classifiers, and the images, or None if they are not on this machine.

    Raises:
        SettingsError: if there are no classifiers for this data set.
        CheckpointError: if a file of a classifier is missing or damaged.
        DataError: if the images are corrupt, or missing and needed.
    """
    spec = trained.spec.evaluated_as
    classifiers = load_reference_classifiers(spec, files)
    required_by = "memorization" if optional.memorization else "cas" if optional.cas else ""
    record = classifiers[0].card.data
    if trained.pictures is None or record is None:
        return classifiers, RealImages.load(spec, data_dir, required_by=required_by, trained=trained)
    real = RealImages.load_pictures(trained, trained.pictures, record, data_dir, required_by=required_by)
    return classifiers, real


def evaluate_each(
    models: Sequence[tuple[DiffusionModel, SampleSettings]],
    classifiers: Sequence[ReferenceClassifier],
    *,
    n: int,
    seed: int,
    real: RealImages | None,
    optional: OptionalMetrics = OptionalMetrics(),
    processes: Processes | None = None,
) -> Work[EvaluationReport, Sequence[EvaluationReport]]:
    """Evaluate models, or settings of one model, with the same labels from the same noise.

    Args:
        models: each with its sample settings.
        classifiers: of the data set of the models, as from ``load_references``.
        n: images of each, at least 10, at most as many as the training set has.
        seed: of the first image; each next one has the next.
        real: images of the data set; without them PRDC is left out, and a notice says so.
        optional: further metrics; they need ``real``.
        processes: that sample, see ``sample_in_processes``.

    Yields:
        progress of each stage; each report as it is complete. All of them are returned.

    Raises:
        SettingsError: before any image is sampled, if a seed would exceed its range or settings do not fit a model.
        DivergedError: if an image is not finite.
    """
    labels = stratified_labels(n, classifiers[0].card.class_counts)
    specs = specs_in_order(_labels_of_model(models[0][0].settings)[labels].tolist(), seed)
    _refuse_invalid(models, specs[:1], processes)
    stats = yield from _for_each("classifying real images", classifiers, partial(ReferenceStats, real=real, n=n))
    reports: list[EvaluationReport] = []
    for model, settings in models:
        pixels, seconds = yield from _sampled(model, settings, specs, processes)
        images = LabelledImages(pixels, labels.astype(np.uint8))
        measured = yield from _for_each("classifying", stats, partial(classifier_metrics, images))
        cas, memorization = yield from _optional_metrics(images, optional, real, reports)
        report = EvaluationReport(
            model=EvaluatedModel.model_validate(model.info, from_attributes=True),
            sampling=Sampling(**settings.model_dump(), seed=seed),
            num_images=n,
            class_names=_class_names(model.settings),
            classifiers=dict(zip(_names(classifiers), measured, strict=True)),
            cas=cas,
            memorization=memorization,
            seconds=round(seconds, 3),
            versions={"mnistdiff": __version__, "torch": str(torch.__version__)},
            notices=(*model.info.notices, *_notices(stats[0], real, n)),
        )
        reports.append(report)
        yield Progress("evaluating", len(reports), len(models), (report,))
    return reports


def _names(classifiers: Sequence[ReferenceClassifier]) -> list[str]:
    """A name for each: its architecture, with a number from the second one on."""
    names = [each.name for each in classifiers]
    counts = [names[: number + 1].count(name) for number, name in enumerate(names)]
    return [name if count == 1 else f"{name}-{count}" for name, count in zip(names, counts, strict=True)]


def _refuse_invalid(
    models: Sequence[tuple[DiffusionModel, SampleSettings]], specs: Sequence[SampleSpec], processes: Processes | None
) -> None:
    """Take one step of sampling with each model: settings that do not fit are refused at once."""
    for model, settings in models:
        next(sample_in_processes(model, specs, settings, processes=processes))


def _for_each(stage: str, items: Sequence[T], compute: Callable[[T], R]) -> Work[Never, list[R]]:
    """The results of ``compute`` for all items, with progress."""
    results = []
    for number, item in enumerate(items):
        yield Progress(stage, number, len(items))
        results.append(compute(item))
    yield Progress(stage, len(items), len(items))
    return results


def _sampled(
    model: DiffusionModel, settings: SampleSettings, specs: Sequence[SampleSpec], processes: Processes | None
) -> Work[Never, tuple[NDArray[np.uint8], float]]:
    """The samples, 8 MB for 10,000, and the seconds that they took."""
    began = time.monotonic()
    batches = []
    at_once = None if model.device == "cuda" else BATCH_SIZE
    for progress in sample_in_processes(model, specs, settings, processes=processes, batch_size=at_once):
        if progress.results:
            batches.append(np.stack([each.pixels for each in progress.results]))
        yield Progress(progress.stage, progress.done, progress.total)
    return np.concatenate(batches), time.monotonic() - began


def _labels_of_model(trained: TrainSettings) -> NDArray[np.int64]:
    """The model's label of each class of its data set: it may have more classes, if it started from another model."""
    return np.array([trained.spec.class_names.index(name) for name in _class_names(trained)])


def _class_names(trained: TrainSettings) -> tuple[str, ...]:
    """The classes of the data set of a model."""
    return trained.spec.class_names if trained.pictures is None else trained.pictures.class_names


def classifier_metrics(images: LabelledImages, stats: ReferenceStats) -> ClassifierMetrics:
    """The metrics of images by one classifier.

    Args:
        images: N >= 6, with the labels that they were sampled for.
        stats: the classifier, and the scores of N real images by it.
    """
    classifier, card = stats.classifier, stats.classifier.card
    predictions = classifier.predict(images.images)
    counts = confusion(images.labels, predictions.labels, len(card.class_counts))
    totals = counts.sum(axis=1)
    return ClassifierMetrics(
        sha256=classifier.digest,
        accuracy=BinomialProportion(hits=int(np.trace(counts)), total=len(images)),
        accuracy_of_test_images=BinomialProportion(
            hits=card.num_test_images - card.test_errors, total=card.num_test_images
        ),
        accuracy_by_digit={
            label: BinomialProportion(hits=int(counts[label, label]), total=int(totals[label]))
            for label in np.flatnonzero(totals).tolist()
        },
        confusion=tuple(tuple(row) for row in counts.tolist()),
        fcd=frechet_distance(Gaussian.fit(predictions.features), classifier.reference),
        fcd_real=stats.fcd,
        prdc=stats.prdc_of(predictions.features),
        prdc_of_training_images=stats.prdc,
        num_test_images=stats.count,
    )


def _optional_metrics(
    images: LabelledImages, optional: OptionalMetrics, real: RealImages | None, earlier: Sequence[EvaluationReport]
) -> Work[Never, tuple[CAS | None, Memorization | None]]:
    """The optional metrics; the scores of real images are those in the reports of ``earlier`` models."""
    cas = memorization = None
    if optional.cas and real is not None:
        scores = earlier[0].cas.by_seed_of_real_images if earlier and earlier[0].cas else ()
        cas = yield from measure_cas(images, real, real_scores=scores)
    if optional.memorization and real is not None:
        memorization = yield from check_memorization(images, real)
    return cas, memorization


def _notices(stats: ReferenceStats, real: RealImages | None, n: int) -> tuple[str, ...]:
    """Notices of metrics that are left out or measured with fewer images, or with those that the model has seen."""
    notices = [real.notice] if real is not None and real.notice else []
    if real is None:
        missing = "precision, recall, density and coverage"
        if stats.fcd is None:
            missing = f"the fcd of real images, {missing}"
        notices.append(f"real images are not on this machine: {missing} are left out; set `data_dir` to their folder")
    elif stats.features is None:
        notices.append("there are too few real images for precision, recall, density and coverage: they are left out")
    if stats.count < n and stats.fcd is not None:
        notices.append(f"there are only {stats.count:,} test images: fcd_real and prdc are measured with those")
    return tuple(notices)
