"""Memorization check by exact nearest-neighbour search in pixel space, with real test images as control."""

from dataclasses import dataclass
from typing import Never

import numpy as np
from numpy.typing import NDArray

from mnistdiff.engine.data.datasets import LabelledImages
from mnistdiff.engine.evaluation.reference_stats import RealImages
from mnistdiff.engine.evaluation.results import ClosestPair, Memorization, NearestToTestImages, NearestTrainingImages
from mnistdiff.engine.outputs.grid import Row, labelled_grid
from mnistdiff.engine.outputs.png import encode_png
from mnistdiff.engine.progress import Progress, Work

# 1,000 images by 2,000 training images: 8 MB of distances at a time, and two or three copies.
_CHUNK = 1000
_BLOCK = 2000
# Sums of so many products of numbers in -128 ... 127 stay within 2^24, up to which float32 represents every integer.
_PIXELS = 1024
_QUANTILES = (0.0, 0.01, 0.05, 0.25, 0.5)
_RATIO = 1 / 3
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


@dataclass(frozen=True)
class Neighbours:
    """The two training images nearest to each of N images; distances are L2 over pixels in [0, 1].

    Attributes:
        index: of the nearest training image, the first of several, int64, shape (N,).
        distance: to it, at least 0 and exactly 0 for a copy, float64, shape (N,).
        second: distance to the nearest of the others, at least ``distance``, float64, shape (N,).
    """

    index: NDArray[np.int64]
    distance: NDArray[np.float64]
    second: NDArray[np.float64]

    @property
    def ratio(self) -> NDArray[np.float64]:
        """``distance`` over ``second``, in [0, 1], shape (N,): small if one training image is much nearer than others.

        A copy has ratio 0, even of an image that is in the training set twice.
        """
        return np.divide(self.distance, self.second, out=np.zeros_like(self.distance), where=self.distance > 0)


def find_neighbours(images: NDArray[np.uint8], training: NDArray[np.uint8], *, stage: str) -> Work[Never, Neighbours]:
    """The neighbours of images, exactly; 10,000 images among the 60,000 of MNIST take about ten seconds.

    Args:
        images: grey levels, shape (N, H, W), N >= 1, at most 64 pixels high and wide.
        training: grey levels, shape (M, H, W), M >= 2.
        stage: name of the progress.

    Yields:
        progress in images.
    """
    assert images.dtype == training.dtype == np.uint8, "grey levels"
    targets = _centred(training)
    lengths = _squared_lengths(targets)
    index = np.empty(len(images), np.int64)
    squared = np.empty((2, len(images)), np.int32)
    for start in range(0, len(images), _CHUNK):
        chunk = slice(start, start + _CHUNK)
        index[chunk], *squared[:, chunk] = _nearest(_centred(images[chunk]), targets, lengths)
        yield Progress(stage, min(start + _CHUNK, len(images)), len(images))
    distance, second = np.sqrt(squared) / 255
    return Neighbours(index, distance, second)


def _nearest(
    queries: NDArray[np.float32], training: NDArray[np.float32], lengths: NDArray[np.int32]
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int32]]:
    """Index of the nearest training image, squared distances to it and to the second nearest: integers, exactly."""
    rows = np.arange(len(queries))
    own = _squared_lengths(queries)
    index = np.zeros(len(queries), np.int64)
    first = np.full(len(queries), np.iinfo(np.int32).max, np.int32)
    second = first.copy()
    doubled = -2 * queries  # the products stay exact: twice as large, but even
    for start in range(0, len(training), _BLOCK):
        block = slice(start, start + _BLOCK)
        # |x - y|^2 = |x|^2 - 2 x y + |y|^2
        distances = np.zeros((len(queries), len(training[block])), np.int32)
        for some in _pixels(queries):
            distances += (doubled[:, some] @ training[block, some].T).astype(np.int32)
        distances += lengths[block]
        distances += own[:, None]
        best = distances.argmin(axis=1)
        found = distances[rows, best]
        distances[rows, best] = np.iinfo(np.int32).max
        runner_up = distances.min(axis=1)
        # Of the two nearest so far and the two of this block, the two nearest.
        second = np.minimum(np.maximum(first, found), np.minimum(second, runner_up))
        index = np.where(found < first, start + best, index)
        first = np.minimum(first, found)
    return index, first, second


def _centred(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Grey levels -128 ... 127, shape (N, pixels): float32 matrix products of them are exact sums of integers."""
    return images.reshape(len(images), -1).astype(np.float32) - np.float32(128)


def _squared_lengths(centred: NDArray[np.float32]) -> NDArray[np.int32]:
    # einsum, since the squares of 60,000 images would need as much memory as the images.
    lengths = np.zeros(len(centred), np.int32)
    for some in _pixels(centred):
        lengths += np.einsum("np,np->n", centred[:, some], centred[:, some]).astype(np.int32)
    return lengths


def _pixels(centred: NDArray[np.float32]) -> list[slice]:
    """So many pixels of images at a time that sums over them are exact."""
    return [slice(start, start + _PIXELS) for start in range(0, centred.shape[1], _PIXELS)]


def summarize(neighbours: Neighbours, images: NDArray[np.uint8], training: NDArray[np.uint8]) -> NearestTrainingImages:
    """Statistics of memorization, to be compared with those of real images that no model was trained on.

    Args:
        neighbours: of the images among the training images.
        images: grey levels, shape (N, H, W).
        training: grey levels, shape (M, H, W).
    """
    apart = np.abs(images.astype(np.int16) - training[neighbours.index])  # (N, H, W)
    distances = np.quantile(neighbours.distance, _QUANTILES).tolist()
    return NearestTrainingImages(
        copies=int(np.count_nonzero((apart <= 1).all(axis=(1, 2)))),
        quantiles={f"{share:g}": distance for share, distance in zip(_QUANTILES, distances, strict=True)},
        ratio_share=float(np.mean(neighbours.ratio < _RATIO)),
    )


def closest_pairs(neighbours: Neighbours, count: int) -> NDArray[np.int64]:
    """The images most likely to be memorized, in this order.

    They are sorted by ratio, then by distance. Sorted by distance alone, nearly all would be the digit 1: its thin
    strokes are near to each other in any handwriting.

    Args:
        neighbours: of N images.
        count: maximum number to return.

    Returns:
        indices of images, shape (min(count, N),).
    """
    return np.lexsort((neighbours.distance, neighbours.ratio))[:count]
