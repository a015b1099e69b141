"""Memorization check by nearest neighbours, with real test images as control."""

from typing import Never

import numpy as np
from numpy.typing import NDArray

from mnistdiff.engine.data.datasets import LabelledImages
from mnistdiff.engine.evaluation.neighbours import closest_pairs, find_neighbours, summarize
from mnistdiff.engine.evaluation.reference_stats import RealImages
from mnistdiff.engine.evaluation.results import ClosestPair, Memorization, NearestToTestImages
from mnistdiff.engine.outputs.grid import Row, labelled_grid
from mnistdiff.engine.outputs.png import encode_png
from mnistdiff.engine.progress import Work

_NUM_PAIRS = 30
_PAIRS_PER_ROW = 10


def check_memorization(images: LabelledImages, real: RealImages) -> Work[Never, Memorization]:
    """Measure the distances of generated images, and of as many real test images, to their nearest training images.

    Args:
        images: N images, with the labels that they were sampled for.
        real: the first N test images, or all if there are fewer, are the control.

    Yields:
        progress in images.
    """
    training, control = real.training.images, real.test.images[: len(images)]
    found = yield from find_neighbours(images.images, training, stage="nearest training images")
    of_control = yield from find_neighbours(control, training, stage="nearest training images of test images")
    pairs = closest_pairs(found, _NUM_PAIRS)
    ratio = found.ratio
    of_test_images = summarize(of_control, control, training).model_dump()
    return Memorization(
        images=summarize(found, images.images, training),
        test_images=NearestToTestImages(num_images=len(control), **of_test_images),
        closest=tuple(
            ClosestPair(image=i, digit=int(images.labels[i]), distance=found.distance[i], ratio=ratio[i])
            for i in pairs.tolist()
        ),
        sheet=_sheet(images.images[pairs], training[found.index[pairs]]),
    )


def _sheet(images: NDArray[np.uint8], training: NDArray[np.uint8]) -> bytes:
    """A PNG of pairs: below each image its training image; both arrays of shape (N, 28, 28)."""
    rows: list[Row] = []
    for start in range(0, len(images), _PAIRS_PER_ROW):
        some = slice(start, start + _PAIRS_PER_ROW)
        rows += [("generated", list(images[some])), ("training", list(training[some]))]
    return encode_png(labelled_grid(rows, title="closest pairs, the most alike first"))
