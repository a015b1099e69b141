"""The images of each batch, as a function of (seed, step), so that a resumed training is bit-exact."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from mnistdiff.engine.randomness import Stream, generator


def batch_indices(*, seed: int, step: int, num_images: int, batch_size: int, repeats: int = 1) -> NDArray[np.int64]:
    """The images of one optimizer step; each epoch contains every image ``repeats`` times, in a new order.

    Args:
        seed: of the training.
        step: number of steps done before this one, from 0.
        num_images: in the data set.
        batch_size: images per step; the last batch of an epoch may be smaller.
        repeats: how often an epoch contains each image.

    Returns:
        indices in 0 ... num_images - 1, shape (batch_size,) or fewer.
    """
    epoch, batch = divmod(step, -(-num_images * repeats // batch_size))
    return _order(seed, epoch, num_images * repeats)[batch * batch_size : (batch + 1) * batch_size] % num_images


@lru_cache(maxsize=1)
def _order(seed: int, epoch: int, num_images: int) -> NDArray[np.int64]:
    """The order of an epoch, cached: shuffling 60,000 indices for each batch would take a millisecond."""
    order = generator(seed, Stream.IMAGE_ORDER, epoch).permutation(num_images)
    order.flags.writeable = False
    return order
