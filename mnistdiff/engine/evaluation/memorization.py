"""Are the images new, or are they training images once more? Beside them, real images that no training has seen."""

from collections.abc import Generator, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnistdiff.engine.evaluation.neighbours import (
    Memorisation,
    Neighbours,
    closest_pairs,
    memorisation,
    nearest_by_chunk,
)
from mnistdiff.engine.evaluation.progress import EvaluationProgress
from mnistdiff.engine.evaluation.reference_stats import RealImages
from mnistdiff.engine.outputs.grid import Row, labelled_grid
from mnistdiff.engine.outputs.png import encode_png

_NUM_PAIRS = 30
_PAIRS_PER_ROW = 10


@dataclass(frozen=True)
class Pair:
    """An image and the training image nearest to it.

    Attributes:
        image: its number, from 0: it was drawn from that many seeds after the first.
        digit: that was asked for.
        distance: L2 over pixels in [0, 1]; ratio: over the distance to the second nearest.
        pixels: grey levels of both, shape (2, 28, 28).
    """

    image: int
    digit: int
    distance: float
    ratio: float
    pixels: NDArray[np.uint8] = field(compare=False, repr=False)


@dataclass(frozen=True)
class Originality:
    """How near images come to training images.

    Attributes:
        drawn: of the images.
        control: of real test images, which cannot be from memory.
        num_control: how many those are.
        closest: the most suspicious pairs, at most 30.
    """

    drawn: Memorisation
    control: Memorisation
    num_control: int
    closest: tuple[Pair, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "images": _to_dict(self.drawn),
            "test_images": {"num_images": self.num_control, **_to_dict(self.control)},
            "closest": [
                {"image": pair.image, "digit": pair.digit, "distance": pair.distance, "ratio": pair.ratio}
                for pair in self.closest
            ],
        }

    def sheet(self) -> bytes:
        """The closest pairs as a PNG: below each image its training image."""
        rows: list[Row] = []
        for start in range(0, len(self.closest), _PAIRS_PER_ROW):
            pairs = self.closest[start : start + _PAIRS_PER_ROW]
            rows += [("drawn", [pair.pixels[0] for pair in pairs]), ("training", [pair.pixels[1] for pair in pairs])]
        return encode_png(labelled_grid(rows, title="closest pairs, the most alike first"))


def check_memorization(
    images: NDArray[np.uint8], labels: NDArray[np.integer], real: RealImages
) -> Iterator[EvaluationProgress | Originality]:
    """Find the nearest training image of every image, and of as many real test images.

    Args:
        images: grey levels, shape (N, 28, 28).
        labels: the digits asked for, shape (N,).
        real: the first N test images, or all if there are fewer, are the control.

    Yields:
        progress, and last the result.
    """
    control = real.test_images[: len(images)]
    neighbours = yield from _search("looking for copies", images, real.training_images)
    neighbours_of_control = yield from _search("looking at real images", control, real.training_images)
    yield Originality(
        drawn=memorisation(neighbours, images, real.training_images),
        control=memorisation(neighbours_of_control, control, real.training_images),
        num_control=len(control),
        closest=tuple(_pairs(neighbours, images, labels, real.training_images)),
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


def _pairs(
    neighbours: Neighbours, images: NDArray[np.uint8], labels: NDArray[np.integer], training: NDArray[np.uint8]
) -> Iterator[Pair]:
    for image in closest_pairs(neighbours, _NUM_PAIRS).tolist():
        pixels = np.stack([images[image], training[neighbours.index[image]]])
        distance, ratio = float(neighbours.distance[image]), float(neighbours.ratio[image])
        yield Pair(image, int(labels[image]), distance, ratio, pixels)


def _to_dict(found: Memorisation) -> dict[str, Any]:
    content = asdict(found)
    return {**content, "quantiles": {f"{share:g}": distance for share, distance in found.quantiles}}
