import io

import numpy as np
import pytest
from PIL import Image

from mnistdiff.engine.data.datasets import LabelledImages
from mnistdiff.engine.evaluation.memorization import check_memorization
from mnistdiff.engine.progress import finish


@pytest.fixture(scope="module")
def half_copied(small_real):
    """Real images, every other one of them a training image with a little noise."""
    images = small_real.test.images[:40].copy()
    noise = np.random.default_rng(0).integers(0, 2, (20, 28, 28), np.uint8)
    images[::2] = np.minimum(small_real.training.images[100:120], 254) + noise
    return LabelledImages(images, small_real.test.labels[:40])


@pytest.fixture(scope="module")
def found(half_copied, small_real):
    steps = []
    found = finish(check_memorization(half_copied, small_real), steps.append)
    assert [(step.done, step.total) for step in steps] == [(40, 40), (40, 40)]
    return found


def test_copies_are_counted_and_real_images_are_not(found):
    assert found.images.copies >= 18  # the noise brings some beyond one grey level of what was 255
    assert (found.test_images.copies, found.test_images.num_images) == (0, 40)
    assert found.images.ratio_share == 0.5


def test_the_closest_pairs_come_first(found, half_copied, small_real):
    assert len(found.closest) == 30
    assert sorted(pair.image for pair in found.closest[:20]) == list(range(0, 40, 2))
    assert [pair.ratio for pair in found.closest] == sorted(pair.ratio for pair in found.closest)
    training = small_real.training.images.astype(float)
    for pair in found.closest[::7]:
        assert pair.digit == half_copied.labels[pair.image]
        apart = np.linalg.norm((training - half_copied.images[pair.image]) / 255, axis=(1, 2))
        assert apart.min() == pytest.approx(pair.distance)


def test_the_sheet_shows_the_pairs(found, half_copied, small_real):
    with Image.open(io.BytesIO(found.sheet)) as picture:
        sheet = np.asarray(picture)
    for pair in (found.closest[0], found.closest[-1]):
        image = half_copied.images[pair.image]
        apart = np.abs(small_real.training.images.astype(int) - image).astype(float)
        nearest = small_real.training.images[np.square(apart).sum(axis=(1, 2)).argmin()]
        for shown in (image, nearest):
            assert any((windows == shown).all(axis=(2, 3)).any() for windows in _both_phases(sheet))


def _both_phases(sheet):
    """The sheet, twice as large as its images, at each offset."""
    for row in (0, 1):
        for column in (0, 1):
            yield np.lib.stride_tricks.sliding_window_view(sheet[row::2, column::2], (28, 28))
