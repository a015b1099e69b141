import io

import numpy as np
import pytest
from PIL import Image

from mnistdiff.engine.evaluation.memorization import check_memorization


@pytest.fixture(scope="module")
def of_half_copies(small_real):
    """Real images, every other one of them a training image with a little noise."""
    images = small_real.test.images[:40].copy()
    noise = np.random.default_rng(0).integers(0, 2, (20, 28, 28), np.uint8)
    images[::2] = np.minimum(small_real.training.images[100:120], 254) + noise
    *progress, found = check_memorization(images, small_real.test.labels[:40], small_real)
    assert [(step.done, step.total) for step in progress] == [(40, 40), (40, 40)]
    return images, found


def test_copies_are_counted_and_real_images_are_not(of_half_copies):
    _, found = of_half_copies
    assert found.drawn.copies >= 18  # the noise brings some beyond one grey level of what was 255
    assert (found.control.copies, found.num_control) == (0, 40)
    assert found.drawn.ratio_share == 0.5


def test_the_closest_pairs_come_first_and_can_be_drawn_again(of_half_copies, small_real):
    images, found = of_half_copies
    assert len(found.closest) == 30
    assert sorted(pair.image for pair in found.closest[:20]) == list(range(0, 40, 2))
    assert [pair.ratio for pair in found.closest] == sorted(pair.ratio for pair in found.closest)
    for pair in found.closest:
        assert pair.digit == small_real.test.labels[pair.image]
        apart = (pair.pixels[0].astype(float) - pair.pixels[1]) / 255
        assert np.linalg.norm(apart) == pytest.approx(pair.distance)
        assert np.array_equal(pair.pixels[0], images[pair.image])


def test_the_sheet_shows_every_pair(of_half_copies):
    _, found = of_half_copies
    with Image.open(io.BytesIO(found.sheet())) as picture:
        sheet = np.asarray(picture)
    for image in (*found.closest[0].pixels, *found.closest[-1].pixels):
        assert any((windows == image).all(axis=(2, 3)).any() for windows in _both_phases(sheet))


def _both_phases(sheet):
    """The sheet, twice as large as its images, at each offset."""
    for row in (0, 1):
        for column in (0, 1):
            yield np.lib.stride_tricks.sliding_window_view(sheet[row::2, column::2], (28, 28))
