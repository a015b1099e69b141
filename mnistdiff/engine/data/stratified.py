"""Stratified samples: classes in the proportions of a data set."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mnistdiff.engine.randomness import Stream, generator


def stratified_order(
    labels: NDArray[np.integer], *, seed: int = 0, stream: Stream = Stream.IMAGE_ORDER
) -> NDArray[np.int64]:
    """A permutation after which the first n images, for every n, have the classes in the proportions of all.

    The j-th of the N_c images of class c, in a random but fixed order, comes after a share (j + 1/2) / N_c of all
    images.

    Args:
        labels: class indices, shape (N,).
        seed: of the order.
        stream: of the random numbers.

    Returns:
        indices, shape (N,).
    """
    place = np.empty(len(labels))
    random = generator(seed, stream)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        place[random.permutation(members)] = (np.arange(len(members)) + 0.5) / len(members)
    return np.argsort(place, kind="stable")


def stratified_labels(count: int, class_counts: Sequence[int]) -> NDArray[np.int64]:
    """Labels in the proportions of a data set (largest remainder), in stratified order.

    A class-balanced sample would inflate the Fréchet distance, since the classes behind the reference statistics are
    unbalanced.

    Args:
        count: labels to return, at least 1.
        class_counts: images of each class in the data set.

    Returns:
        class indices, shape (count,).
    """
    counts = np.array(class_counts, dtype=np.int64)
    # In integers, so that no tie is decided by rounding.
    whole, rest = np.divmod(counts * count, counts.sum())
    whole[np.argsort(-rest, kind="stable")[: count - whole.sum()]] += 1
    labels = np.repeat(np.arange(len(counts)), whole)
    return labels[stratified_order(labels)]
