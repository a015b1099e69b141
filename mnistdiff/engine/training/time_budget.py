"""How many steps a training can take in a given time here: its length must be known before its first step.

The learning rate falls to 0 by planned steps, and a resumed run must fall along the same line. So the time is spent on
paper first, and what is saved and resumed is a number of steps.
"""

import time

import numpy as np
import torch
from numpy.typing import NDArray

from mnistdiff.engine.training.loop import train_steps
from mnistdiff.engine.training.state import TrainState
from mnistdiff.settings import TrainSettings

_WARM_UP_STEPS = 5
_TRIAL_SECONDS = 6.0
_SHARE_OF_STEPS = 0.96
"""Of the time; the rest goes into previews and saved files."""


def steps_within(
    minutes: float,
    images: NDArray[np.uint8],
    labels: NDArray[np.uint8],
    settings: TrainSettings,
    device: torch.device,
) -> int:
    """Optimizer steps that fit into ``minutes`` of wall-clock time, at least 1, by a trial of a few seconds.

    Args:
        minutes: of the whole training; the trial is part of it.
        images: grey levels, shape (N, 28, 28).
        labels: digits 0 ... 9, shape (N,).
        settings: of the run; the trial trains a network of its own and leaves nothing behind.
        device: where to train.

    Raises:
        OutOfMemoryError: if a step does not fit.
        DivergedError: if the first steps diverge.
    """
    began = time.monotonic()
    steps = train_steps(TrainState.initial(settings, device), images, labels, settings, total_steps=10**9)
    for _ in range(_WARM_UP_STEPS):
        next(steps)
    # A trial must not eat what it measures.
    trial = min(_TRIAL_SECONDS, minutes * 60 / 10)
    warm, count, seconds = time.monotonic(), 0, 0.0
    while seconds < trial:
        next(steps)
        count, seconds = count + 1, time.monotonic() - warm
    left = minutes * 60 - (time.monotonic() - began)
    return max(1, int(left * _SHARE_OF_STEPS * count / seconds))
