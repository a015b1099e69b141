"""Making a judge: train it, test it, and measure what real images get from it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from mnistdiff.engine.data.datasets import LabelledImages
from mnistdiff.engine.data.stratified import stratified_order
from mnistdiff.engine.evaluation.classifier import ClassifierStep, classify, train_classifier
from mnistdiff.engine.evaluation.metrics import Gaussian
from mnistdiff.engine.evaluation.reference_classifier import JudgeFacts, encode_judge, rounded
from mnistdiff.engine.evaluation.reference_stats import floor_at
from mnistdiff.settings import NUM_DIGITS

FLOOR_SIZES = (500, 1_000, 2_000, 5_000, 10_000)


@dataclass(frozen=True)
class Recipe:
    """What else than the data makes a judge.

    Attributes:
        epochs: how often it sees each training image.
        seed: of its weights, the order and the distortions.
    """

    epochs: int
    seed: int


RECIPES: Mapping[str, Recipe] = MappingProxyType(
    {"conv": Recipe(epochs=12, seed=1), "residual": Recipe(epochs=12, seed=2)}
)
"""How the judges that come with the package were made. Another seed each, so that they share no luck."""


@dataclass(frozen=True)
class JudgeMade:
    """A judge is done.

    Attributes:
        facts: about it.
        content: the bytes of its file.
    """

    facts: JudgeFacts
    content: bytes


def make_judge(
    architecture: str, training: LabelledImages, test: LabelledImages, recipe: Recipe
) -> Iterator[ClassifierStep | JudgeMade]:
    """Train a judge and measure it.

    Args:
        architecture: a name in ``classifier.ARCHITECTURES``.
        training: all that it learns from, and the reference of its Fréchet distance.
        test: what it is tested on, once, after its last step.
        recipe: epochs and seed.

    Yields:
        every step of the training, then the judge.

    Raises:
        DivergedError: if the loss is no longer finite.
    """
    model: nn.Module | None = None
    for step in train_classifier(
        architecture, training.images, training.labels, epochs=recipe.epochs, seed=recipe.seed
    ):
        model = step.model
        yield step
    assert model is not None, "a training has at least one step"
    yield measured_judge(rounded(model), architecture, training, test, recipe)


def measured_judge(
    model: nn.Module, architecture: str, training: LabelledImages, test: LabelledImages, recipe: Recipe
) -> JudgeMade:
    """A judge from a trained ``model``, with all that its file tells; the other arguments as above."""
    _, training_features = classify(model, training.images)
    digits, test_features = classify(model, test.images)
    reference = Gaussian.fit(training_features)
    facts = JudgeFacts.model_validate(
        {
            "architecture": architecture,
            "seed": recipe.seed,
            "epochs": recipe.epochs,
            "num_train_images": len(training.labels),
            "class_counts": tuple(np.bincount(training.labels, minlength=NUM_DIGITS).tolist()),
            "test_errors": int(np.count_nonzero(digits != test.labels)),
            "num_test_images": len(test.labels),
            "floors": floors(test_features[stratified_order(test.labels)], reference),
            "torch": str(torch.__version__),
            "threads": torch.get_num_threads(),
        }
    )
    return JudgeMade(facts, encode_judge(facts, reference, model))


def floors(test_features: NDArray[np.float32], reference: Gaussian) -> dict[int, float]:
    """The Fréchet distance of real images that were not trained on, for each number of them that there is.

    Args:
        test_features: of all test images, in the order of ``stratified_order``, shape (N, 128).
        reference: of the training images.
    """
    return {size: floor_at(size, test_features, reference) for size in FLOOR_SIZES if size <= len(test_features)}
