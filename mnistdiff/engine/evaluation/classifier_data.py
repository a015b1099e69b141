"""The images that a reference classifier is trained on and tested with."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from mnistdiff.engine.data.datasets import MNIST, DatasetSpec, LabelledImages
from mnistdiff.engine.data.holdout import hold_out
from mnistdiff.engine.data.load import load_images
from mnistdiff.engine.evaluation.classifier_card import TrainedOn, digest_of_dataset
from mnistdiff.pictures import Pictures


@dataclass(frozen=True)
class ClassifierData:
    """Images for a classifier.

    Attributes:
        spec: their data set.
        training: images to train on.
        test: images to test with.
        record: for the card; None is MNIST.
    """

    spec: DatasetSpec
    training: LabelledImages
    test: LabelledImages
    record: TrainedOn | None = None

    @classmethod
    def of_dataset(cls, spec: DatasetSpec, data_dir: Path | None) -> Self:
        """Both splits of a data set.

        Raises:
            DataError: if it is unavailable or corrupt, or has no test images.
            OSError: if the file system refuses.
        """
        training, test = (load_images(spec, split, data_dir=data_dir) for split in ("train", "test"))
        return cls(spec, training, test, None if spec.name == MNIST.name else _record(spec))

    @classmethod
    def of_pictures(cls, pictures: Pictures, images: LabelledImages, share: float, *, seed: int) -> Self:
        """Pictures, of which a share is held out, to test with.

        Raises:
            DataError: if there are too few.
        """
        training, test = hold_out(images, share, seed=seed)
        record = _record(pictures.spec()).model_copy(update={"holdout": share, "holdout_seed": seed})
        return cls(pictures.spec(), training, test, record)


def _record(spec: DatasetSpec) -> TrainedOn:
    return TrainedOn(dataset=spec.title, digest=digest_of_dataset(spec), image_size=spec.image_size)
