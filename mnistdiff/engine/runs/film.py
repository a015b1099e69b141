"""How a run learned, as a film."""

from mnistdiff.engine.rendering.animation import animation
from mnistdiff.engine.rendering.grid import captioned
from mnistdiff.engine.rendering.picture import Picture
from mnistdiff.engine.runs.run_dir import RunDir
from mnistdiff.errors import CheckpointError

_SECONDS_PER_EPOCH = 0.25


def learning(run: RunDir) -> bytes:
    """A GIF of how a run learned: its previews, drawn from the same noise after each epoch.

    Raises:
        CheckpointError: if the run has no previews.
        StorageError: if one cannot be read.
    """
    previews = run.previews()
    if not previews:
        raise CheckpointError(
            f"{run.path} holds no previews to animate", "They are drawn in training: mnistdiff train --sample-every 1."
        )
    frames = [captioned(Picture.read(path).grey_levels(), f"epoch {epoch}") for epoch, path in previews.items()]
    return animation(frames, "gif", seconds=_SECONDS_PER_EPOCH * len(frames))
