"""Results of the metrics: the parts of an evaluation report.

The names of the fields are the keys of the JSON; keys of version 0.1 are aliases. Values that follow from others are
written, and recomputed when a report is read.
"""

import math
from collections.abc import Mapping
from statistics import fmean
from typing import Annotated, Self

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, computed_field, model_validator

# Between -z and z lies 95 % of a standard normal distribution.
_Z_95 = 1.959963984540054

Count = Annotated[int, Field(ge=0, le=10**12)]
_Share = Annotated[float, Field(ge=0, le=1)]
_Distance = Annotated[float, Field(ge=0)]


class Part(BaseModel):
    """A frozen part of a report; keys of later versions are ignored."""

    # Built at first use, since inspect and report need few.
    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False, defer_build=True)


class BinomialProportion(Part):
    """A number of hits in a number of trials, with its 95 % confidence interval.

    Attributes:
        hits: 0 ... total.
        total: at least 1.

    Raises:
        pydantic.ValidationError: if the numbers are out of range.
    """

    hits: Count
    total: Annotated[int, Field(ge=1, le=10**12)]

    @model_validator(mode="after")
    def _hits_are_of_the_total(self) -> Self:
        if self.hits > self.total:
            raise ValueError(f"hits {self.hits} is more than total {self.total}")
        return self

    @computed_field
    @property
    def share(self) -> float:
        """Hits over total, in [0, 1]."""
        return self.hits / self.total

    @computed_field
    @property
    def low(self) -> float:
        """The lower bound of ``interval``."""
        return self.interval[0]

    @computed_field
    @property
    def high(self) -> float:
        """The upper bound of ``interval``."""
        return self.interval[1]

    @property
    def interval(self) -> tuple[float, float]:
        """The score interval at 95 % (Wilson 1927, JASA 22, 209-212): bounds in [0, 1], the share between them.

        Unlike share +- 1.96 standard errors it has a width even where all trials, or none, are hits.
        """
        weight = _Z_95**2 / self.total
        centre = (self.share + weight / 2) / (1 + weight)
        half_width = math.sqrt(weight * (self.share * (1 - self.share) + weight / 4)) / (1 + weight)
        # At the ends the formula gives exactly 0 and 1, but for rounding.
        low = centre - half_width if self.hits else 0.0
        high = centre + half_width if self.hits < self.total else 1.0
        return low, high


class PRDC(Part):
    """Precision, recall, density and coverage of generated against real images; see ``metrics.prdc``.

    Attributes:
        precision, recall, coverage: in [0, 1].
        density: at least 0, about 1 for equal distributions.
    """

    precision: float
    recall: float
    density: float
    coverage: float


class ClassifierMetrics(Part):
    """The metrics by one reference classifier, of generated and of real images.

    Attributes:
        sha256: of the classifier's file: scores by different classifiers do not compare.
        accuracy: generated images that are classified as their label; accuracy_of_test_images: real test images.
        accuracy_by_digit: for each label.
        confusion: counts, row = label, column = predicted class.
        fcd: Fréchet classifier distance to the training set, on the classifier's features.
        fcd_real: that of as many real test images; None if unknown.
        prdc: against real test images; prdc_of_training_images: of real training images. None without a data set.
        num_test_images: real test images that the last three were measured with.
    """

    sha256: str
    accuracy: BinomialProportion
    accuracy_of_test_images: BinomialProportion
    accuracy_by_digit: Mapping[int, BinomialProportion] = Field(min_length=1)
    confusion: tuple[tuple[Count, ...], ...] = ()
    fcd: _Distance
    fcd_real: _Distance | None = Field(validation_alias=AliasChoices("fcd_real", "fcd_floor"))
    prdc: PRDC | None = Field(validation_alias=AliasChoices("prdc", "manifold"))
    prdc_of_training_images: PRDC | None = Field(
        None, validation_alias=AliasChoices("prdc_of_training_images", "manifold_of_training_images")
    )
    num_test_images: Count = 0

    @computed_field
    @property
    def fcd_ratio(self) -> float | None:
        """``fcd`` over ``fcd_real``: 1 for images as good as real ones."""
        return self.fcd / self.fcd_real if self.fcd_real else None

    @computed_field
    @property
    def lowest_digit(self) -> int:
        """The label with the lowest accuracy."""
        return min(self.accuracy_by_digit, key=lambda digit: self.accuracy_by_digit[digit].share)

    @property
    def confusions(self) -> list[tuple[int, int, int]]:
        """(label, predicted class, count) of all mistakes, the most frequent first."""
        rows = enumerate(self.confusion)
        mistakes = [(label, found, n) for label, row in rows for found, n in enumerate(row) if n and found != label]
        return sorted(mistakes, key=lambda mistake: -mistake[2])


class CAS(Part):
    """Classification accuracy score (Ravuri & Vinyals 2019, arXiv 1905.10887), and that of real images.

    Attributes:
        num_images: that each classifier is trained on.
        epochs: of its training.
        by_seed: accuracies on real test images after training on generated images, one for each seed.
        by_seed_of_real_images: the same after training on as many real training images.
    """

    num_images: Count
    epochs: Count
    by_seed: tuple[_Share, ...] = Field(min_length=1)
    by_seed_of_real_images: tuple[_Share, ...] = Field(min_length=1)

    @computed_field
    @property
    def score(self) -> float:
        """The mean over the seeds."""
        return fmean(self.by_seed)

    @computed_field
    @property
    def score_of_real_images(self) -> float:
        """The mean over the seeds, after training on real images."""
        return fmean(self.by_seed_of_real_images)

    @computed_field
    @property
    def gap(self) -> float:
        """``score_of_real_images`` - ``score``; may be negative."""
        return self.score_of_real_images - self.score


class NearestTrainingImages(Part):
    """Distances of images to their nearest training images: L2 over pixels in [0, 1].

    Attributes:
        copies: images that differ from their nearest training image by at most one grey level in every pixel.
        quantiles: of the distances, by share: 0, 0.01, 0.05, 0.25, 0.5.
        ratio_share: share of the images more than three times nearer to one training image than to any other, the
            criterion of Gu et al. 2023 (arXiv 2310.02664), in [0, 1].
    """

    copies: Count
    quantiles: Mapping[str, _Distance]
    ratio_share: _Share


class NearestToTestImages(NearestTrainingImages):
    """Distances of the first ``num_images`` real test images to their nearest training images."""

    num_images: Count


class ClosestPair(Part):
    """An image and its nearest training image.

    Attributes:
        image: its index, from 0: its seed is the first seed plus this.
        digit: its label.
        distance: L2 over pixels in [0, 1]; ratio: over the distance to the second nearest.
    """

    image: Count
    digit: Count
    distance: _Distance
    ratio: _Share


class Memorization(Part):
    """How near generated images come to training images.

    Attributes:
        images: of the generated images.
        test_images: of real test images, which cannot be memorized.
        closest: the most suspicious pairs, at most 30.
        sheet: these pairs as a PNG, each image above its training image; no part of the JSON.
    """

    images: NearestTrainingImages
    test_images: NearestToTestImages
    closest: tuple[ClosestPair, ...]
    sheet: bytes = Field(b"", exclude=True, repr=False)
