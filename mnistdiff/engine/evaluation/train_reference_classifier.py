"""Training and testing of the reference classifiers."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Never

import numpy as np
import torch
from numpy.typing import NDArray

from mnistdiff.engine.data.stratified import stratified_order
from mnistdiff.engine.evaluation.classifier import predict, steps_per_epoch, train_classifier
from mnistdiff.engine.evaluation.classifier_card import ClassifierCard
from mnistdiff.engine.evaluation.classifier_data import ClassifierData
from mnistdiff.engine.evaluation.metrics import Gaussian
from mnistdiff.engine.evaluation.reference_classifier import encode_classifier, rounded
from mnistdiff.engine.evaluation.reference_stats import fcd_of_test_images
from mnistdiff.engine.progress import Progress, Work
from mnistdiff.setting_types import ClassifierName

SIZES = (500, 1_000, 2_000, 5_000, 10_000)
"""Numbers of real test images whose Fréchet distance a card holds, beside that of all of them."""
_LEAST_STEPS = 1_500


@dataclass(frozen=True)
class Recipe:
    """The training parameters of a classifier.

    Attributes:
        epochs: passes over the training images.
        seed: of its weights, the order of the images and the augmentation.
    """

    epochs: int
    seed: int


RECIPES: Mapping[ClassifierName, Recipe] = {"conv": Recipe(epochs=12, seed=1), "residual": Recipe(epochs=12, seed=2)}
"""Of the bundled classifiers: different seeds, so that their errors are independent."""


def usual_recipe(architecture: ClassifierName, num_images: int) -> Recipe:
    """That of the bundled classifier, with more epochs if there are so few images that its steps would not do."""
    usual = RECIPES[architecture]
    return Recipe(max(usual.epochs, math.ceil(_LEAST_STEPS / steps_per_epoch(num_images))), usual.seed)


def train_reference_classifier(
    architecture: ClassifierName, data: ClassifierData, recipe: Recipe
) -> Work[Never, bytes]:
    """Train a classifier, test it, and measure real images with it.

    Args:
        architecture: a name in ``classifier.ARCHITECTURES``.
        data: images that it is trained on, and its ``reference`` is fitted to; others that it is tested on, once, after
            its last step.
        recipe: epochs and seed.

    Yields:
        progress in optimizer steps, then of the measurement.

    Returns:
        the bytes of its file.

    Raises:
        DivergedError: if the loss is not finite.
    """
    training, test, num_classes = data.training, data.test, data.spec.num_classes
    model = yield from train_classifier(
        architecture, training, num_classes=num_classes, epochs=recipe.epochs, seed=recipe.seed
    )
    yield Progress("classifying real images", 0, 1)
    model = rounded(model)
    reference = Gaussian.fit(predict(model, training.images).features)
    predictions = predict(model, test.images)
    card = ClassifierCard(
        architecture=architecture,
        seed=recipe.seed,
        epochs=recipe.epochs,
        num_train_images=len(training),
        class_counts=tuple(np.bincount(training.labels, minlength=num_classes).tolist()),
        test_errors=int(np.count_nonzero(predictions.labels != test.labels)),
        num_test_images=len(test),
        fcd_real=fcd_by_size(predictions.features[stratified_order(test.labels)], reference),
        torch=str(torch.__version__),
        threads=torch.get_num_threads(),
        data=data.record,
    )
    yield Progress("classifying real images", 1, 1)
    return encode_classifier(card, reference, model)


def fcd_by_size(features: NDArray[np.float32], reference: Gaussian) -> dict[int, float]:
    """The Fréchet distance of real test images to the training images, for each of ``SIZES`` and for all of them.

    Args:
        features: of all test images in stratified order, shape (N, 128).
        reference: of the training images.
    """
    sizes = [size for size in SIZES if size < len(features)]
    return {size: fcd_of_test_images(size, features, reference) for size in (*sizes, len(features))}
