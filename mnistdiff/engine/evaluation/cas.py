"""Classification accuracy score (CAS): how well a classifier trained on generated images alone classifies real ones."""

from typing import Never

import numpy as np

from mnistdiff.engine.data.datasets import LabelledImages
from mnistdiff.engine.evaluation.classifier import predict, train_classifier
from mnistdiff.engine.evaluation.reference_stats import RealImages
from mnistdiff.engine.evaluation.results import CAS
from mnistdiff.engine.progress import Work
from mnistdiff.setting_types import ClassifierName

ARCHITECTURE: ClassifierName = "conv"
EPOCHS = 20
SEEDS = (0, 1, 2)


def measure_cas(
    images: LabelledImages,
    real: RealImages,
    *,
    real_scores: tuple[float, ...] = (),
    epochs: int = EPOCHS,
) -> Work[Never, CAS]:
    """Train classifiers on generated images alone, and on as many real images alone; test all on real test images.

    They differ in nothing else: same architecture, seeds, number of steps and, for each index, label.

    Args:
        images: N with the labels that they were sampled for; the first ones, if they are more than the training set.
        real: the first N training images are trained on, the test images are tested on.
        real_scores: of real images, if they were measured before with as many images and epochs.
        epochs: passes over the images.

    Yields:
        progress in optimizer steps.
    """
    images = images[: len(real.training)]
    scores = yield from _scores("generated", images, real, epochs)
    if not real_scores:
        real_scores = yield from _scores("real", real.training[: len(images)], real, epochs)
    return CAS(num_images=len(images), epochs=epochs, by_seed=scores, by_seed_of_real_images=real_scores)


def _scores(kind: str, training: LabelledImages, real: RealImages, epochs: int) -> Work[Never, tuple[float, ...]]:
    """Accuracies on the test images, one for each seed."""
    scores = []
    for seed in SEEDS:
        model = yield from train_classifier(
            ARCHITECTURE,
            training,
            num_classes=real.spec.num_classes,
            epochs=epochs,
            seed=seed,
            stage=f"training on {kind} images (seed {seed})",
        )
        scores.append(float(np.mean(predict(model, real.test.images).labels == real.test.labels)))
    return tuple(scores)
