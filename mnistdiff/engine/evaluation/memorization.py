"""Are the images new, or are they training images once more? Beside them, real images that no training has seen."""

from collections.abc import Generator, Iterator

import numpy as np
from numpy.typing import NDArray

from mnistdiff.engine.evaluation.neighbours import (
    Neighbours,
    closest_pairs,
    nearest_by_chunk,
    summarize,
)
from mnistdiff.engine.evaluation.progress import EvaluationProgress
from mnistdiff.engine.evaluation.reference_stats import RealImages
from mnistdiff.engine.evaluation.report import ClosestPair, Memorization, NearestToTestImages
from mnistdiff.engine.outputs.grid import Row, labelled_grid
from mnistdiff.engine.outputs.png import encode_png

_NUM_PAIRS = 30
_PAIRS_PER_ROW = 10


def check_memorization(
    images: NDArray[np.uint8], labels: NDArray[np.integer], real: RealImages
) -> Iterator[EvaluationProgress | Memorization]:
    """Find the nearest training image of every image, and of as many real test images.

    Args:
        images: grey levels, shape (N, 28, 28).
        labels: the digits asked for, shape (N,).
        real: the first N test images, or all if there are fewer, are the control.

    Yields:
        progress, and last the result.
    """
    control = real.test.images[: len(images)]
    neighbours = yield from _search("looking for copies", images, real.training.images)
    neighbours_of_control = yield from _search("looking at real images", control, real.training.images)
    pairs = closest_pairs(neighbours, _NUM_PAIRS).tolist()
    summary = summarize(neighbours_of_control, control, real.training.images).model_dump()
    yield Memorization(
        images=summarize(neighbours, images, real.training.images),
        test_images=NearestToTestImages(num_images=len(control), **summary),
        closest=tuple(
            ClosestPair(
                image=image,
                digit=int(labels[image]),
                distance=float(neighbours.distance[image]),
                ratio=float(neighbours.ratio[image]),
            )
            for image in pairs
        ),
        sheet=_sheet(images[pairs], real.training.images[neighbours.index[pairs]]),
    )


def _search(
    stage: str, images: NDArray[np.uint8], training: NDArray[np.uint8]
) -> Generator[EvaluationProgress, None, Neighbours]:
    parts: list[Neighbours] = []
    done = 0
    for part in nearest_by_chunk(images, training):
        parts.append(part)
        done += len(part.index)
        yield EvaluationProgress(stage, done, len(images))
    return Neighbours.join(parts)


def _sheet(images: NDArray[np.uint8], training: NDArray[np.uint8]) -> bytes:
    """Pairs as a PNG: below each image, shape (N, 28, 28), its training image, of the same shape."""
    rows: list[Row] = []
    for start in range(0, len(images), _PAIRS_PER_ROW):
        some = slice(start, start + _PAIRS_PER_ROW)
        rows += [("drawn", list(images[some])), ("training", list(training[some]))]
    return encode_png(labelled_grid(rows, title="closest pairs, the most alike first"))
