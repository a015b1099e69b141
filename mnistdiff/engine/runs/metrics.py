"""The metrics of a run: one JSON object a line."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mnistdiff.engine.storage import new_file
from mnistdiff.errors import StorageError

_MAX_LINE_BYTES = 4096
_MAX_BYTES = 2**30
_BEGINNING = b'{"kind": "'
_MOST_RECORDS = 20_000
"""A curve shows no more; of a longer run every second record is read, every fourth, and so on."""
_MAX_STEP = 10**12
_NUMBERS = ("lr", "images_per_second")
"""Read back if they are there."""


def append(path: Path, record: dict[str, Any]) -> None:
    """Add a line.

    Raises:
        OSError: if the file system refuses.
    """
    try:
        with path.open("a", encoding="utf-8", newline="\n") as file:
            file.write(json.dumps(record) + "\n")
    except OSError as error:
        error.filename = str(path)  # a write does not name its file
        raise


def read(path: Path) -> list[dict[str, Any]]:
    """The records written so far; a line torn by a crash, or written by somebody else, is left out.

    Of a very long run they are thinned out evenly, those of steps and those of epochs for themselves.

    Raises:
        StorageError: if it is no regular file, or larger than any training writes.
    """
    kept: dict[str, list[tuple[int, dict[str, Any]]]] = {"step": [], "epoch": []}
    counts, strides = dict.fromkeys(kept, 0), dict.fromkeys(kept, 1)
    for place, (_, record) in enumerate(_records(path)):
        kind = record["kind"]
        if counts[kind] % strides[kind] == 0:
            kept[kind].append((place, record))
            if len(kept[kind]) > _MOST_RECORDS:
                kept[kind], strides[kind] = kept[kind][::2], strides[kind] * 2
        counts[kind] += 1
    return [record for _, record in sorted((pair for pairs in kept.values() for pair in pairs), key=lambda p: p[0])]


def rewind(path: Path, step: int, *, log_every: int) -> None:
    """Leave what a run without an end so far would have recorded up to ``step``.

    What came later is recorded again; the extra record at the end of a run that now goes on is no longer due.

    Raises:
        StorageError: as ``read``.
        OSError: if the file system refuses.
    """
    with new_file(path, durable=True) as file:
        for line, record in _records(path):
            if record["step"] <= step and (record["kind"] == "epoch" or record["step"] % log_every == 0):
                file.write(line.rstrip() + b"\n")


def _records(path: Path) -> Iterator[tuple[bytes, dict[str, Any]]]:
    """The lines that ``append`` could have written, and what they hold."""
    if not path.exists():
        return
    if not path.is_file():
        raise StorageError(f"{path} is no regular file", "Move it out of the run folder.")
    if path.stat().st_size > _MAX_BYTES:
        raise StorageError(
            f"{path} has {path.stat().st_size / 2**20:,.0f} MiB, and at most {_MAX_BYTES // 2**20:,} MiB are read",
            "Move it out of the run folder: the run can do without it.",
        )
    with path.open("rb") as file:
        while line := file.readline(_MAX_LINE_BYTES):
            if not line.startswith(_BEGINNING):
                continue
            try:
                record = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if _is_record(record):
                yield line, record


def _is_record(record: Any) -> bool:
    if not isinstance(record, dict) or not {"kind", "step", "loss"} <= record.keys():
        return False
    step, loss = record["step"], record["loss"]
    is_step = isinstance(step, int) and not isinstance(step, bool) and 0 <= step <= _MAX_STEP
    others = (record.get(name, 0.0) for name in _NUMBERS)
    return record["kind"] in ("step", "epoch") and is_step and _is_number(loss) and all(map(_is_number, others))


def _is_number(value: Any) -> bool:
    """Whether a plot can show it: neither NaN nor beyond what Matplotlib computes with."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e30
