"""Loading of data sets: files are found in a folder or downloaded, and verified."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from mnistdiff.engine.cache import cache_folder
from mnistdiff.engine.data import idx
from mnistdiff.engine.data.datasets import DatasetSpec, LabelledImages, Split, UnavailableError
from mnistdiff.engine.data.fetch import fetch, unavailable
from mnistdiff.engine.data.holdout import hold_out
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
        return _checked(LabelledImages(pictures.images, of_model[pictures.labels]), spec)
    if spec.load is not None:
        return _checked(spec.load(split), spec)
    folder = data_folder(spec, data_dir)
    # Before any download: a corrupt file is an error anyway.
    contents = {file.name: idx.read_any(folder, file) for file in spec.files[split]}
    if None in contents.values():
        if not may_download:
            raise unavailable(spec, folder, "not found (download disabled)")
        finish(fetch(spec, folder, was_named=data_dir is not None))
        contents = {file.name: idx.read_any(folder, file) for file in spec.files[split]}
    images, labels = (idx.parse(contents[file.name] or b"", file) for file in spec.files[split])
    data = _checked(_as_trained(images, labels, spec), spec)
    if split == "train" and not spec.files[split][1].digest[1]:
        _check_counts(data, spec)
    return data


def data_folder(spec: DatasetSpec, data_dir: Path | None) -> Path:
    """The folder with the files of a data set, or the one to store them in.

    Args:
        spec: the data set.
        data_dir: the folder itself, or one above it in torchvision's layout, such as ``MNIST/raw``; None is ``data`` in
            the user's cache folder, or in the current folder if there is none.
    """
    if data_dir is None:
        data_dir = (cache_folder() or Path()) / "data"
    named = data_dir / (spec.torchvision_name or spec.name)
    folders = (named / "raw", data_dir / "raw", data_dir, named)
    with_files = (folder for folder in folders if any(idx.find(folder, file.name) for file in spec.idx_files))
    return next(with_files, folders[0])


def _as_trained(images: NDArray[np.integer], labels: NDArray[np.integer], spec: DatasetSpec) -> LabelledImages:
    """What the files of a data set hold, with the rows of images as rows, and labels from 0 on."""
    if spec.is_transposed:
        images = images.transpose(0, 2, 1)
    classes = (labels if labels.ndim == 1 else labels[:, 0]).astype(np.int64) - spec.first_label
    _check_labels(classes, spec)
    return LabelledImages(np.ascontiguousarray(images, np.uint8), classes.astype(np.uint8))


def _check_counts(data: LabelledImages, spec: DatasetSpec) -> None:
    """Check what is known of labels that no digest verifies."""
    found = np.bincount(data.labels, minlength=spec.num_classes).tolist()
    for label, (count, expected) in enumerate(zip(found, spec.class_counts, strict=True)):
        if count != expected:
            name = spec.class_names[label]
            raise DataError(
                f"the labels of {spec.title} are damaged: {count:,} are {name}, and not {expected:,}",
                f"Delete {spec.files['train'][1].name}, or move it away, and run again.",
            )


def _check_labels(labels: NDArray[np.integer], spec: DatasetSpec) -> None:
    if labels.min() < 0 or labels.max() >= spec.num_classes:
        raise DataError(f"a label of {spec.name} is not in 0 ... {spec.num_classes - 1}")


def _checked(data: LabelledImages, spec: DatasetSpec) -> LabelledImages:
    """The images, verified against the spec."""
    size, (images, labels) = spec.image_size, (data.images, data.labels)
    if images.dtype != np.uint8 or images.shape != (len(labels), size, size) or not len(labels):
        raise DataError(f"the images of {spec.name} are {images.dtype} {images.shape}, not uint8 (N, {size}, {size})")
    _check_labels(labels, spec)
    return data
