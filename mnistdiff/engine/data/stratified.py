"""Digits as frequent as in MNIST, and evenly spread."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mnistdiff.engine.randomness import Stream, generator
from mnistdiff.settings import NUM_DIGITS

MNIST_COUNTS = (5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949)
"""Images of each digit among the 60,000 training images."""
_ORDER_SEED = 0


def evenly(labels: NDArray[np.integer]) -> NDArray[np.int64]:
    """An order of labelled images in which the first n, whatever n, have the digits in the proportions of all.

    The j-th of the N_d images of digit d, in random but fixed order, stands where a share (j + 1/2) / N_d of all
    images are before it.

    Args:
        labels: shape (N,).

    Returns:
        a permutation, shape (N,).
    """
    place = np.empty(len(labels))
    random = generator(_ORDER_SEED, Stream.IMAGE_ORDER)
    for digit in range(NUM_DIGITS):
        members = np.flatnonzero(labels == digit)
        place[random.permutation(members)] = (np.arange(len(members)) + 0.5) / max(len(members), 1)
    return np.argsort(place, kind="stable")


def wanted_digits(count: int, class_counts: Sequence[int]) -> NDArray[np.int64]:
    """The digits to draw: in the proportions of the training set, by largest remainder, and evenly spread.

    A draw of equally many of each would be charged for it, since neither the reference of the Fréchet distance nor
    the test set is balanced.

    Args:
        count: how many, at least 1.
        class_counts: of the training set, ten.

    Returns:
        shape (count,).
    """
    counts = np.array(class_counts, dtype=np.int64)
    # In integers, so that no tie is decided by rounding.
    whole, rest = np.divmod(counts * count, counts.sum())
    whole[np.argsort(-rest, kind="stable")[: count - whole.sum()]] += 1
    digits = np.repeat(np.arange(NUM_DIGITS), whole)
    return digits[evenly(digits)]
