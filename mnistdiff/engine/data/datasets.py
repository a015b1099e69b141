"""The data sets that a model can be trained on: their images, classes and files."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from mnistdiff.settings import DATASETS

Split = Literal["train", "test"]

MAX_CLASSES = 255
"""Labels, and the one above them that means "no label", are stored in a byte."""


@dataclass(frozen=True)
class IdxFile:
    """A file in the IDX format: a header, then one byte per entry of an array.

    Attributes:
        name: without ``.gz``.
        shape: of the array.
        sha256: of the uncompressed file.
    """

    name: str
    shape: tuple[int, ...]
    sha256: str

    @property
    def size(self) -> int:
        """Bytes, uncompressed."""
        return len(self.header) + math.prod(self.shape)

    @property
    def header(self) -> bytes:
        """Two zeros, the code of the element type, the number of dimensions, and each of them in four bytes."""
        return bytes([0, 0, 8, len(self.shape)]) + b"".join(size.to_bytes(4, "big") for size in self.shape)


@dataclass(frozen=True)
class DatasetSpec:
    """A data set of labelled grey-level images, bright on black.

    Attributes:
        name: that settings and checkpoints store.
        class_names: of the labels 0, 1, 2, ..., in this order.
        class_counts: training images of each class.
        image_size: height and width in pixels.
        files: images and labels of each split, as IDX files.
        reference: the data set with whose images and classifiers its models are evaluated; empty if it is its own.

    Raises:
        ValueError: for too many classes, or not as many counts as names.
    """

    name: str
    class_names: tuple[str, ...]
    class_counts: tuple[int, ...]
    image_size: int = 28
    files: Mapping[Split, tuple[IdxFile, IdxFile]] = field(default_factory=lambda: MappingProxyType({}))
    reference: str = ""

    def __post_init__(self) -> None:
        if not 1 <= len(self.class_names) == len(self.class_counts) <= MAX_CLASSES:
            raise ValueError(f"{self.name} needs 1 to {MAX_CLASSES} class names, and a count for each")

    @property
    def num_classes(self) -> int:
        """Labels are 0 ... num_classes - 1."""
        return len(self.class_names)

    @property
    def null_label(self) -> int:
        """The label that means "no label": what label dropout trains and classifier-free guidance subtracts."""
        return self.num_classes


MNIST = DatasetSpec(
    name="mnist",
    class_names=tuple("0123456789"),
    class_counts=(5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949),
    files=MappingProxyType(
        {
            "train": (
                IdxFile(
                    "train-images-idx3-ubyte",
                    (60_000, 28, 28),
                    "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
                ),
                IdxFile(
                    "train-labels-idx1-ubyte",
                    (60_000,),
                    "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
                ),
            ),
            "test": (
                IdxFile(
                    "t10k-images-idx3-ubyte",
                    (10_000, 28, 28),
                    "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
                ),
                IdxFile(
                    "t10k-labels-idx1-ubyte",
                    (10_000,),
                    "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
                ),
            ),
        }
    ),
)
MNIST_5K = DatasetSpec(
    name="mnist-5k",
    class_names=MNIST.class_names,
    class_counts=(500,) * 10,
    reference="mnist",
)
for _spec in (MNIST, MNIST_5K):
    DATASETS.add(_spec.name, _spec)
