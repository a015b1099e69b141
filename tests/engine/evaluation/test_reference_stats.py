from types import SimpleNamespace

import numpy as np
import pytest

from mnistdiff.engine.data import fetch
from mnistdiff.engine.data.datasets import MNIST, LabelledImages
from mnistdiff.engine.data.holdout import hold_out
from mnistdiff.engine.evaluation import reference_stats
from mnistdiff.engine.evaluation.classifier import Predictions
from mnistdiff.engine.evaluation.metrics import Gaussian, frechet_distance
from mnistdiff.engine.evaluation.reference_stats import RealImages, ReferenceStats
from mnistdiff.errors import DataError
from mnistdiff.settings import TrainSettings


class MeanOfRows:
    """A classifier that counts how often it is used."""

    card = SimpleNamespace(num_test_images=100, fcd_real={20: 0.5, 100: 0.1})
    reference = Gaussian(np.full(28, 100.0), np.eye(28))

    def __init__(self):
        self.used = 0

    def predict(self, images):
        self.used += 1
        return Predictions(np.zeros(len(images), np.int64), images.mean(axis=2, dtype=np.float32))


def random_images(count, seed=0):
    random = np.random.default_rng(seed)
    return LabelledImages(
        random.integers(0, 256, (count, 28, 28), np.uint8), random.integers(0, 10, count).astype(np.uint8)
    )


@pytest.fixture
def real():
    return RealImages.of(MNIST, random_images(300, 0), random_images(100, 1))


def test_images_keep_their_labels(real):
    images = random_images(100, 1)
    pairs = {image.tobytes(): label for image, label in zip(images.images, images.labels, strict=True)}
    assert [pairs[image.tobytes()] for image in real.test.images] == real.test.labels.tolist()


@pytest.mark.parametrize(("count", "blocks"), [(10, 5), (20, 5), (30, 3), (60, 1), (100, 1), (1000, 1)])
def test_the_distance_of_real_images_is_the_mean_over_disjoint_blocks_of_as_many(real, count, blocks):
    features = MeanOfRows().predict(real.test.images).features
    parts = [features[start : start + count] for start in range(0, blocks * count, count)]
    distances = [frechet_distance(Gaussian.fit(part), MeanOfRows.reference) for part in parts]
    assert ReferenceStats(MeanOfRows(), real, count).fcd == pytest.approx(np.mean(distances))


def test_without_images_the_distances_on_the_card_are_known():
    stats = [ReferenceStats(MeanOfRows(), None, count) for count in (20, 99, 100, 5000)]
    assert [each.fcd for each in stats] == [0.5, None, 0.1, 0.1]
    assert [each.count for each in stats] == [20, 99, 100, 100]
    assert (stats[0].prdc, stats[0].prdc_of(np.zeros((20, 28), np.float32))) == (None, None)


def test_real_images_are_classified_once(real):
    classifier = MeanOfRows()
    stats = ReferenceStats(classifier, real, 20)
    assert stats.prdc_of(stats.features).coverage == 1
    assert classifier.used == 2  # of test images and of training images


@pytest.mark.parametrize("offline", ["0", "1"])
def test_what_is_missing_is_never_downloaded(tmp_path, monkeypatch, offline):
    monkeypatch.setenv("MNISTDIFF_OFFLINE", offline)
    monkeypatch.setattr(fetch, "download", lambda *arguments: pytest.fail("downloaded"))
    assert RealImages.load(MNIST, tmp_path) is None
    with pytest.raises(DataError) as caught:
        RealImages.load(MNIST, tmp_path, required_by="cas")
    assert "`cas`" in caught.value.message
    assert str(tmp_path) in caught.value.message
    assert "`data_dir`" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_images_that_were_held_out_are_no_training_images(monkeypatch):
    images = random_images(300, 0)
    monkeypatch.setattr(reference_stats, "load_images", lambda spec, split, **_: images)
    trained = TrainSettings(holdout=0.2, seed=4)
    trained_on, held_out = hold_out(images, 0.2, seed=4)
    found = {image.tobytes() for image in RealImages.load(MNIST, None, trained=trained).training.images}
    assert found == {image.tobytes() for image in trained_on.images}
    assert not found & {image.tobytes() for image in held_out.images}


def test_a_corrupt_file_is_an_error_even_where_none_is_needed(tmp_path):
    (tmp_path / "train-images-idx3-ubyte").write_bytes(b"not MNIST")
    with pytest.raises(DataError, match="train-images-idx3-ubyte"):
        RealImages.load(MNIST, tmp_path)
