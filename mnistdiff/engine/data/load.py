"""Loading of data sets: files are found in a folder or downloaded, and verified."""

import os
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

import numpy as np

from mnistdiff.engine.cache import cache_folder
from mnistdiff.engine.data import idx
from mnistdiff.engine.data.datasets import DatasetSpec, LabelledImages, Split, UnavailableError
from mnistdiff.engine.data.download import download
from mnistdiff.engine.data.pictures.read import load_pictures
from mnistdiff.engine.storage import require_writable, write_atomically
from mnistdiff.errors import DataError, MissingLibraryError
from mnistdiff.setting_types import DATASETS
from mnistdiff.settings import TrainSettings


@dataclass(frozen=True)
class TrainingImages(LabelledImages):
    """Images to train on.

    Attributes:
        name: of their data set; after a fallback that of the fallback.
        notice: a sentence for the user after a fallback, else empty.
    """

    name: str = ""
    notice: str = ""


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
    return TrainingImages(data.images, data.labels, spec.name, notice)


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
        return _checked(load_pictures(spec.pictures, data_dir), spec)
    if spec.load is not None:
        return _checked(spec.load(split), spec)
    folder = data_folder(spec, data_dir)
    # Before any download: a corrupt file is an error anyway.
    contents = {file.name: idx.read_any(folder, file) for file in spec.files[split]}
    if None in contents.values():
        if not may_download:
            raise _unavailable(spec, folder, "not found (download disabled)")
        contents |= _download_missing(spec, folder, was_named=data_dir is not None)
    images, labels = (idx.parse(contents[file.name] or b"", file) for file in spec.files[split])
    return _checked(LabelledImages(images, labels), spec)


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


def _checked(data: LabelledImages, spec: DatasetSpec) -> LabelledImages:
    """The images, verified against the spec."""
    size, (images, labels) = spec.image_size, (data.images, data.labels)
    if images.dtype != np.uint8 or images.shape != (len(labels), size, size) or not len(labels):
        raise DataError(f"the images of {spec.name} are {images.dtype} {images.shape}, not uint8 (N, {size}, {size})")
    if labels.min() < 0 or labels.max() >= spec.num_classes:
        raise DataError(f"a label of {spec.name} is not in 0 ... {spec.num_classes - 1}")
    return data


def _download_missing(spec: DatasetSpec, folder: Path, *, was_named: bool) -> dict[str, bytes]:
    """Download the files of a data set that a folder lacks, store them in it and return their contents.

    A folder that cannot be written to is an OSError only if the user named it.
    """
    if os.environ.get("MNISTDIFF_OFFLINE", "0") not in ("", "0"):
        raise _unavailable(spec, folder, "MNISTDIFF_OFFLINE is set")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        require_writable(folder)
    except OSError as error:
        if was_named:
            raise
        reason = f"it cannot be stored in this folder ({error.strerror})"
        raise _unavailable(spec, folder, reason, "Or set `data_dir`. ") from error
    missing = [file for file in spec.idx_files if not idx.find(folder, file.name)]
    try:
        contents = {file.name: download(spec, file) for file in missing}
    except MissingLibraryError as error:
        raise _unavailable(spec, folder, error.message, f"{error.hint}. ") from error
    except DataError as error:
        raise _unavailable(spec, folder, error.message) from error
    except (OSError, HTTPException) as error:
        reason = getattr(error, "reason", None) or str(error) or type(error).__name__
        raise _unavailable(spec, folder, " ".join(str(reason).split())) from error
    for name, content in contents.items():
        write_atomically(folder / name, content)
    return contents


def _unavailable(spec: DatasetSpec, folder: Path, reason: str, remedy: str = "") -> UnavailableError:
    names = ", ".join(file.name for file in spec.idx_files)
    fallback = f", or {DATASETS[spec.fallback].install} and set `dataset` to {spec.fallback}" if spec.fallback else ""
    return UnavailableError(
        f"{spec.title} is not complete in {folder} and could not be downloaded: {reason}",
        f"{remedy}Offline? Put {names} (each as it is or with .gz) into {folder}{fallback}.",
        folder=folder,
        reason=reason,
    )
