"""Sheets of more than one drawing: digits laid out, ways of drawing compared, one becoming another."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnistdiff.engine.data.image_files import Picture
from mnistdiff.engine.inference.sampling import Sample
from mnistdiff.engine.outputs.animation import Kind, there_and_back
from mnistdiff.engine.outputs.grid import labelled_grid, require_room
from mnistdiff.engine.outputs.png import encode_png
from mnistdiff.settings import IMAGE_SIZE

_MORPH_SCALE = 4
_STRIP_COLUMNS = 12

Comparison = tuple[str, Sequence[Any]]
"""A setting, and its values."""


def sheet(drawings: Sequence[Sample], *, columns: int = 0, scale: int = 2) -> NDArray[np.uint8]:
    """Many images, in the order in which they were drawn: a labelled row for each digit, or rows of ``columns``.

    ``scale`` is how much each is enlarged.
    """
    if columns:
        strips = [drawings[start : start + columns] for start in range(0, len(drawings), columns)]
        return labelled_grid([("", [drawing.pixels for drawing in strip]) for strip in strips], scale=scale)
    rows: dict[int, list[NDArray[np.uint8]]] = {}
    for drawing in drawings:
        rows.setdefault(drawing.label, []).append(drawing.pixels)
    return labelled_grid([(str(digit), images) for digit, images in rows.items()], scale=scale)


def of_pictures(given: Sequence[Picture], *, columns: int) -> bytes:
    """A sheet of pictures: a row for each digit that the names tell, as those of ``sample`` do; others fill up rows.

    Raises:
        StorageError: if one is no picture that can be read.
        SettingsError: if the sheet would be too large.
    """
    rows: dict[tuple[str, int], list[Picture]] = {}
    for position, one in enumerate(given):
        match = re.match(r"digit_([0-9])_", Path(one.name).name)
        key = (match[1], 0) if match else ("", position // columns)
        rows.setdefault(key, []).append(one)
    labelled = [(label, pictures) for (label, _), pictures in sorted(rows.items())]
    # Sizes first: the pixels of a few kilobytes may be more than memory holds.
    require_room([(label, [one.shape_on_sheet() for one in pictures]) for label, pictures in labelled])
    return encode_png(labelled_grid([(label, [one.on_sheet() for one in pictures]) for label, pictures in labelled]))


def morph(images: Sequence[NDArray[np.uint8]], kind: Kind, text: Mapping[str, str]) -> bytes:
    """A film of images, there and back; ``text`` is as for ``animation``."""
    frames = [labelled_grid([("", [image])], scale=_MORPH_SCALE) for image in images]
    return there_and_back(frames, kind, text)


def strip(images: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Images side by side, in rows of twelve."""
    rows = [("", list(images[start : start + _STRIP_COLUMNS])) for start in range(0, len(images), _STRIP_COLUMNS)]
    return labelled_grid(rows)


def variants(sweeps: Sequence[Comparison]) -> Iterator[dict[str, Any]]:
    """The ways to draw that are compared: every value of the first setting with every value of the second."""
    (name, values), *further = sweeps
    for value in values:
        for rest in variants(further) if further else ({},):
            yield {name: value, **rest}


def compared(sweeps: Sequence[Comparison], drawn: Sequence[Sequence[NDArray[np.uint8]]]) -> NDArray[np.uint8]:
    """A sheet that compares ways to draw: a row for each value of the first setting, a column for each of the second.

    Args:
        sweeps: the settings compared.
        drawn: the images of each of ``variants(sweeps)``, from the same noise.
    """
    (name, values), *further = sweeps
    if not further:
        rows = [(_told(name, value), images) for value, images in zip(values, drawn, strict=True)]
        return labelled_grid(rows)
    [(across, others)] = further
    strips = [np.hstack(images) for images in drawn]  # (28, 28 n)
    rows = [
        (_told(name, value), strips[number * len(others) : (number + 1) * len(others)])
        for number, value in enumerate(values)
    ]
    return labelled_grid(rows, columns=[_told(across, other) for other in others])


def require_room_to_compare(sweeps: Sequence[Comparison], number: int) -> None:
    """Raise SettingsError if the sheet of ``compared``, with ``number`` images for each way to draw, is too large."""
    (name, values), *further = sweeps
    columns = [_told(across, other) for across, others in further for other in others]
    images = [(IMAGE_SIZE, IMAGE_SIZE * number)] * len(columns) if columns else [(IMAGE_SIZE, IMAGE_SIZE)] * number
    require_room([(_told(name, value), images) for value in values], columns=columns)


def _told(name: str, value: Any) -> str:
    return f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}"
