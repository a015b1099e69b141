"""The real images that a model is measured with: a split of its data set. Nothing is downloaded."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mnistdiff.engine.data.datasets import DatasetSpec, LabelledImages, Split, UnavailableError
from mnistdiff.engine.data.holdout import hold_out
from mnistdiff.engine.data.load import load_images
from mnistdiff.engine.data.pictures.read import load_pictures
from mnistdiff.errors import DataError
from mnistdiff.pictures import Pictures
from mnistdiff.settings import TrainSettings


@dataclass(frozen=True)
class RealSplit:
    """A split of a data set.

    Attributes:
        name: "train" or "test".
        images: with the labels of the model.
        notice: a sentence for the user if it is another split than usual; else empty.
    """

    name: Split
    images: LabelledImages
    notice: str = ""


def load_split(trained: TrainSettings, split: Split | None, data_dir: Path | None, *, required_by: str) -> RealSplit:
    """The images of a split of the data set that a model was trained on.

    Args:
        trained: the settings of the training.
        split: "train" are the images that the model was trained on. "test" are the test images of the data set; of
            pictures they are those that were held out from the training. None is "test", or "train" if there are none.
        data_dir: folder with the files; None is the user's cache folder.
        required_by: the field that needs the images.

    Raises:
        DataError: if a file is corrupt or missing, or there are no test images.
    """
    spec = trained.spec
    if split != "train" and spec.pictures is None:
        return RealSplit("test", _load(spec.evaluated_as, "test", data_dir, required_by))
    images = _load(spec, "train", data_dir, required_by)
    if split != "train" and trained.holdout:
        return RealSplit("test", hold_out(images, trained.holdout, seed=trained.seed)[1])
    if split == "test":
        raise DataError(
            f"`split` test: the model was trained on all pictures of {spec.title}, and none are held out",
            "Use `split` train, or train with `holdout`.",
        )
    if trained.holdout:
        images = hold_out(images, trained.holdout, seed=trained.seed)[0]
    notice = f"{spec.title} has no test images: these are the images that the model was trained on"
    return RealSplit("train", images, "" if split else notice)


def load_pictures_of(pictures: Pictures, data_dir: Path | None) -> LabelledImages:
    """The pictures that a record describes, with their own labels: from the cache, else from their folder or file.

    Raises:
        UnavailableError: if they are not in the cache, and no folder is named.
        DataError: if those in the folder are others.
    """
    try:
        return load_pictures(pictures, None)
    except DataError as error:
        if data_dir is None:
            raise UnavailableError(error.message, error.hint) from error
    return load_pictures(pictures, data_dir)


def images_missing(error: UnavailableError, title: str, required_by: str) -> DataError:
    """The error for images that a metric needs and that are not on this machine."""
    where = "in the cache" if error.folder is None else f"complete in {error.folder}"
    return DataError(
        f"`{required_by}` needs the images of {title}, which are not {where}",
        "Set `data_dir` to their folder; a training downloads them.",
    )


def _load(spec: DatasetSpec, split: Split, data_dir: Path | None, required_by: str) -> LabelledImages:
    try:
        if spec.pictures is None:
            return load_images(spec, split, data_dir=data_dir, may_download=False)
        images = load_pictures_of(spec.pictures, data_dir)
        labels = np.array([spec.class_names.index(name) for name in spec.pictures.class_names], np.uint8)
        return LabelledImages(images.images, labels[images.labels])
    except UnavailableError as error:
        raise images_missing(error, spec.title, required_by) from error
