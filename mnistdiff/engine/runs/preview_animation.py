"""How a run learned, as a film."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mnistdiff.engine.data.image_files import Picture
from mnistdiff.engine.outputs.animation import animation
from mnistdiff.engine.outputs.grid import captioned
from mnistdiff.engine.runs.run_dir import RunDir
from mnistdiff.errors import CheckpointError, StorageError

_SECONDS_PER_EPOCH = 0.25
_LARGEST_PREVIEW = 2**22
"""In pixels: ten times as many as this program draws, for a run may come from somebody else."""
_LARGEST_FILM = 160_000_000
"""In pixels of all frames, some 480 previews: a film is put together in memory."""


def learning(run: RunDir) -> bytes:
    """A GIF of how a run learned: its previews, drawn from the same noise after each epoch.

    Of very many previews it shows as many as are kept in memory, evenly from the first to the last.

    Raises:
        CheckpointError: if the run has no previews.
        StorageError: if one cannot be read, or is larger than a preview.
    """
    previews = run.previews()
    if not previews:
        raise CheckpointError(
            f"{run.path} holds no previews to animate", "They are drawn in training: mnistdiff train --sample-every 1."
        )
    largest = max(_pixels(Picture.read(path)) for path in previews.values())
    chosen = evenly(list(previews.items()), max(2, _LARGEST_FILM // largest))
    frames = [captioned(preview(path), f"epoch {epoch}") for epoch, path in chosen]
    return animation(frames, "gif", seconds=_SECONDS_PER_EPOCH * len(previews))


def preview(path: Path) -> NDArray[np.uint8]:
    """The grey levels of a preview, shape (H, W).

    Raises:
        StorageError: if it cannot be read, or is larger than a preview.
    """
    picture = Picture.read(path)
    _pixels(picture)
    return picture.grey_levels()


def evenly(found: Sequence[tuple[int, Path]], most: int) -> list[tuple[int, Path]]:
    """Of the previews so many at most, evenly from the first to the last."""
    count = min(len(found), most)
    return [found[round(k * (len(found) - 1) / max(count - 1, 1))] for k in range(count)]


def _pixels(picture: Picture) -> int:
    height, width = picture.shape()
    if height * width > _LARGEST_PREVIEW:
        raise StorageError(
            f"{picture.name} has {width:,}x{height:,} pixels, which is too large for a preview of a training",
            "Move it out of the run.",
        )
    return height * width
