"""Images of the data sets that are stored as IDX files: found, verified, read."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mnistdiff.engine.cache import cache_folder
from mnistdiff.engine.data import idx
from mnistdiff.engine.data.datasets import DatasetSpec, LabelledImages, Split
from mnistdiff.errors import DataError


@dataclass(frozen=True)
class VerifiedImages(LabelledImages):
    """Images that were read from files.

    Attributes:
        verified_by: what verified the file of images and that of labels: ``SHA-256``, ``MD5``, or ``size`` and header.
    """

    verified_by: tuple[str, ...] = ()


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


def read_split(spec: DatasetSpec, split: Split, folder: Path) -> VerifiedImages | None:
    """The images of a split, from the files in a folder; None if one is missing.

    Raises:
        DataError: if a file is corrupt, or the images do not match the spec.
        OSError: if the file system refuses.
    """
    files = spec.files[split]
    found = [idx.read_any(folder, file) for file in files]
    contents = [each for each in found if each is not None]
    if len(contents) < len(files):
        return None
    images, labels = (idx.parse(each.content, file) for each, file in zip(contents, files, strict=True))
    data = checked(_as_trained(images, labels, spec), spec)
    by = tuple(each.by for each in contents)
    if split == "train" and by[1] == idx.BY_SIZE:
        _check_counts(data, spec)
    return VerifiedImages(data.images, data.labels, by)


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


def checked(data: LabelledImages, spec: DatasetSpec) -> LabelledImages:
    """The images, if they match the spec.

    Raises:
        DataError: for another size or type, no images, or a label that is no class.
    """
    size, (images, labels) = spec.image_size, (data.images, data.labels)
    if images.dtype != np.uint8 or images.shape != (len(labels), size, size) or not len(labels):
        raise DataError(f"the images of {spec.name} are {images.dtype} {images.shape}, not uint8 (N, {size}, {size})")
    _check_labels(labels, spec)
    return data
