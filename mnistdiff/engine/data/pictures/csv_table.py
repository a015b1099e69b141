"""Read a CSV file of images as ``sample --format csv`` writes it: label, grey levels, seed, class."""

import csv
import gzip
import io
import itertools
import math
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mnistdiff.engine.data.pictures.bounds import require_room
from mnistdiff.engine.progress import Progress, Work
from mnistdiff.engine.storage import open_without_waiting

_LONGEST_LINE = 2**23
_LONGEST_SIDE = 1024
"""Larger images are not those of a table: their rows would be longer than ``_LONGEST_LINE``."""
_ROWS = 256
"""Between two events of progress."""


class Columns(NamedTuple):
    """What a file holds.

    Attributes:
        images: grey levels, uint8 (N, H, W).
        labels: whole numbers, (N,).
        class_names: of some labels.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.integer]
    class_names: Mapping[int, str]


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """A file, unpacked as it is read if its name ends in ``.gz``."""
    with open_without_waiting(path) as file:
        if path.suffix.lower() != ".gz":
            yield file
            return
        with io.BufferedReader(gzip.GzipFile(fileobj=file)) as content:
            yield content


def read_csv(path: Path) -> Work[None, Columns]:
    """Read a CSV file, packed by gzip or not.

    Yields:
        the progress of reading.

    Raises:
        ValueError: naming the line that is no row of such a table.
        DataError: if it holds too much.
        OSError, EOFError, zlib.error: if it cannot be read.
    """
    total, done, number = path.stat().st_size, 0, 2
    with opened(path) as file:
        header = _cells(file.readline(_LONGEST_LINE).lower().removeprefix(b"\xef\xbb\xbf"))
        pixels = sum(name.startswith("pixel") for name in header)
        side = math.isqrt(pixels)
        if header[:1] != ["label"] or not 1 <= side <= _LONGEST_SIDE or side**2 != pixels:
            raise ValueError("its first line is not label, pixel0, pixel1, ... of square images")
        rest = header[1 + pixels :]
        images, labels, names = bytearray(), [np.zeros(0, np.int64)], dict[int, str]()
        while lines := [*itertools.islice(iter(partial(file.readline, _LONGEST_LINE), b""), _ROWS)]:
            rows, others = _rows(lines, 1 + pixels, first=number)
            for label, cells in zip(rows[:, 0].tolist(), others, strict=True):
                if len(cells) != len(rest):
                    raise ValueError(
                        f"a line after line {number - 1} has {1 + pixels + len(cells)} values, not the "
                        f"{len(header)} of the first"
                    )
                name = dict(zip(rest, cells, strict=True)).get("class", "")
                if names.setdefault(label, name) != name:
                    raise ValueError(f"label {label} has two classes, {names[label]} and {name}")
            number += len(lines)
            labels.append(rows[:, 0])
            images += rows[:, 1:].astype(np.uint8).tobytes()
            require_room(path, len(images))
            done += sum(map(len, lines))
            yield Progress("reading", min(done, total), total)
    array = np.frombuffer(images, np.uint8).reshape(-1, side, side)
    return Columns(array, np.concatenate(labels), {label: name for label, name in names.items() if name})


def _cells(line: bytes) -> list[str]:
    """The cells of a line, of which some may be quoted."""
    try:
        return next(csv.reader([line.decode().rstrip("\r\n")]), [])
    except csv.Error as error:
        raise ValueError(str(error)) from error


def _rows(lines: list[bytes], used: int, *, first: int) -> tuple[NDArray[np.int64], list[list[str]]]:
    """The label and the grey levels of some lines, shape (N, used), and the other cells; empty lines are passed over.

    Raises:
        ValueError: naming the line.
    """
    parts = [line.split(b",", used) for line in lines if line.strip()]
    with warnings.catch_warnings(action="error", category=DeprecationWarning):
        try:
            rows = np.fromstring(b",".join(b",".join(part[:used]) for part in parts), np.int64, sep=",")
            rows = rows.reshape(len(parts), used)
        except (DeprecationWarning, ValueError):
            last = first + len(lines) - 1
            raise ValueError(f"lines {first} to {last} are not {used} whole numbers each, and what follows") from None
    outside = np.flatnonzero((rows < 0).any(axis=1) | (rows[:, 1:] > 255).any(axis=1))
    if outside.size:
        raise ValueError(f"a value in line {first + int(outside[0])} is not from 0 to 255")
    return rows, [_cells(part[used]) if len(part) > used else [] for part in parts]
