"""Loading of data sets: files are found in a folder or downloaded, and verified."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from mnistdiff.engine.data.datasets import DatasetSpec, LabelledImages, Split, UnavailableError
from mnistdiff.engine.data.fetch import fetch, unavailable
from mnistdiff.engine.data.holdout import hold_out
from mnistdiff.engine.data.stored_images import checked, data_folder, read_split
from mnistdiff.engine.progress import finish
from mnistdiff.errors import DataError
from mnistdiff.setting_types import DATASETS
from mnistdiff.settings import TrainSettings


@dataclass(frozen=True)
class TrainingImages(LabelledImages):
    """Images to train on.

    Attributes:
        name: of their data set; after a fallback that of the fallback.
        held_out: images of the data set that are not trained on; None if all are.
        notice: a sentence for the user after a fallback, else empty.
    """

    name: str = ""
    notice: str = ""
    held_out: LabelledImages | None = None

    @classmethod
    def of(cls, data: LabelledImages, settings: TrainSettings, *, name: str, notice: str = "") -> Self:
        """The images of a data set, divided as the settings say."""
        if not settings.holdout:
            return cls(data.images, data.labels, name, notice)
        trained_on, held_out = hold_out(data, settings.holdout, seed=settings.seed)
        return cls(trained_on.images, trained_on.labels, name, notice, held_out)


def load_training_images(
    settings: TrainSettings, *, data_dir: Path | None, allow_fallback: bool = False
) -> TrainingImages:
    """The images of a training.

    Args:
        settings: of the training.
        data_dir: as in ``load_images``.
        allow_fallback: load the ``fallback`` of the data set if it is unavailable.

    Raises:
        DataError: if a file is corrupt (never a reason to fall back), or the data set is unavailable.
        OSError: if the file system refuses.
    """
    spec = settings.spec
    try:
        data, notice = load_images(spec, "train", data_dir=data_dir), ""
    except UnavailableError as error:
        if not (allow_fallback and spec.fallback):
            raise
        fallback = DATASETS[spec.fallback]
        try:
            data = load_images(fallback, "train", data_dir=data_dir)
        except UnavailableError:
            raise error from None
        notice = f"{spec.title} is unavailable ({error.reason}): training on {fallback.title} instead"
        spec = fallback
    return TrainingImages.of(data, settings, name=spec.name, notice=notice)


def load_images(spec: DatasetSpec, split: Split, *, data_dir: Path | None, may_download: bool = True) -> LabelledImages:
    """The images of one split of a data set.

    Args:
        spec: the data set.
        split: "train" or "test".
        data_dir: folder with the data set's files, as in ``data_folder``. Missing files are downloaded into it. For
            pictures their folder or file; None takes them from the cache.
        may_download: whether missing files are downloaded; else they are an error.

    Raises:
        UnavailableError: if the data set is missing and cannot be downloaded.
        DataError: if a file is corrupt, or the images do not match the spec.
        OSError: if the file system refuses.
    """
    if spec.pictures is not None:
        if split != "train":
            raise DataError(f"the pictures of {spec.title} have no {split} images")
        from mnistdiff.engine.data.pictures.read import load_pictures

        pictures = load_pictures(spec.pictures, data_dir)
        # A model that started from another has classes of which there are no pictures.
        of_model = np.array([spec.label_of(name) for name in spec.pictures.class_names], np.uint8)
        return checked(LabelledImages(pictures.images, of_model[pictures.labels]), spec)
    if spec.load is not None:
        return checked(spec.load(split), spec)
    folder = data_folder(spec, data_dir)
    data = read_split(spec, split, folder)  # before any download: a corrupt file is an error anyway
    if data is None and may_download:
        finish(fetch(spec, folder, was_named=data_dir is not None))
        data = read_split(spec, split, folder)
    if data is None:
        raise unavailable(spec, folder, "not found (download disabled)")
    return data
