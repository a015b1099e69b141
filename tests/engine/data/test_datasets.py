"""What a data set promises, and what is refused when it breaks it."""

from dataclasses import replace

import numpy as np
import pytest

from mnistdiff.engine.checkpoint.pretrained import PRETRAINED
from mnistdiff.engine.data.datasets import MAX_CLASSES, MNIST, MNIST_5K, DatasetSpec, LabelledImages
from mnistdiff.engine.data.load import load_images
from mnistdiff.engine.inference.editing import SDEdit
from mnistdiff.engine.inference.model import load_model
from mnistdiff.engine.inference.sampling import SampleSpec, sample
from mnistdiff.errors import DataError, SettingsError
from mnistdiff.sample_settings import SampleSettings

GOOD = LabelledImages(np.zeros((3, 28, 28), np.uint8), np.array([0, 1, 1], np.uint8))


@pytest.mark.parametrize(
    ("names", "counts"), [("", ()), ("ab", (1,)), ("a" * (MAX_CLASSES + 1), (1,) * (MAX_CLASSES + 1))]
)
def test_classes_without_counts_or_too_many_are_refused(names, counts):
    with pytest.raises(ValueError, match="mine"):
        DatasetSpec("mine", "mine", class_names=tuple(names), class_counts=counts)


@pytest.mark.parametrize(
    "bad",
    [
        LabelledImages(GOOD.images[:, 1:], GOOD.labels),
        LabelledImages(GOOD.images.astype(np.float32), GOOD.labels),
        GOOD[:0],
        LabelledImages(GOOD.images, GOOD.labels[:2]),
        LabelledImages(GOOD.images, GOOD.labels + np.uint8(1)),
    ],
)
def test_images_that_are_not_as_the_spec_says_are_refused(bad):
    spec = DatasetSpec("mine", "mine", class_names=("a", "b"), class_counts=(1, 2), load=lambda split: bad)
    with pytest.raises(DataError, match="mine"):
        load_images(spec, "train", data_dir=None)
    assert load_images(replace(spec, load=lambda split: GOOD), "train", data_dir=None) is GOOD


def test_models_of_mnist_5k_are_evaluated_as_those_of_mnist():
    assert (MNIST_5K.evaluated_as, MNIST.evaluated_as) == (MNIST, MNIST)
    assert (MNIST.num_classes, MNIST.null_label, MNIST.image_shape) == (10, 10, (1, 28, 28))


def test_a_label_or_an_image_of_another_data_set_is_refused_before_sampling():
    model, settings = load_model(PRETRAINED, weights="ema", device="cpu"), SampleSettings()
    with pytest.raises(SettingsError, match="label 10 "):
        next(sample(model, [SampleSpec(7, 0), SampleSpec(10, 0)], settings))
    with pytest.raises(SettingsError, match="20, 20"):
        next(sample(model, [SampleSpec(7, 0)], settings, process=SDEdit(np.zeros((20, 20), np.uint8), 0.5)))
