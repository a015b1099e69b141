"""Whether the disk has room for the files of a run."""

import shutil

from mnistdiff.engine.runs.run_dir import RunDir
from mnistdiff.engine.training.state import TrainState
from mnistdiff.settings import TrainSettings


def space_notice(run: RunDir, settings: TrainSettings, state: TrainState, *, num_images: int) -> str:
    """A warning if the disk may be full before the end of the run; empty if there is room.

    Args:
        run: its folder exists.
        settings: of the run.
        state: in training.
        num_images: that are trained on.
    """
    ends = (state.step, settings.total_steps(num_images))
    epochs_done, epochs = (settings.epochs_done(step, num_images) for step in ends)
    every = settings.checkpoint_every
    kept = epochs // every - epochs_done // every if every else 0
    # The latest, the previous, and the one being written.
    needed = (3 + kept) * sum(array.nbytes for array in state.to_tensors().values())
    free = shutil.disk_usage(run.path).free
    if free >= needed:
        return ""
    return (
        f"{run.path} has {free / 1e6:,.0f} MB left, and the checkpoints of this run will take up to "
        f"{needed / 1e6:,.0f} MB; make room, or keep fewer with a larger `checkpoint_every`"
    )
