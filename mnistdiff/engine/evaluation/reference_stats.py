"""What real images score: the other end of every measure, without which a number says little."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from mnistdiff.engine.data.datasets import MNIST, LabelledImages, UnavailableError
from mnistdiff.engine.data.load import load_images
from mnistdiff.engine.data.stratified import stratified_order
from mnistdiff.engine.evaluation.metrics import (
    Gaussian,
    frechet_distance,
    precision_recall_density_coverage,
)
from mnistdiff.engine.evaluation.reference_classifier import ReferenceClassifier
from mnistdiff.engine.evaluation.report import PRDC, BinomialProportion
from mnistdiff.errors import DataError

_MOST_BLOCKS = 5
"""A floor is the mean over up to so many disjoint blocks of test images: of few images a single one is chance."""


@dataclass(frozen=True)
class RealImages:
    """MNIST, to measure against.

    Both are in stratified order, so that the first n images, for every n, are a fair choice: in MNIST's own order the
    first half of the test images is the easier one.

    Attributes:
        training: 60,000 images.
        test: 10,000 images.
    """

    training: LabelledImages
    test: LabelledImages

    @classmethod
    def load(cls, data_dir: Path | None, *, needed_for: str = "") -> Self | None:
        """Both halves of MNIST if they are here; nothing is ever fetched.

        Args:
            data_dir: folder with ``MNIST/raw``; None is the user's cache folder.
            needed_for: what cannot do without, if anything cannot.

        Returns:
            None if a file is missing.

        Raises:
            DataError: if a file is corrupt, or if one is missing that is needed.
        """
        try:
            splits = [load_images(MNIST, split, data_dir=data_dir, may_download=False) for split in ("train", "test")]
        except UnavailableError as error:
            if not needed_for:
                return None
            raise DataError(
                f"{needed_for} needs MNIST, which is not complete in {error.folder}",
                "Name its folder with --data-dir; mnistdiff train fetches it.",
            ) from error
        return cls.of(*splits)

    @classmethod
    def of(cls, training: LabelledImages, test: LabelledImages) -> Self:
        """Images in any order, put into the stratified one."""
        return cls(*(images[stratified_order(images.labels)] for images in (training, test)))


def floor_at(count: int, test_features: NDArray[np.float32], reference: Gaussian) -> float:
    """The Fréchet distance of ``count`` real test images to the training images.

    Args:
        count: how many, at most N.
        test_features: of all test images in stratified order, shape (N, D). In random order, fewer images would have
            digits in uneven shares, and a floor more than twice as high as samples in the right shares have.
        reference: of the training images.

    Returns:
        the mean over the first disjoint blocks of so many images.
    """
    starts = range(0, len(test_features) - count + 1, count)[:_MOST_BLOCKS]
    blocks = [Gaussian.fit(test_features[start : start + count]) for start in starts]
    return float(np.mean([frechet_distance(block, reference) for block in blocks]))


@dataclass(frozen=True)
class ReferenceStats:
    """A judge and, for as many images as are to be measured, what it makes of real ones. Computed when asked for, once.

    Attributes:
        judge: a classifier.
        real: the images to measure against; None if they are not here.
        count: images to be measured.
    """

    judge: ReferenceClassifier
    real: RealImages | None
    count: int

    @property
    def ceiling(self) -> BinomialProportion:
        """The judge's own accuracy on the test set: the highest accuracy that says anything."""
        facts = self.judge.facts
        return BinomialProportion(hits=facts.num_test_images - facts.test_errors, total=facts.num_test_images)

    @property
    def floor_count(self) -> int:
        """The images that the floor is measured with: as many as are measured, or all test images if those are less."""
        return min(self.count, len(self.real.test.images) if self.real else self.judge.facts.num_test_images)

    @cached_property
    def floor(self) -> float | None:
        """The Fréchet distance of as many real test images, which no generator can expect to beat.

        The distance is biased, the more the fewer the images (Chong & Forsyth 2020, arXiv 1911.07023): only at the
        same number is it comparable. None if MNIST is not here and the judge's file does not tell this number.
        """
        if self.real is None:
            return self.judge.facts.floors.get(self.floor_count)
        return floor_at(self.floor_count, self.test_features, self.judge.reference)

    @cached_property
    def test_features(self) -> NDArray[np.float32]:
        """Of all test images, shape (M, D)."""
        assert self.real is not None, "asked for only where it is here"
        return self.judge.judge(self.real.test.images).features

    @cached_property
    def control(self) -> PRDC | None:
        """How real training images overlap with real test images: what equal distributions score at this number."""
        if self.real is None:
            return None
        return self.overlap(self.judge.judge(self.real.training.images[: self.floor_count]).features)

    def distance(self, features: NDArray[np.float32]) -> float:
        """The Fréchet distance between images and the training set, by their features, shape (N, D)."""
        return frechet_distance(Gaussian.fit(features), self.judge.reference)

    def overlap(self, features: NDArray[np.float32]) -> PRDC | None:
        """Precision and its kin against as many test images; of more images than those, the first; None without."""
        if self.real is None:
            return None
        n = self.floor_count
        return precision_recall_density_coverage(self.test_features[:n], features[:n])
