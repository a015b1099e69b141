"""Sets of pictures that are no registered data set: how they are read, and the record that a checkpoint keeps."""

import os
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from mnistdiff.setting_types import DATASETS, PICTURES, FrozenModel, ImageSize, Sha256

if TYPE_CHECKING:
    from mnistdiff.engine.data.datasets import DatasetSpec

Fit = Literal["pad", "crop", "mnist"]
Invert = Literal["auto", "yes", "no"]
MAX_CLASSES = 255
"""Labels and the null label are stored in a byte."""
MAX_CLASS_NAME = 255
"""Characters."""
MNIST_SIZE: ImageSize = 28
_MNIST_INK = 20
_SUFFIXES = (".csv", ".npz", ".gz")


class PictureSettings(FrozenModel):
    """How pictures become training images. They have an effect only where ``dataset`` is a path."""

    fit: Fit = Field(
        "pad",
        description="Make pictures square: pad them, crop them, or prepare a digit as MNIST's (pictures only).",
    )
    invert: Invert = Field(
        "auto", description="Invert pictures, which should be bright on black; auto looks at their borders."
    )
    image_size: ImageSize = Field(MNIST_SIZE, description="Height and width in pixels to which pictures are resized.")
    skip_bad: bool = Field(False, description="Leave out pictures that cannot be read.")

    @field_validator("fit", "invert", "image_size", mode="before")
    @classmethod
    def _true_is_not_one(cls, value: Any) -> Any:
        return FrozenModel._true_is_not_one(value)

    @model_validator(mode="after")
    def _a_digit_is_found_in_either(self) -> Self:
        if self.fit == "mnist" and self.invert != "auto":
            raise ValueError(f"`invert` {self.invert} has no effect beside `fit` mnist, which finds dark and light ink")
        return self

    @classmethod
    def of(cls, pictures: "Pictures") -> Self:
        """The settings that make the same pictures into the images of this record, those that can be read."""
        invert = "auto" if pictures.fit == "mnist" else "yes" if pictures.inverted else "no"
        return cls(fit=pictures.fit, invert=invert, image_size=pictures.image_size, skip_bad=True)


class Pictures(FrozenModel):
    """The record of a set of pictures.

    Attributes:
        title: name of its folder or file.
        class_names: of the labels 0, 1, 2, ..., in this order.
        class_counts: pictures of each class.
        image_size: height and width in pixels.
        digest: SHA-256 of the prepared images and labels, as ``engine.data.pictures.cache.digest_of`` computes it.
        fit: how they were made square.
        inverted: whether they were dark on light.
        border: median grey level along the borders of the images.

    Raises:
        pydantic.ValidationError: for a value out of range, names that are not unique, or not a count for each.
    """

    title: str = Field(min_length=1, max_length=255)
    class_names: tuple[Annotated[str, Field(min_length=1, max_length=MAX_CLASS_NAME)], ...] = Field(
        min_length=1, max_length=MAX_CLASSES
    )
    class_counts: tuple[Annotated[int, Field(ge=1, le=10**9)], ...]
    image_size: ImageSize
    digest: Sha256
    fit: Fit
    inverted: bool
    border: int = Field(ge=0, le=255)

    @field_validator("image_size", "border", mode="before")
    @classmethod
    def _true_is_not_one(cls, value: Any) -> Any:
        return FrozenModel._true_is_not_one(value)

    @model_validator(mode="after")
    def _a_count_for_each_class(self) -> Self:
        if len(set(self.class_names)) != len(self.class_names):
            raise ValueError("class_names holds a name twice")
        if len(self.class_counts) != len(self.class_names):
            raise ValueError(f"{len(self.class_names)} class_names have {len(self.class_counts)} class_counts")
        return self

    def __str__(self) -> str:
        """The record in a few words."""
        classes = f"{len(self.class_names)} classes" if len(self.class_names) > 1 else "1 class"
        return f"{sum(self.class_counts):,} pictures of {self.title} in {classes}, SHA-256 {self.digest[:12]}"

    def spec(self, classes: tuple[str, ...] | None = None) -> "DatasetSpec":
        """The data set: size of the images, classes.

        Args:
            classes: names of the classes of a model, among them those of the pictures; by default these alone.
        """
        return _spec_of(self, classes or self.class_names)


@lru_cache(maxsize=8)
def _spec_of(pictures: Pictures, classes: tuple[str, ...]) -> "DatasetSpec":
    from mnistdiff.engine.data.datasets import DatasetSpec

    counts = dict(zip(pictures.class_names, pictures.class_counts, strict=True))
    return DatasetSpec(
        name=PICTURES,
        title=pictures.title,
        class_names=classes,
        class_counts=tuple(counts.get(name, 0) for name in classes),
        image_size=pictures.image_size,
        fit=pictures.fit,
        ink_size=ink_size_of(pictures.image_size),
        pictures=pictures,
    )


def ink_size_of(image_size: int) -> int:
    """The side of a digit in pixels, in the proportions of MNIST: 20 of 28."""
    return round(_MNIST_INK * image_size / MNIST_SIZE)


def path_of_pictures(dataset: object) -> str | None:
    """The path of pictures that is given in place of the name of a data set; None if it is no path.

    Paths contain a separator, end in ``.csv``, ``.npz`` or ``.gz``, or are a folder that exists and no name.
    """
    if isinstance(dataset, os.PathLike):
        path = os.fspath(dataset)
        return path if isinstance(path, str) else None
    if not isinstance(dataset, str) or dataset in DATASETS.names or dataset == PICTURES:
        return None
    separators = [os.sep, *filter(None, [os.altsep])]
    is_path = dataset.lower().endswith(_SUFFIXES) or any(each in dataset for each in separators)
    return dataset if is_path or ("\0" not in dataset and os.path.isdir(dataset)) else None


def require_dataset(text: str) -> str:
    """Validate the name of a data set or a path of pictures, as a Pydantic validator does.

    Raises:
        ValueError: naming all names.
    """
    if path_of_pictures(text) is not None:
        return text
    try:
        return DATASETS.require(text)
    except ValueError as error:
        raise ValueError(f"{error}, or the path of a folder of pictures, a .csv or a .npz file") from None
