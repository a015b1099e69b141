"""Can a classifier learn digits from drawn images alone? It cannot learn a style that is never drawn."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from mnistdiff.engine.evaluation.classifier import classify, train_classifier
from mnistdiff.engine.evaluation.progress import EvaluationProgress
from mnistdiff.engine.evaluation.reference_stats import RealImages
from mnistdiff.engine.evaluation.report import CAS

ARCHITECTURE = "conv"
EPOCHS = 20
SEEDS = (0, 1, 2)


def measure_cas(
    images: NDArray[np.uint8],
    labels: NDArray[np.integer],
    real: RealImages,
    *,
    real_scores: tuple[float, ...] = (),
    epochs: int = EPOCHS,
) -> Iterator[EvaluationProgress | CAS]:
    """Train a small classifier on the images alone, and one on as many real images alone; test both on real ones.

    The two differ in nothing else: same architecture, seeds, number of steps and, within an image, digits.

    Args:
        images: grey levels, shape (N, 28, 28), N at most the size of the training set.
        labels: the digits asked for, shape (N,).
        real: the first N training images are learnt from, the test images are tested on.
        real_scores: of the real images, if they were measured before with as many of them and as many epochs.
        epochs: how often each image is shown.

    Yields:
        progress after every optimizer step, and last the scores.
    """
    halves = {"drawn": (images, labels)}
    if not real_scores:
        halves["real"] = (real.training.images[: len(images)], real.training.labels[: len(images)])
    scores: dict[str, list[float]] = {name: [] for name in halves}
    runs = [(name, seed) for name in halves for seed in SEEDS]
    for number, (name, seed) in enumerate(runs):
        stage = f"learning from {name} images"
        for step in train_classifier(ARCHITECTURE, *halves[name], epochs=epochs, seed=seed):
            done, total = number % len(SEEDS) * step.total_steps + step.step, len(SEEDS) * step.total_steps
            yield EvaluationProgress(stage, done, total, images=step.batch_size)
        digits, _ = classify(step.model, real.test.images)
        scores[name].append(float(np.mean(digits == real.test.labels)))
    yield CAS(
        num_images=len(images),
        epochs=epochs,
        by_seed=tuple(scores["drawn"]),
        by_seed_of_real_images=real_scores or tuple(scores["real"]),
    )
