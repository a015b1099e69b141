import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mnistdiff.engine.data.datasets import MNIST
from mnistdiff.engine.data.stratified import stratified_labels, stratified_order


@given(st.integers(10, 60_000), st.lists(st.integers(1, 10**6), min_size=1, max_size=26))
def test_labels_are_within_one_of_their_share(count, class_counts):
    labels = stratified_labels(count, class_counts)
    exact = count * np.array(class_counts) / sum(class_counts)
    assert len(labels) == count
    assert np.abs(np.bincount(labels, minlength=len(class_counts)) - exact).max() < 1


def test_all_of_the_training_set_has_its_own_labels_and_ten_have_each():
    assert np.bincount(stratified_labels(60_000, MNIST.class_counts)).tolist() == list(MNIST.class_counts)
    assert sorted(stratified_labels(10, MNIST.class_counts)) == list(range(10))


@given(st.lists(st.integers(0, 9), min_size=1, max_size=200))
def test_the_first_images_of_a_stratified_order_have_the_labels_of_all(labels):
    labels = np.array(labels)
    order = stratified_order(labels)
    assert sorted(order) == list(range(len(labels)))
    share = np.bincount(labels, minlength=10) / len(labels)
    for count in range(1, len(labels) + 1):
        found = np.bincount(labels[order[:count]], minlength=10)
        assert np.abs(found - count * share).max() <= 5  # half an image for each other label
    assert order.tolist() == stratified_order(labels).tolist()


def test_a_stratified_order_mixes_the_halves_of_a_data_set():
    labels = np.tile(np.arange(10), 1000)
    assert 0.45 < np.mean(stratified_order(labels)[:2000] < 5000) < 0.55
