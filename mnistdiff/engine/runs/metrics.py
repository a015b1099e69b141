"""The metrics file of a run: one JSON object a line."""

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal, NotRequired, TypedDict, TypeGuard

from mnistdiff.engine.storage import new_file
from mnistdiff.errors import StorageError

_MAX_LINE_BYTES = 4096
_TAIL_BYTES = 2**14
"""Read first for the last records, of some 150 bytes each."""
_MAX_BYTES = 2**30
_BEGINNING = b'{"kind": "'
_MOST_RECORDS = 20_000
"""A curve shows no more; of a longer run every second record is read, or every fourth, and so on."""
_MAX_STEP = 10**12
_NUMBERS = ("lr", "images_per_second", "held_out_loss")
"""Optional fields of a record."""


class Record(TypedDict):
    """A line: the mean loss of the last steps (``step``) or of an epoch (``epoch``), after ``step`` optimizer steps."""

    kind: Literal["step", "epoch"]
    step: int
    epoch: NotRequired[int]
    images_seen: NotRequired[int]
    loss: float
    lr: NotRequired[float]
    images_per_second: NotRequired[float]
    held_out_loss: NotRequired[float]


def append(path: Path, record: Record) -> None:
    """Append a record.

    Raises:
        OSError: if the file system refuses.
    """
    try:
        with path.open("a", encoding="utf-8", newline="\n") as file:
            file.write(json.dumps(record) + "\n")
    except OSError as error:
        error.filename = str(path)  # errors of write() name no file
        raise


def read(path: Path, *, tail: int | None = None) -> list[Record]:
    """Read the records; a line that was cut off by a crash, or is not a record, is left out.

    Of a very long run, every n-th record of steps and of epochs is kept.

    Args:
        path: of the file; no records if it does not exist.
        tail: read only so many bytes at its end.

    Raises:
        StorageError: if it is not a regular file, or larger than any training writes.
    """
    kept: dict[str, list[tuple[int, Record]]] = {"step": [], "epoch": []}
    counts, strides = dict.fromkeys(kept, 0), dict.fromkeys(kept, 1)
    for place, (_, record) in enumerate(_records(path, tail=tail)):
        kind = record["kind"]
        if counts[kind] % strides[kind] == 0:
            kept[kind].append((place, record))
            if len(kept[kind]) > _MOST_RECORDS:
                kept[kind], strides[kind] = kept[kind][::2], strides[kind] * 2
        counts[kind] += 1
    return [record for _, record in sorted((pair for pairs in kept.values() for pair in pairs), key=lambda p: p[0])]


def read_after(path: Path, step: int) -> list[Record]:
    """Read the records of later steps than ``step``, from the end of the file.

    Raises:
        StorageError: as ``read``.
    """
    tail = _TAIL_BYTES
    while step >= 0 and path.is_file() and tail < path.stat().st_size:
        records = read(path, tail=tail)
        if records and records[0]["step"] <= step:
            break
        tail *= 8
    else:
        records = read(path)
    return [record for record in records if record["step"] > step]


def held_out_losses(records: Iterable[Record]) -> list[tuple[int, float]]:
    """Step and loss of the records in which the loss of held-out images was measured."""
    return [(record["step"], record["held_out_loss"]) for record in records if "held_out_loss" in record]


def rewind(path: Path, step: int, *, log_every: int) -> None:
    """Remove the records after ``step``, which a resumed run writes again.

    The extra record at the end of a shorter run, which an unbroken run would not have, is removed, too.

    Raises:
        StorageError: as ``read``.
        OSError: if the file system refuses.
    """
    with new_file(path, durable=True) as file:
        for line, record in _records(path):
            if record["step"] <= step and (record["kind"] == "epoch" or record["step"] % log_every == 0):
                file.write(line.rstrip() + b"\n")


def _records(path: Path, *, tail: int | None = None) -> Iterator[tuple[bytes, Record]]:
    """The lines that are records, with the records; with ``tail``, of so many bytes at the end."""
    if not path.exists():
        return
    if not path.is_file():
        raise StorageError(f"{path} is not a regular file", "Move it out of the run folder.")
    if path.stat().st_size > _MAX_BYTES:
        raise StorageError(
            f"{path} has {path.stat().st_size / 2**20:,.0f} MiB, and at most {_MAX_BYTES // 2**20:,} MiB are read",
            "Move it out of the run folder: the run does not need it.",
        )
    with path.open("rb") as file:
        if tail is not None and tail < path.stat().st_size:
            file.seek(-tail, os.SEEK_END)
        while line := file.readline(_MAX_LINE_BYTES):
            if not line.startswith(_BEGINNING):
                continue
            try:
                record = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if _is_record(record):
                yield line, record


def _is_record(record: Any) -> TypeGuard[Record]:
    if not isinstance(record, dict) or not {"kind", "step", "loss"} <= record.keys():
        return False
    step, loss = record["step"], record["loss"]
    is_step = isinstance(step, int) and not isinstance(step, bool) and 0 <= step <= _MAX_STEP
    others = (record.get(name, 0.0) for name in _NUMBERS)
    return record["kind"] in ("step", "epoch") and is_step and _is_number(loss) and all(map(_is_number, others))


def _is_number(value: Any) -> bool:
    """Whether a value is a number that Matplotlib can plot: not NaN, and not too large."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e30
