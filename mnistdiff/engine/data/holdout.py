"""The images of a data set that are held out from its training."""

import numpy as np

from mnistdiff.engine.data.datasets import LabelledImages
from mnistdiff.engine.data.stratified import stratified_order
from mnistdiff.engine.randomness import Stream
from mnistdiff.errors import DataError


def hold_out(images: LabelledImages, share: float, *, seed: int) -> tuple[LabelledImages, LabelledImages]:
    """Divide images into those to train on and those held out, whose classes are in the proportions of all.

    Which are held out is a function of the labels, the share and the seed. Every class keeps at least half of its
    images to train on.

    Args:
        images: at least one.
        share: to hold out, in (0, 0.5].
        seed: of the training.

    Returns:
        the images to train on, in their order, and those held out, in stratified order.

    Raises:
        DataError: if no image could be held out.
    """
    order = stratified_order(images.labels, seed=seed, stream=Stream.HELD_OUT_IMAGES)
    # The first half of each class comes before all other images.
    held = order[: min(round(share * len(images)), int((np.bincount(images.labels) // 2).sum()))]
    if not len(held):
        raise DataError(
            f"`holdout` {share:g} of {len(images):,} images holds out none", "Use a larger share, or more images."
        )
    return images[np.setdiff1d(order, held)], images[held]
