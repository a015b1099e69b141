import random

import numpy as np
import pytest

from mnistdiff.engine.data.batches import batch_indices
from mnistdiff.settings import TrainSettings

SIZES = [(12, 4), (10, 3), (7, 7), (5, 8), (1, 1), (9, 1), (1000, 128)]


def epoch_batches(epoch, num_images, batch_size, seed=0):
    steps = -(-num_images // batch_size)
    return [
        batch_indices(seed=seed, step=step, num_images=num_images, batch_size=batch_size)
        for step in range(epoch * steps, (epoch + 1) * steps)
    ]


@pytest.mark.parametrize(("num_images", "batch_size"), SIZES)
@pytest.mark.parametrize("epoch", [0, 1, 17])
def test_an_epoch_shows_each_image_once(num_images, batch_size, epoch):
    batches = epoch_batches(epoch, num_images, batch_size)
    assert sorted(np.concatenate(batches)) == list(range(num_images))
    assert all(len(batch) == batch_size for batch in batches[:-1])
    assert 1 <= len(batches[-1]) <= batch_size


def test_an_epoch_of_several_repeats_shows_each_image_as_often():
    train = TrainSettings(batch_size=8, repeats=5)
    steps = train.steps_per_epoch(7)
    of_epoch = [
        np.concatenate(
            [
                batch_indices(seed=0, step=step, num_images=7, batch_size=8, repeats=5)
                for step in range(epoch * steps, (epoch + 1) * steps)
            ]
        )
        for epoch in range(2)
    ]
    assert [np.bincount(shown).tolist() for shown in of_epoch] == [[5] * 7] * 2
    assert not np.array_equal(*of_epoch)
    assert train.images_seen(steps + 2, 7) == 5 * 7 + 2 * 8


def test_each_epoch_and_each_seed_has_an_order_of_its_own():
    orders = [tuple(np.concatenate(epoch_batches(epoch, 50, 8, seed))) for epoch in range(5) for seed in range(5)]
    assert len(set(orders)) == 25
    assert tuple(range(50)) not in orders


def test_a_batch_depends_on_its_seed_and_step_alone_in_whatever_order_it_is_asked_for():
    asked = [(seed, step) for seed in range(3) for step in range(9)]
    first = {(seed, step): batch_indices(seed=seed, step=step, num_images=10, batch_size=4) for seed, step in asked}
    random.Random(0).shuffle(asked)
    for seed, step in asked:
        again = batch_indices(seed=seed, step=step, num_images=10, batch_size=4)
        np.testing.assert_array_equal(again, first[seed, step])


def test_the_order_does_not_depend_on_the_batch_size():
    orders = [np.concatenate(epoch_batches(2, 20, batch_size)) for batch_size in (1, 3, 20, 99)]
    for order in orders:
        np.testing.assert_array_equal(order, orders[0])


def test_each_image_comes_first_about_as_often():
    first = [batch_indices(seed=seed, step=0, num_images=5, batch_size=1).item() for seed in range(2000)]
    assert np.bincount(first, minlength=5) == pytest.approx(400, abs=80)  # 4.5 standard deviations


@pytest.mark.parametrize("repeats", [1, 3])
def test_a_batch_that_is_written_to_does_not_spoil_the_next_one(repeats):
    def batch():
        return batch_indices(seed=0, step=0, num_images=5, batch_size=2, repeats=repeats)

    first = batch()
    expected = first.copy()
    first[:] = -1
    np.testing.assert_array_equal(batch(), expected)
