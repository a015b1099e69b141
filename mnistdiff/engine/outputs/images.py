"""Sampled images and interpolations: NumPy-like arrays with labels, seeds and provenance, and methods to save them."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import overload

import numpy as np
from numpy.typing import DTypeLike, NDArray

from mnistdiff.engine.inference.sampling import Sample, SampleSpec
from mnistdiff.engine.outputs.animation import kind_of
from mnistdiff.engine.outputs.command import interpolate_command, sample_command
from mnistdiff.engine.outputs.encode import encode_interpolation, encode_samples, file_name
from mnistdiff.engine.outputs.png import encode_png
from mnistdiff.engine.outputs.provenance import Origin, make_provenance
from mnistdiff.engine.outputs.sheets import MAX_SHEET_IMAGES, interpolation_image, require_image_count, sheet
from mnistdiff.engine.runs.claim import require_inside_the_run
from mnistdiff.engine.storage import make_folder, write_atomically
from mnistdiff.errors import SettingsError
from mnistdiff.setting_types import AnimationKind, user_path


class _Pixels:
    """A sequence of images that NumPy reads as an array of grey levels, uint8 (N, H, W)."""

    def __init__(self, images: Sequence[NDArray[np.uint8]], size: int) -> None:
        self.array = np.array(images, np.uint8).reshape(-1, size, size)

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, H, W)."""
        return self.array.shape

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[np.uint8]:
        return np.array(self.array, dtype=dtype, copy=copy)

    def __len__(self) -> int:
        return len(self.array)

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        return iter(self.array)


class Images(_Pixels):
    """Sampled images.

    ``images[k]`` is image k, uint8 (H, W); ``images[2:5]`` and ``images[images.labels == 7]`` are ``Images`` again.
    ``numpy.asarray(images)`` and ``images.array`` are all of them, uint8 (N, H, W): white ink (255) on black (0).

    Attributes:
        array: grey levels, uint8 (N, H, W).
        labels: int64 (N,).
        classes: name of the class of each image.
        seeds: int64 (N,); label and seed determine an image.
        origin: the model and the settings.
        notices: warnings about the image that was edited; usually none.
    """

    def __init__(
        self, samples: Sequence[Sample], origin: Origin, *, columns: int = 0, notices: tuple[str, ...] = ()
    ) -> None:
        self._dataset = origin.model.settings.spec
        super().__init__([each.pixels for each in samples], self._dataset.image_size)
        self.labels = np.array([each.label for each in samples], np.int64)
        self.seeds = np.array([each.seed for each in samples], np.int64)
        self.classes = tuple(self._dataset.class_names[each.label] for each in samples)
        self.origin = origin
        self.notices = notices
        self._samples = samples
        self._columns = columns

    @overload
    def __getitem__(self, index: int) -> NDArray[np.uint8]: ...
    @overload
    def __getitem__(self, index: slice | Sequence[int] | NDArray[np.bool_] | NDArray[np.integer]) -> "Images": ...
    def __getitem__(
        self, index: int | slice | Sequence[int] | NDArray[np.bool_] | NDArray[np.integer]
    ) -> "NDArray[np.uint8] | Images":
        places = np.arange(len(self))[index]
        if np.ndim(places) == 0:
            image: NDArray[np.uint8] = self.array[places]
            return image
        return Images([self._samples[place] for place in places], self.origin, notices=self.notices)

    def __repr__(self) -> str:
        model = self.origin.model.info.checkpoint
        return f"Images(shape={self.shape}, labels={np.unique(self.labels).tolist()}, model={model!r})"

    @property
    def provenance(self) -> dict[str, object]:
        """How the file of ``png`` is made, as its metadata say it: digest of the model, labels, seeds, settings.

        Raises:
            SettingsError: for no image.
        """
        self._require_some()
        return make_provenance(self.origin, self._samples, columns=self._columns).to_dict()

    @property
    def command(self) -> str:
        """The line for a shell that makes the file of ``png``: ``mnistdiff sample ...``.

        Images that start from another, and those that no single command samples, have ``mnistdiff reproduce FILE``.

        Raises:
            SettingsError: for no image.
        """
        self._require_some()
        first = self._samples[0]
        file = file_name(self._dataset, first.label, first.seed) if len(self) == 1 else "images.png"
        return sample_command(self.origin, self._samples, columns=self._columns, file=file)

    def png(self) -> bytes:
        """The content of a PNG file: one image as it is, several as a sheet with a labelled row for each label.

        Its metadata say how to sample it again: ``mnistdiff reproduce`` reads them.

        Raises:
            SettingsError: for more images than fit on a sheet.
        """
        require_image_count(len(self))
        return encode_samples(self._samples, self.origin, columns=self._columns)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the images to a file or a folder. Existing files are replaced.

        Args:
            path: a name that ends in ``.png``, for one image or a sheet of several; in ``.npz``, for the arrays
                ``images``, ``labels`` and ``seeds``; or a folder, for ``digit_LABEL_SEED.png`` for each image, or
                ``class_NAME_SEED.png`` where the classes are not the digits.

        Returns:
            the path.

        Raises:
            SettingsError: for another ending, no image, or more images than fit on a sheet.
            OSError: if the file system refuses.
        """
        self._require_some()
        ends_as_folder = os.fspath(path).endswith(("/", os.sep))
        path = user_path("path", path)
        is_folder = ends_as_folder or path.is_dir() or not path.suffix
        if is_folder:
            for one in self._samples:
                _write(path / file_name(self._dataset, one.label, one.seed), encode_samples([one], self.origin))
        elif path.suffix.lower() == ".png":
            _write(path, self.png())
        elif path.suffix.lower() == ".npz":
            _make_folder_of(path)
            from mnistdiff.engine.outputs.dataset_writers import npz_file  # csv and zipfile take time to import

            with npz_file(path, len(self), self._dataset) as add:
                add(self._samples)
        else:
            raise SettingsError(
                f"`path` {path}: images are saved as .png or .npz", "Use a name that ends so, or a folder."
            )
        return path

    def _require_some(self) -> None:
        if not len(self):
            raise SettingsError("there is no image", "Select at least one.")

    def _repr_png_(self) -> bytes | None:
        """The sheet, as notebooks show it; a single row where each image has a label of its own."""
        if not len(self):
            return None
        columns = self._columns or (len(self) if len(set(self.labels.tolist())) == len(self) else 0)
        return encode_png(sheet(self._samples[:MAX_SHEET_IMAGES], columns=columns))


class Interpolation(_Pixels):
    """The images between two samples.

    Attributes:
        array: grey levels, uint8 (N, H, W), from the first image to the last.
        ends: label and seed of the first and of the last image.
        origin: the model and the settings.
    """

    def __init__(self, images: NDArray[np.uint8], ends: tuple[SampleSpec, SampleSpec], origin: Origin) -> None:
        super().__init__(list(images), origin.model.settings.spec.image_size)
        self.ends = ends
        self.origin = origin

    def __getitem__(self, index: int | slice) -> NDArray[np.uint8]:
        images: NDArray[np.uint8] = self.array[index]
        return images

    def __repr__(self) -> str:
        return f"Interpolation(shape={self.shape}, ends={self.ends})"

    @property
    def command(self) -> str:
        """The line for a shell that writes the animation: ``mnistdiff interpolate ...``."""
        return interpolate_command(self.origin, self.ends, len(self), file="morph.gif")

    def save(self, path: str | os.PathLike[str], *, strip: bool = False) -> Path:
        """Write an animation that runs forwards and backwards, or a strip. An existing file is replaced.

        Args:
            path: a name that ends in ``.gif`` or ``.png`` (animated).
            strip: write the images side by side instead, as ``.png``.

        Returns:
            the path.

        Raises:
            SettingsError: for another ending.
            OSError: if the file system refuses.
        """
        path = user_path("path", path)
        kinds = (".png",) if strip else (".gif", ".png")
        if path.suffix.lower() not in kinds:
            raise SettingsError(f"`path` {path}: it is written as {' or '.join(kinds)}", "Use a name that ends so.")
        _write(path, self.encode(None if strip else kind_of(path)))
        return path

    def encode(self, kind: AnimationKind | None) -> bytes:
        """The content of a file, with provenance: an animation of this kind, or with None a strip (PNG)."""
        source = make_provenance(self.origin, self.ends, frames=len(self), animated=kind)
        return encode_interpolation(list(self.array), source)

    def _repr_png_(self) -> bytes:
        """The strip, as notebooks show it."""
        return encode_png(interpolation_image(list(self.array)))


def _write(path: Path, content: bytes) -> None:
    _make_folder_of(path)
    write_atomically(path, content, durable=False)


def _make_folder_of(path: Path) -> None:
    require_inside_the_run(path)
    make_folder(path.parent)
