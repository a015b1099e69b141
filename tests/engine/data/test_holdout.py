"""Held-out images: a stratified part, the same for a seed, and never one that is trained on."""

import numpy as np
import pytest

from mnistdiff.engine.data.datasets import LabelledImages
from mnistdiff.engine.data.holdout import hold_out
from mnistdiff.errors import DataError


def numbered(labels):
    """Images of which each holds its number."""
    numbers = np.arange(len(labels), dtype=np.uint8)
    return LabelledImages(np.broadcast_to(numbers[:, None, None], (len(labels), 28, 28)), np.array(labels, np.uint8))


def numbers_of(images):
    return images.images[:, 0, 0].tolist()


@pytest.mark.parametrize("share", [0.05, 0.1, 0.25, 0.5])
def test_every_image_is_in_one_part_and_the_classes_are_in_proportion(share):
    labels = [0] * 40 + [1] * 80 + [2] * 100
    trained_on, held_out = hold_out(numbered(labels), share, seed=3)
    assert sorted(numbers_of(trained_on) + numbers_of(held_out)) == list(range(220))
    assert numbers_of(trained_on) == sorted(numbers_of(trained_on))
    counts = np.bincount(held_out.labels, minlength=3)
    assert np.abs(counts - share * np.array([40, 80, 100])).max() <= 1
    for part in (trained_on, held_out):
        assert [labels[number] for number in numbers_of(part)] == part.labels.tolist()


def test_the_seed_decides_which():
    data = numbered([0, 1] * 50)
    first, again, other = (numbers_of(hold_out(data, 0.2, seed=seed)[1]) for seed in (1, 1, 2))
    assert first == again != other


def test_every_class_keeps_half_of_its_images():
    labels = [0] * 5 + [1] * 2 + [2]
    trained_on, held_out = hold_out(numbered(labels), 0.5, seed=0)
    assert np.bincount(held_out.labels, minlength=3).tolist() == [2, 1, 0]
    assert np.bincount(trained_on.labels).tolist() == [3, 1, 1]


@pytest.mark.parametrize("labels", [[0, 1, 2], [0, 0, 0]])
def test_a_share_that_holds_out_nothing_is_refused(labels):
    with pytest.raises(DataError, match="`holdout` 0.1 of 3 images"):
        hold_out(numbered(labels), 0.1, seed=0)
