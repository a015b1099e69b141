import tracemalloc
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mnistdiff.engine.data.datasets import MNIST
from mnistdiff.engine.data.load import load_images
from mnistdiff.engine.evaluation import memorization as module
from mnistdiff.engine.evaluation.memorization import (
    Neighbours,
    closest_pairs,
    find_neighbours,
    summarize,
)
from mnistdiff.engine.progress import finish

# Few levels, so that ties and copies abound.
levels = st.sampled_from([0, 1, 2, 127, 128, 255])


def pictures(least, most):
    return arrays(np.uint8, st.tuples(st.integers(least, most), st.just(2), st.just(3)), elements=levels)


def by_hand(images, training):
    """All squared distances in grey levels, in whole numbers: index of the nearest, its distance, the second."""
    for image in images.astype(np.int64):
        squared = ((training.astype(np.int64) - image) ** 2).sum(axis=(1, 2)).tolist()
        first, second, *_ = sorted(squared)
        yield squared.index(first), first, second


def nearest(images, training):
    return finish(find_neighbours(images, training, stage=""))


def in_grey_levels(distance):
    return np.rint((distance * 255) ** 2).astype(int).tolist()


@settings(deadline=None, max_examples=200)
@given(pictures(1, 6), pictures(2, 9), st.integers(1, 7), st.integers(1, 10))
def test_the_neighbours_are_those_of_a_search_by_hand_whatever_the_blocks(images, training, chunk, block):
    index, first, second = zip(*by_hand(images, training), strict=True)
    with patch.object(module, "_CHUNK", chunk), patch.object(module, "_BLOCK", block):
        found = nearest(images, training)
    assert found.index.tolist() == list(index)
    assert in_grey_levels(found.distance) == list(first)
    assert in_grey_levels(found.second) == list(second)
    assert (found.index.dtype, found.distance.dtype, found.second.dtype) == (np.int64, np.float64, np.float64)


@pytest.mark.parametrize("side", [28, 32, 64])
def test_the_largest_sums_are_exact(side):
    rng = np.random.default_rng(0)
    extreme = rng.choice(np.array([0, 255], np.uint8), (40, side, side))
    odd = rng.integers(0, 256, (40, side, side)).astype(np.uint8)
    black, white = np.zeros((1, side, side), np.uint8), np.full((1, side, side), 255, np.uint8)
    images, training = np.concatenate([extreme[:20], odd[:20], black, white]), np.concatenate([extreme[20:], odd[20:]])
    found = nearest(images, training)
    expected = list(zip(*by_hand(images, training), strict=True))
    assert [found.index.tolist(), in_grey_levels(found.distance), in_grey_levels(found.second)] == [
        list(column) for column in expected
    ]
    far = nearest(black, np.concatenate([white, white]))
    assert in_grey_levels(far.distance) == in_grey_levels(far.second) == [side * side * 255**2]
    assert far.distance == side


def test_a_copy_has_distance_exactly_zero_and_an_image_may_be_there_twice():
    rng = np.random.default_rng(0)
    training = rng.integers(0, 256, (50, 28, 28)).astype(np.uint8)
    training[30] = training[7]
    found = nearest(training, training)
    assert np.all(found.distance == 0)
    assert np.all((found.second == 0) == np.isin(np.arange(50), [7, 30]))
    assert found.index.tolist() == [*range(30), 7, *range(31, 50)]
    assert np.all(found.ratio == 0)


def test_progress_counts_images(monkeypatch):
    monkeypatch.setattr(module, "_CHUNK", 20)
    images = np.random.default_rng(0).integers(0, 256, (45, 4, 4)).astype(np.uint8)
    steps = list(find_neighbours(images, images, stage="searching"))
    assert [(step.stage, step.done, step.total) for step in steps] == [("searching", n, 45) for n in (20, 40, 45)]


def test_the_distances_are_never_all_in_memory():
    rng = np.random.default_rng(0)
    images, training = (rng.integers(0, 256, (n, 4, 4)).astype(np.uint8) for n in (3000, 12_000))
    tracemalloc.start()
    try:
        nearest(images, training)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 3000 * 12_000 * 4 / 3


# Signs of memorization


def test_copies_may_differ_by_one_grey_level_in_every_pixel_and_not_by_two_in_any():
    rng = np.random.default_rng(0)
    training = rng.integers(0, 256, (20, 28, 28)).astype(np.uint8)
    training[0, 0, :2] = 0, 255  # no wrapping round at the ends
    images = training[:6].copy()
    images[1] = np.where(images[1] > 0, images[1] - 1, 1)
    images[2] = np.where(images[2] < 255, images[2] + 1, 254)
    images[3, 5, 5] ^= 2
    images[4, 0, 0] = np.where(images[4, 0, 0] > 128, 0, 255)
    images[5] = 255 - images[5]
    summary = summarize(nearest(images, training), images, training)
    assert summary.copies == 3
    assert summary.ratio_share == pytest.approx(5 / 6)


def test_images_not_learned_show_no_sign_of_it():
    rng = np.random.default_rng(0)
    images, training = (rng.integers(0, 256, (n, 28, 28)).astype(np.uint8) for n in (100, 300))
    found = nearest(images, training)
    summary = summarize(found, images, training)
    assert (summary.copies, summary.ratio_share) == (0, 0.0)
    assert summary.quantiles["0"] == found.distance.min()


def test_the_quantiles_are_of_the_distance_to_the_nearest():
    distance = np.random.default_rng(0).permutation(np.arange(101) / 10)
    image = np.zeros((101, 1, 1), np.uint8)
    summary = summarize(Neighbours(np.zeros(101, np.int64), distance, distance + 1), image, image + 9)
    assert summary.quantiles == {f"{share:g}": pytest.approx(10 * share) for share in (0, 0.01, 0.05, 0.25, 0.5)}
    assert (summary.copies, summary.ratio_share) == (0, pytest.approx(5 / 101))  # 0.0 / 1.0 ... 0.4 / 1.4


@pytest.mark.parametrize(("second", "share"), [(29, 0.0), (31, 1.0)])
def test_more_than_three_times_nearer_is_suspicious(second, share):
    training = np.array([second, 10], np.uint8).reshape(2, 1, 1)
    image = np.zeros((1, 1, 1), np.uint8)
    found = nearest(image, training)
    assert found.ratio == pytest.approx(10 / second)
    assert summarize(found, image, training).ratio_share == share


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=12), st.integers(0, 14))
def test_the_closest_pairs_have_the_smallest_ratio_then_the_smallest_distance(pairs, count):
    distance, second = np.sort(np.array(pairs, float).reshape(-1, 2), axis=1).T
    found = Neighbours(np.zeros(len(pairs), np.int64), distance, second)
    chosen = closest_pairs(found, count).tolist()
    keys = sorted((d / s if d else 0.0, d) for d, s in zip(distance.tolist(), second.tolist(), strict=True))
    assert [(found.ratio[i], found.distance[i]) for i in chosen] == keys[:count]
    assert len(set(chosen)) == len(chosen)
    assert np.all((found.ratio >= 0) & (found.ratio <= 1))


def test_on_mnist_the_search_by_hand_agrees(real_data_dir):
    data = load_images(MNIST, "train", data_dir=real_data_dir)
    test = load_images(MNIST, "test", data_dir=real_data_dir)[:50]
    training, images = data.images, test.images
    found = nearest(images, training)
    for i, (index, first, second) in enumerate(by_hand(images[:1], training)):
        assert found.index[i] == index
        assert (found.distance[i], found.second[i]) == pytest.approx((first**0.5 / 255, second**0.5 / 255), rel=1e-12)
    # Published for all 10,000 test images: 3.09 % of the nearest images show another digit.
    assert np.mean(data.labels[found.index] == test.labels) > 0.9
    assert summarize(found, images, training).copies == 0
