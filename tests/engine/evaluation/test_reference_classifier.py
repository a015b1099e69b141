"""The bundled classifiers are those of this version, and as good as their cards say."""

import hashlib
import shutil
from importlib import resources
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest

from mnistdiff.engine.data.datasets import MNIST
from mnistdiff.engine.data.load import load_images
from mnistdiff.engine.data.stratified import stratified_order
from mnistdiff.engine.evaluation import reference_classifier as module
from mnistdiff.engine.evaluation.metrics import Gaussian, frechet_distance
from mnistdiff.engine.evaluation.reference_classifier import (
    PINNED,
    asset_name,
    decode_classifier,
    encode_classifier,
    load_reference_classifiers,
)
from mnistdiff.engine.evaluation.reference_stats import fcd_of_test_images
from mnistdiff.engine.evaluation.train_reference_classifier import SIZES, fcd_by_size
from mnistdiff.errors import CheckpointError

ASSETS = resources.files("mnistdiff").joinpath("assets")
NAMES = tuple(PINNED)


@pytest.fixture(scope="module")
def content():
    """The bytes of a classifier's file."""
    return ASSETS.joinpath(asset_name("residual")).read_bytes()


@pytest.fixture
def assets(tmp_path, monkeypatch):
    """A copy of the bundled files, to be spoilt, that load_reference_classifiers takes for the package's."""
    (tmp_path / "assets").mkdir()
    for name in NAMES:
        shutil.copy(ASSETS / asset_name(name), tmp_path / "assets")
    monkeypatch.setattr(module, "resources", SimpleNamespace(files=lambda package: tmp_path))
    return tmp_path / "assets"


def test_the_bundled_files_are_the_pinned_ones_and_small(classifiers):
    files = [ASSETS.joinpath(asset_name(name)).read_bytes() for name in NAMES]
    assert [hashlib.sha256(file).hexdigest() for file in files] == list(PINNED.values())
    assert [classifier.digest for classifier in classifiers] == list(PINNED.values())
    assert [classifier.name for classifier in classifiers] == ["conv", "residual"]
    assert sum(map(len, files)) <= 3e6


@pytest.mark.parametrize("number", [0, 1], ids=NAMES)
def test_the_card_agrees_with_itself(classifiers, number):
    card = classifiers[number].card
    assert card.architecture == NAMES[number]
    assert (card.num_train_images, card.num_test_images) == (60_000, 10_000)
    assert card.class_counts == MNIST.class_counts
    assert card.test_errors <= 50
    assert tuple(card.fcd_real) == SIZES
    assert all(more < fewer for fewer, more in pairwise(card.fcd_real.values()))


@pytest.mark.parametrize("number", [0, 1], ids=NAMES)
def test_the_reference_is_a_normal_distribution(classifiers, number):
    reference = classifiers[number].reference
    assert (reference.mean.shape, reference.covariance.shape) == ((128,), (128, 128))
    assert {reference.mean.dtype, reference.covariance.dtype} == {np.dtype(np.float64)}
    np.testing.assert_allclose(reference.covariance, reference.covariance.T, rtol=1e-12)
    assert np.linalg.eigvalsh(reference.covariance).min() > -1e-9
    assert (reference.mean >= 0).all()


@pytest.mark.parametrize("number", [0, 1], ids=NAMES)
def test_it_knows_digits_and_classifies_each_by_itself(classifiers, number, images):
    classifier, few = classifiers[number], images[:200]
    predictions = classifier.predict(few.images)
    assert np.mean(predictions.labels == few.labels) > 0.99
    alone = [classifier.predict(image[None]) for image in few.images[::25]]
    assert [each.labels.item() for each in alone] == predictions.labels[::25].tolist()
    np.testing.assert_allclose(
        np.concatenate([each.features for each in alone]), predictions.features[::25], atol=1e-3, rtol=1e-3
    )
    # Digits are near the reference, their negatives are not.
    near, far = (Gaussian.fit(classifier.predict(x).features) for x in (few.images, 255 - few.images))
    assert 5 * frechet_distance(near, classifier.reference) < frechet_distance(far, classifier.reference)


def test_on_the_test_images_it_is_as_good_as_its_card_says(classifiers, real_data_dir):
    test = load_images(MNIST, "test", data_dir=real_data_dir)
    test = test[stratified_order(test.labels)]
    conv, residual = classifiers
    predictions = conv.predict(test.images)
    errors = np.count_nonzero(predictions.labels != test.labels)
    assert abs(errors - conv.card.test_errors) <= 2  # another processor rounds otherwise
    assert fcd_by_size(predictions.features, conv.reference) == pytest.approx(conv.card.fcd_real, rel=0.01)
    some = residual.predict(test.images[:2500]).features
    assert fcd_of_test_images(500, some, residual.reference) == pytest.approx(residual.card.fcd_real[500], rel=0.01)


def test_only_grey_levels_are_classified(classifiers):
    with pytest.raises(AssertionError, match="float32"):
        classifiers[0].predict(np.zeros((2, 28, 28), np.float32))


@pytest.mark.parametrize(("name", "position"), [*((NAMES[0], n) for n in (0, 9, 3000, 300_000)), (NAMES[1], -1)])
def test_a_file_with_a_changed_bit_is_refused(assets, name, position):
    file = assets / asset_name(name)
    changed = bytearray(file.read_bytes())
    changed[position] ^= 1
    file.write_bytes(changed)
    with pytest.raises(CheckpointError, match=f"{name}.safetensors is not that of this version") as caught:
        load_reference_classifiers()
    assert caught.value.message.count("\n") == 0
    assert "Reinstall" in caught.value.hint


def test_a_file_that_is_missing_empty_or_huge_is_refused(assets):
    file = assets / asset_name("residual")
    file.unlink()
    with pytest.raises(CheckpointError, match="classifier_residual.safetensors is missing"):
        load_reference_classifiers()
    for length in (0, 50 * 2**20):
        with file.open("wb") as stream:
            stream.truncate(length)
        with pytest.raises(CheckpointError, match="is not that of this version"):
            load_reference_classifiers()


def test_one_classifier_is_not_taken_for_the_other(assets):
    shutil.copy(assets / asset_name("conv"), assets / asset_name("residual"))
    with pytest.raises(CheckpointError, match="classifier_residual.safetensors is not that"):
        load_reference_classifiers()


def test_what_was_read_is_written_to_the_bit(content):
    classifier = decode_classifier(content)
    assert encode_classifier(classifier.card, classifier.reference, classifier.model) == content
