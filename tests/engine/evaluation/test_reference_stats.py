from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnistdiff.engine.data import load
from mnistdiff.engine.data.datasets import LabelledImages
from mnistdiff.engine.data.stratified import stratified_labels, stratified_order
from mnistdiff.engine.evaluation.metrics import BinomialProportion, Gaussian, frechet_distance
from mnistdiff.engine.evaluation.reference_stats import RealImages, ReferenceStats
from mnistdiff.errors import DataError

CLASS_COUNTS = (5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949)
FACTS = SimpleNamespace(test_errors=3, num_test_images=100, floors={20: 0.5, 100: 0.1}, class_counts=CLASS_COUNTS)


class MeanOfRows:
    """A judge that counts how often it is asked."""

    name, digest, facts = "rows", "0" * 64, FACTS
    reference = Gaussian(np.full(28, 100.0), np.eye(28))

    def __init__(self):
        self.asked = 0

    def judge(self, images):
        self.asked += 1
        features = images.mean(axis=2, dtype=np.float32)
        return SimpleNamespace(features=features, digits=np.zeros(len(images), np.int64))


def random_images(count, seed=0):
    random = np.random.default_rng(seed)
    images = random.integers(0, 256, (count, 28, 28), np.uint8)
    return LabelledImages(images, random.integers(0, 10, count).astype(np.uint8))


@pytest.fixture
def real():
    return RealImages.of(random_images(300, 0), random_images(100, 1))


@given(st.integers(10, 60_000), st.lists(st.integers(1, 10**6), min_size=10, max_size=10))
def test_wanted_digits_are_within_one_of_their_share(count, class_counts):
    digits = stratified_labels(count, class_counts)
    exact = count * np.array(class_counts) / sum(class_counts)
    assert len(digits) == count
    assert np.abs(np.bincount(digits, minlength=10) - exact).max() < 1


def test_all_of_the_training_set_has_its_own_digits_and_ten_have_each():
    assert np.bincount(stratified_labels(60_000, CLASS_COUNTS)).tolist() == list(CLASS_COUNTS)
    assert sorted(stratified_labels(10, CLASS_COUNTS)) == list(range(10))


@given(st.lists(st.integers(0, 9), min_size=1, max_size=300))
def test_any_first_images_of_an_even_order_have_the_digits_of_all(labels):
    labels = np.array(labels)
    order = stratified_order(labels)
    assert sorted(order) == list(range(len(labels)))
    share = np.bincount(labels, minlength=10) / len(labels)
    for count in range(1, len(labels) + 1):
        found = np.bincount(labels[order[:count]], minlength=10)
        assert np.abs(found - count * share).max() <= 5  # half an image for each other digit
    assert order.tolist() == stratified_order(labels).tolist()


def test_an_even_order_mixes_the_halves_of_a_data_set():
    labels = np.tile(np.arange(10), 1000)
    assert 0.45 < np.mean(stratified_order(labels)[:2000] < 5000) < 0.55


def test_images_keep_their_labels(real):
    given = random_images(100, 1)
    pairs = {image.tobytes(): label for image, label in zip(given.images, given.labels, strict=True)}
    assert [pairs[image.tobytes()] for image in real.test.images] == real.test.labels.tolist()


@pytest.mark.parametrize(("count", "blocks"), [(10, 5), (20, 5), (30, 3), (60, 1), (100, 1), (1000, 1)])
def test_the_floor_is_the_mean_over_disjoint_blocks_of_as_many_test_images(real, count, blocks):
    features = MeanOfRows().judge(real.test.images).features
    parts = [features[start : start + count] for start in range(0, blocks * count, count)]
    distances = [frechet_distance(Gaussian.fit(part), MeanOfRows.reference) for part in parts]
    assert ReferenceStats(MeanOfRows(), real, count).floor == pytest.approx(np.mean(distances))


def test_without_images_the_floors_in_the_file_of_the_judge_are_known():
    floors = [ReferenceStats(MeanOfRows(), None, count).floor for count in (20, 99, 100, 5000)]
    assert floors == [0.5, None, 0.1, 0.1]
    yardstick = ReferenceStats(MeanOfRows(), None, 20)
    assert (yardstick.control, yardstick.overlap(np.zeros((20, 28), np.float32))) == (None, None)
    assert yardstick.ceiling == BinomialProportion(97, 100)


def test_real_images_are_judged_once(real):
    yardstick = ReferenceStats(MeanOfRows(), real, 20)
    for _ in range(3):
        assert yardstick.floor is not None
        assert yardstick.control is not None
        assert yardstick.overlap(yardstick.test_features).coverage == 1
    assert yardstick.judge.asked == 2  # of test images and of training images


@pytest.mark.parametrize("offline", ["0", "1"])
def test_what_is_missing_is_never_fetched(tmp_path, monkeypatch, offline):
    monkeypatch.setenv("MNISTDIFF_OFFLINE", offline)
    monkeypatch.setattr(load, "download", lambda spec, file: pytest.fail("fetched"))
    assert RealImages.load(tmp_path) is None
    with pytest.raises(DataError) as caught:
        RealImages.load(tmp_path, needed_for="--cas")
    assert "--cas needs MNIST" in caught.value.message
    assert str(tmp_path) in caught.value.message
    assert "--data-dir" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_a_corrupt_file_is_an_error_even_where_none_is_needed(tmp_path):
    (tmp_path / "train-images-idx3-ubyte").write_bytes(b"not MNIST")
    with pytest.raises(DataError, match="train-images-idx3-ubyte has the wrong content"):
        RealImages.load(tmp_path)


def test_all_of_mnist_is_found(real_data_dir, bundled_judges):
    real = RealImages.load(real_data_dir)
    assert (len(real.training), len(real.test)) == (60_000, 10_000)
    assert np.bincount(real.training.labels).tolist() == list(CLASS_COUNTS)
    conv = bundled_judges[0]
    assert conv.facts.class_counts == CLASS_COUNTS
    # The floor is the same with data and without.
    for count in (500, 2_000, 10_000):
        assert ReferenceStats(conv, real, count).floor == pytest.approx(
            ReferenceStats(conv, None, count).floor, rel=1e-3
        )
