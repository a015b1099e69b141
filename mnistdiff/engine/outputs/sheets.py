"""Sheets of several images: by label, from files, comparisons of settings, interpolations."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mnistdiff.engine.inference.sampling import Sample
from mnistdiff.engine.outputs.captions import caption
from mnistdiff.engine.outputs.grid import labelled_grid, require_room
from mnistdiff.engine.outputs.png import encode_png
from mnistdiff.errors import SettingsError
from mnistdiff.setting_types import AnimationKind

if TYPE_CHECKING:  # reads every format
    from mnistdiff.engine.data.image_files import Picture

MAX_SHEET_IMAGES = 10_000
_INTERPOLATION_SCALE = 4
_INTERPOLATION_COLUMNS = 12

Comparison = tuple[str, Sequence[Any]]
"""A sample setting, and its values."""


def require_image_count(count: int) -> None:
    """Raise SettingsError if ``count`` images are too many for one sheet, before they are sampled."""
    if count > MAX_SHEET_IMAGES:
        raise SettingsError(
            f"{count:,} images are too many for one sheet",
            f"Save them in a folder, or use at most {MAX_SHEET_IMAGES:,}.",
        )


def sheet(samples: Sequence[Sample], *, columns: int = 0, scale: int = 2) -> NDArray[np.uint8]:
    """A sheet of samples in order: a labelled row for each label, or rows of ``columns`` images.

    ``scale`` is the enlargement of each image. Returns grey levels, uint8 (H, W).
    """
    if columns:
        strips = [samples[start : start + columns] for start in range(0, len(samples), columns)]
        return labelled_grid([("", [each.pixels for each in strip]) for strip in strips], scale=scale)
    rows: dict[int, tuple[str, list[NDArray[np.uint8]]]] = {}
    for each in samples:
        name = each.class_name or str(each.label)
        rows.setdefault(each.label, (caption(name, each.label), []))[1].append(each.pixels)
    return labelled_grid(list(rows.values()), scale=scale)


def sheet_of_files(files: "Sequence[Picture]", *, columns: int) -> bytes:
    """A PNG file with a sheet of image files.

    Files named as ``sample`` names them have a row for each label; the others fill rows of ``columns``.

    Raises:
        StorageError: if one is no image that can be read.
        SettingsError: if the sheet would be too large.
    """
    rows: dict[tuple[str, int], list[Picture]] = {}
    for position, file in enumerate(files):
        name = Path(file.name).name
        digit, other = re.match(r"digit_([0-9]{1,3})_", name), re.match(r"class_(.+)_[0-9]+\.", name)
        key = (other[1], 0) if other else ("", int(digit[1])) if digit else ("", -1 - position // columns)
        rows.setdefault(key, []).append(file)
    # Rows of no class first, then digits, then the names of classes.
    ordered = sorted(rows, key=lambda key: (key[0], key[1] >= 0, abs(key[1])))
    labelled = [(_label_of_files(name, number), rows[name, number]) for name, number in ordered]
    # Sizes first: the pixels of a few kilobytes may be more than memory holds.
    require_room([(label, [file.shape_on_sheet() for file in row]) for label, row in labelled])
    return encode_png(labelled_grid([(label, [file.on_sheet() for file in row]) for label, row in labelled]))


def _label_of_files(stem: str, number: int) -> str:
    """The label of a row of files by the stem of their class; else by their digit, if that is not negative."""
    return caption(stem.partition("~")[0], number) if stem else str(number) if number >= 0 else ""


def interpolation_animation(
    images: Sequence[NDArray[np.uint8]], kind: AnimationKind, metadata: Mapping[str, str]
) -> bytes:
    """An animation of images, forwards and backwards; ``metadata`` as for ``animation``."""
    from mnistdiff.engine.outputs.animation import forwards_and_backwards

    frames = [labelled_grid([("", [image])], scale=_INTERPOLATION_SCALE) for image in images]
    return forwards_and_backwards(frames, kind, metadata)


def interpolation_image(images: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Images side by side, in rows of twelve; uint8 (H, W)."""
    starts = range(0, len(images), _INTERPOLATION_COLUMNS)
    return labelled_grid([("", list(images[start : start + _INTERPOLATION_COLUMNS])) for start in starts])


def variants(sweeps: Sequence[Comparison]) -> Iterator[dict[str, object]]:
    """The combinations that are compared: every value of the first setting with every value of the second."""
    (name, values), *further = sweeps
    for value in values:
        for rest in variants(further) if further else ({},):
            yield {name: value, **rest}


def comparison_sheet(sweeps: Sequence[Comparison], images: Sequence[Sequence[NDArray[np.uint8]]]) -> NDArray[np.uint8]:
    """A sheet that compares settings: a row for each value of the first, a column for each value of the second.

    Args:
        sweeps: one setting or two.
        images: of each of ``variants(sweeps)``, from the same noise.

    Returns:
        grey levels, uint8 (H, W).
    """
    (name, values), *further = sweeps
    if not further:
        return labelled_grid([(_heading(name, value), row) for value, row in zip(values, images, strict=True)])
    [(other_name, others)] = further
    strips = [np.hstack(row) for row in images]  # (H, W n)
    rows = [
        (_heading(name, value), strips[number * len(others) : (number + 1) * len(others)])
        for number, value in enumerate(values)
    ]
    return labelled_grid(rows, columns=[_heading(other_name, other) for other in others])


def require_room_for_comparison(sweeps: Sequence[Comparison], count: int, size: int) -> None:
    """Raise SettingsError if the ``comparison_sheet`` of ``count`` images of this size a variant would be too large."""
    (name, values), *further = sweeps
    columns = [_heading(other_name, other) for other_name, others in further for other in others]
    images = [(size, size * count)] * len(columns) if columns else [(size, size)] * count
    require_room([(_heading(name, value), images) for value in values], columns=columns)


def _heading(name: str, value: Any) -> str:
    return f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}"
