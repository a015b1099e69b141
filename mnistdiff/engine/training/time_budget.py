"""The number of optimizer steps that fit into a time budget, planned from a short benchmark.

The learning rate schedule needs the number of steps before the first of them, and a resumed run needs the same number.
"""

import time

import numpy as np
import torch
from numpy.typing import NDArray

from mnistdiff.engine.training.loop import Objective, train_steps
from mnistdiff.engine.training.state import TrainState
from mnistdiff.settings import TrainSettings

_WARM_UP_STEPS = 5
_BENCHMARK_SECONDS = 6.0
_SHARE_OF_STEPS = 0.96
"""Of the time; previews and saved files take the rest."""


def steps_within(
    minutes: float,
    images: NDArray[np.uint8],
    labels: NDArray[np.uint8],
    settings: TrainSettings,
    objective: Objective,
    device: torch.device,
) -> int:
    """Measure how many optimizer steps fit into ``minutes`` of wall-clock time; at least 1.

    Args:
        minutes: of the whole training, the benchmark included.
        images: grey levels, shape (N, 28, 28).
        labels: classes, shape (N,).
        settings: of the run; the benchmark trains a network of its own.
        objective: the loss to minimise.
        device: to train on.

    Raises:
        OutOfMemoryError: if a step does not fit.
        DivergedError: if the first steps diverge.
    """
    began = time.monotonic()
    steps = train_steps(TrainState.initial(settings, device), images, labels, settings, objective, total_steps=10**9)
    for _ in range(_WARM_UP_STEPS):
        next(steps)
    # The benchmark takes at most 10 % of the budget.
    benchmark = min(_BENCHMARK_SECONDS, minutes * 60 / 10)
    warm, count, seconds = time.monotonic(), 0, 0.0
    while seconds < benchmark:
        next(steps)
        count, seconds = count + 1, time.monotonic() - warm
    left = minutes * 60 - (time.monotonic() - began)
    return max(1, int(left * _SHARE_OF_STEPS * count / seconds))
