"""The preview grids of a run as an animation."""

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
"""In pixels: ten times those of a preview, since a run folder may come from an untrusted source."""
_LARGEST_ANIMATION = 160_000_000
"""In pixels of all frames, some 480 previews: an animation is encoded in memory."""


def animate_previews(run: RunDir) -> bytes:
    """A GIF of the preview grids of a run, sampled from the same noise after each epoch.

    Of very many previews, an evenly spaced selection that fits into memory is shown.

    Raises:
        CheckpointError: if the run has no previews.
        StorageError: if one cannot be read, or is larger than a preview.
    """
    previews = run.previews()
    if not previews:
        raise CheckpointError(f"{run.path} holds no previews to animate", "Train with `sample_every` 1 to get them.")
    largest = max(_pixels(Picture.read(path)) for path in previews.values())
    chosen = evenly(list(previews.items()), max(2, _LARGEST_ANIMATION // largest))
    frames = [captioned(preview(path), f"epoch {epoch}") for epoch, path in chosen]
    return animation(frames, "gif", seconds=_SECONDS_PER_EPOCH * len(previews))


def preview(path: Path) -> NDArray[np.uint8]:
    """Read the grey levels of a preview, shape (H, W).

    Raises:
        StorageError: if it cannot be read, or is larger than a preview.
    """
    picture = Picture.read(path)
    _pixels(picture)
    return picture.grey_levels()


def evenly(found: Sequence[tuple[int, Path]], most: int) -> list[tuple[int, Path]]:
    """At most ``most`` of the previews, evenly spaced from the first to the last."""
    count = min(len(found), most)
    return [found[round(k * (len(found) - 1) / max(count - 1, 1))] for k in range(count)]


def _pixels(picture: Picture) -> int:
    height, width = picture.shape()
    if height * width > _LARGEST_PREVIEW:
        raise StorageError(
            f"{picture.name} has {width:,}x{height:,} pixels, which is too large for a preview",
            "Move it out of the run folder.",
        )
    return height * width
