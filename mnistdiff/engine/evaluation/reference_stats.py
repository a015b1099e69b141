"""Reference scores of real images: every metric of generated images is compared with that of real ones."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from mnistdiff.engine.data.datasets import DatasetSpec, LabelledImages, UnavailableError
from mnistdiff.engine.data.holdout import hold_out
from mnistdiff.engine.data.load import load_images
from mnistdiff.engine.data.stratified import stratified_order
from mnistdiff.engine.evaluation.classifier import PREDICT_BATCH
from mnistdiff.engine.evaluation.classifier_card import TrainedOn
from mnistdiff.engine.evaluation.metrics import PRDC_NEIGHBOURS, Gaussian, frechet_distance, prdc
from mnistdiff.engine.evaluation.real_images import images_missing, load_pictures_of
from mnistdiff.engine.evaluation.reference_classifier import ReferenceClassifier
from mnistdiff.engine.evaluation.results import PRDC
from mnistdiff.errors import DataError
from mnistdiff.pictures import Pictures
from mnistdiff.settings import TrainSettings

_MOST_BLOCKS = 5
"""Maximum number of disjoint blocks of real images over which their distance is averaged: that of a single small block
varies much."""


@dataclass(frozen=True)
class RealImages:
    """Both splits of a data set, to compare generated images with.

    Both are in ``stratified_order``, so that the first n images are a representative sample for every n: in the order
    of MNIST, the first half of the test images is easier to classify.

    Attributes:
        spec: the data set.
        training: images to train on.
        test: others.
        notice: a sentence for the user if the model was trained on all of them; else empty.
    """

    spec: DatasetSpec
    training: LabelledImages
    test: LabelledImages
    notice: str = ""

    @classmethod
    def load(
        cls, spec: DatasetSpec, data_dir: Path | None, *, required_by: str = "", trained: TrainSettings | None = None
    ) -> Self | None:
        """The images of a data set, if they are on this machine; nothing is downloaded.

        Args:
            spec: the data set.
            data_dir: folder with its files; None is the user's cache folder.
            required_by: the field that needs the images; empty if they are optional.
            trained: the settings of the model's training, whose held-out images are no training images.

        Returns:
            None if a file is missing.

        Raises:
            DataError: if a file is corrupt, or is missing and required.
        """
        try:
            training = load_images(spec, "train", data_dir=data_dir, may_download=False)
            test = load_images(spec, "test", data_dir=data_dir, may_download=False)
        except UnavailableError as error:
            if not required_by:
                return None
            raise images_missing(error, spec.title, required_by) from error
        if trained is not None and trained.holdout and trained.dataset == spec.name:
            training, _ = hold_out(training, trained.holdout, seed=trained.seed)
        return cls.of(spec, training, test)

    @classmethod
    def load_pictures(
        cls, trained: TrainSettings, pictures: Pictures, held_out: TrainedOn, data_dir: Path | None, *, required_by: str
    ) -> Self | None:
        """The pictures that a model was trained on, which have no test split.

        The test images are those held out from the training of the model; if there are none, those held out from that
        of the classifier, so that at least the classifier has not learned them.

        Args:
            trained: the settings of the training.
            pictures: their record.
            held_out: what was held out from the training of the classifier.
            data_dir: their folder or file, for pictures that are not in the cache.
            required_by: as for ``load``.

        Raises:
            DataError: if they are missing and required, others are in their place, or the model was trained on all of
                them and is to be checked for memorization.
        """
        try:
            data = load_pictures_of(pictures, data_dir)
        except UnavailableError as error:
            if not required_by:
                return None
            raise images_missing(error, pictures.title, required_by) from error
        if trained.holdout:
            return cls.of(pictures.spec(), *hold_out(data, trained.holdout, seed=trained.seed))
        if required_by == "memorization":
            raise DataError(
                f"`memorization` compares with images that the model has not seen: it was trained on all of "
                f"{pictures.title}",
                "Train a model with `holdout`.",
            )
        notice = f"the model was trained on all of {pictures.title}, also on the real images that it is compared with"
        divided = hold_out(data, held_out.holdout, seed=held_out.holdout_seed)
        return replace(cls.of(pictures.spec(), *divided), notice=notice)

    @classmethod
    def of(cls, spec: DatasetSpec, training: LabelledImages, test: LabelledImages) -> Self:
        """Images in any order, put into the stratified one."""
        return cls(spec, training[stratified_order(training.labels)], test[stratified_order(test.labels)])


class ReferenceStats:
    """Scores of real images by one classifier, to compare a number of generated images with.

    Args:
        classifier: whose features are compared.
        real: the images; None if they are unavailable.
        n: generated images to compare them with.

    Attributes:
        classifier: that measured them.
        count: real test images that the rest is measured with.
        fcd: their Fréchet distance to the training images, which no generator is expected to beat: the distance is
            biased, the more the fewer the images (Chong & Forsyth 2020, arXiv 1911.07023), so it compares only at the
            same number. None if there are no real images and the classifier's card does not hold this number.
        features: of the test images, shape (count, D); None if there are no real images, or too few.
        prdc: of as many training images against the test images: the score of equal distributions. None likewise.
    """

    def __init__(self, classifier: ReferenceClassifier, real: RealImages | None, n: int) -> None:
        self.classifier = classifier
        self.count = min(n, classifier.card.num_test_images if real is None else len(real.test))
        self.features: NDArray[np.float32] | None = None
        self.prdc: PRDC | None = None
        if real is None:
            self.fcd = classifier.card.fcd_real.get(self.count)
            return
        # In whole batches, so that the features of an image are bit-exact for every n.
        needed = -(-_MOST_BLOCKS * self.count // PREDICT_BATCH) * PREDICT_BATCH
        features = classifier.predict(real.test.images[:needed]).features
        self.fcd = fcd_of_test_images(self.count, features, classifier.reference)
        training = real.training.images[: self.count]
        if min(self.count, len(training)) > PRDC_NEIGHBOURS:
            self.features = features[: self.count]
            self.prdc = prdc(self.features, classifier.predict(training).features)

    def prdc_of(self, features: NDArray[np.float32]) -> PRDC | None:
        """PRDC of images, by their features, shape (N, D), against the test images; of the first ``count`` of them."""
        return None if self.features is None else prdc(self.features, features[: self.count])


def fcd_of_test_images(count: int, features: NDArray[np.float32], reference: Gaussian) -> float:
    """The Fréchet distance of ``count`` real test images to the training images.

    Args:
        count: at most N.
        features: of the test images in stratified order, shape (N, D). In random order, few images would have classes
            in uneven proportions, and more than twice the distance of samples in the right ones.
        reference: of the training images.

    Returns:
        the mean over the first disjoint blocks of so many images.
    """
    starts = range(0, len(features) - count + 1, count)[:_MOST_BLOCKS]
    blocks = [Gaussian.fit(features[start : start + count]) for start in starts]
    return float(np.mean([frechet_distance(block, reference) for block in blocks]))
