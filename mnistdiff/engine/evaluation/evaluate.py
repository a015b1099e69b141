"""The protocol: which images are drawn, what is measured of them, and in which order.

Sample, the long part, comes first. Of the images only the grey levels are kept, as ``sample`` would save them: all
measures are of those. The same model, settings, seed and number give the same report on the same machine; the size of
the batches in which images are drawn and judged changes no more than the rounding of floats.
"""

import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version

import numpy as np
from numpy.typing import NDArray

from mnistdiff import __version__
from mnistdiff.engine.data.stratified import stratified_labels
from mnistdiff.engine.evaluation.cas import measure_cas
from mnistdiff.engine.evaluation.memorization import check_memorization
from mnistdiff.engine.evaluation.metrics import confusion
from mnistdiff.engine.evaluation.progress import EvaluationProgress
from mnistdiff.engine.evaluation.reference_classifier import ReferenceClassifier
from mnistdiff.engine.evaluation.reference_stats import RealImages, ReferenceStats
from mnistdiff.engine.evaluation.report import (
    CAS,
    BinomialProportion,
    ClassifierMetrics,
    EvaluatedModel,
    EvaluationReport,
    Memorization,
    Sampling,
)
from mnistdiff.engine.inference.model import Model
from mnistdiff.engine.inference.sampling import SampleSpec, sample, specs_for_labels
from mnistdiff.settings import IMAGE_SIZE, SampleSettings

BATCH_SIZE = 250
"""More than ``sample`` draws at once: nobody waits for the first image."""


@dataclass(frozen=True)
class OptionalMetrics:
    """Measures that take minutes and need MNIST: done if asked for."""

    usefulness: bool = False
    originality: bool = False


NOTHING_MORE = OptionalMetrics()


def evaluate_each(
    rows: Sequence[tuple[Model, SampleSettings]],
    judges: Sequence[ReferenceClassifier],
    *,
    n: int,
    seed: int,
    real: RealImages | None,
    extras: OptionalMetrics = NOTHING_MORE,
    batch_size: int = BATCH_SIZE,
) -> Iterator[EvaluationProgress | EvaluationReport]:
    """Draw and measure the same digits from the same noise, once for each way of drawing.

    Args:
        rows: models, and how to draw from them.
        judges: that look at the images.
        n: images of each, at least 10, at most as many as the training set has.
        seed: of the first image; each next one has the next.
        real: MNIST, if it is here; without it, what needs it is left out and a notice says so.
        extras: what else to measure; needs ``real``.
        batch_size: images drawn at once.

    Yields:
        progress; after the progress of each row its report.

    Raises:
        SettingsError: before any image is drawn, if the seeds run out of their range or a model does not do what is
            asked of it.
        DivergedError: if an image is not finite.
    """
    digits = stratified_labels(n, judges[0].facts.class_counts)
    wanted = [
        SampleSpec(digit, of.seed) for digit, of in zip(digits.tolist(), specs_for_labels([0], n, seed), strict=True)
    ]
    for model, settings in rows:
        # A rehearsal of one step of one image, so that a refusal does not come after an hour.
        next(sample(model, wanted[:1], settings))
    yardsticks = [ReferenceStats(judge, real, n) for judge in judges]
    real_scores: tuple[float, ...] = ()
    for model, settings in rows:
        began = time.monotonic()
        images = yield from _drawn(model, wanted, settings, batch_size)
        seconds = time.monotonic() - began
        report = EvaluationReport(
            model=EvaluatedModel(**model.info.to_dict()),
            sampling=Sampling(**settings.model_dump(), seed=seed),
            num_images=n,
            classifiers=(yield from _judged(images, digits, yardsticks)),
            seconds=round(seconds, 3),
            versions={"mnistdiff": __version__, "torch": version("torch")},
            notices=(*model.info.notices, *_notices(yardsticks[0])),
        )
        if real is not None:
            report = yield from _with_extras(report, images, digits, real, extras, real_scores)
            real_scores = report.cas.by_seed_of_real_images if report.cas else ()
        yield report


def _drawn(
    model: Model, wanted: Sequence[SampleSpec], settings: SampleSettings, batch_size: int
) -> Generator[EvaluationProgress, None, NDArray[np.uint8]]:
    """The images wanted, shape (N, 28, 28), and nothing else of them: 10,000 are 8 MB."""
    images = np.empty((len(wanted), IMAGE_SIZE, IMAGE_SIZE), np.uint8)
    count = 0
    for progress in sample(model, wanted, settings, batch_size=batch_size):
        for drawing in progress.results:
            images[count] = drawing.pixels
            count += 1
        yield EvaluationProgress("drawing", progress.done, progress.total, images=len(progress.results))
    return images


def _judged(
    images: NDArray[np.uint8], labels: NDArray[np.integer], yardsticks: Sequence[ReferenceStats]
) -> Generator[EvaluationProgress, None, dict[str, ClassifierMetrics]]:
    """The verdict of each judge. For 10,000 images that is a quarter of a minute each, half of it for real ones."""
    verdicts: dict[str, ClassifierMetrics] = {}
    total = 3 * len(yardsticks)
    for number, yardstick in enumerate(yardsticks):
        # Each measure is computed when it is first asked for: one by one, so that progress is seen.
        for done, measure in enumerate(("floor", "control")):
            yield EvaluationProgress("judging", 3 * number + done, total)
            getattr(yardstick, measure)
        yield EvaluationProgress("judging", 3 * number + 2, total)
        verdicts[yardstick.judge.name] = _verdict(images, labels, yardstick)
    yield EvaluationProgress("judging", total, total)
    return verdicts


def _with_extras(
    report: EvaluationReport,
    images: NDArray[np.uint8],
    labels: NDArray[np.integer],
    real: RealImages,
    extras: OptionalMetrics,
    real_scores: tuple[float, ...],
) -> Generator[EvaluationProgress, None, EvaluationReport]:
    """The report with what else was asked for."""
    if extras.usefulness:
        for item in measure_cas(images, labels, real, real_scores=real_scores):
            if isinstance(item, CAS):
                report = report.model_copy(update={"cas": item})
            else:
                yield item
    if extras.originality:
        for found in check_memorization(images, labels, real):
            if isinstance(found, Memorization):
                report = report.model_copy(update={"memorization": found})
            else:
                yield found
    return report


def _verdict(images: NDArray[np.uint8], labels: NDArray[np.integer], yardstick: ReferenceStats) -> ClassifierMetrics:
    """What one judge makes of images, shape (N, 28, 28), that are meant to be ``labels``, shape (N,)."""
    seen = yardstick.judge.judge(images)
    table = confusion(labels, seen.digits)
    asked_for = table.sum(axis=1)
    return ClassifierMetrics(
        sha256=yardstick.judge.digest,
        accuracy=BinomialProportion(hits=int(np.trace(table)), total=len(labels)),
        accuracy_of_test_images=yardstick.ceiling,
        accuracy_by_digit={
            digit: BinomialProportion(hits=int(table[digit, digit]), total=int(asked_for[digit]))
            for digit in np.flatnonzero(asked_for).tolist()
        },
        confusion=tuple(tuple(row) for row in table.tolist()),
        fcd=yardstick.distance(seen.features),
        fcd_real=yardstick.floor,
        prdc=yardstick.overlap(seen.features),
        prdc_of_training_images=yardstick.control,
        num_test_images=yardstick.floor_count,
    )


def _notices(yardstick: ReferenceStats) -> tuple[str, ...]:
    """What the report lacks, and what in it does not quite compare."""
    notices = []
    if yardstick.real is None:
        left_out = "precision, recall, density and coverage"
        if yardstick.floor is None:
            left_out = f"the floor of the fcd, {left_out}"
        notices.append(f"MNIST is not here: {left_out} are left out; name its folder with --data-dir")
    if yardstick.floor_count < yardstick.count and yardstick.floor is not None:
        notices.append(
            f"there are no more than {yardstick.floor_count:,} test images: floor and coverage are measured with those"
        )
    return tuple(notices)
