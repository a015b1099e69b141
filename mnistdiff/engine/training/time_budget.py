"""The number of optimizer steps that fit into a time budget, planned from a short benchmark.

The learning rate schedule needs the number of steps before the first of them, and a resumed run needs the same number.
"""

import time

import numpy as np
import torch
from numpy.typing import NDArray

from mnistdiff.engine.training.group import ALONE, Group
from mnistdiff.engine.training.loop import steps_between_reads, train_steps
from mnistdiff.engine.training.objective import Objective
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
    group: Group = ALONE,
) -> int:
    """Measure how many optimizer steps fit into ``minutes`` of wall-clock time; at least 1.

    Args:
        minutes: of the whole training, the benchmark included.
        images: grey levels, shape (N, H, W).
        labels: classes, shape (N,).
        settings: of the run; the benchmark trains a network of its own.
        objective: the loss to minimise.
        device: to train on.
        group: the processes that train; all measure together, and the first decides.

    Raises:
        OutOfMemoryError: if a step does not fit.
        DivergedError: if the first steps diverge.
    """
    began = time.monotonic()
    ends: list[float] = []
    # The benchmark takes at most 10 % of the budget.
    benchmark = min(_BENCHMARK_SECONDS, minutes * 60 / 10)

    # Steps whose losses are read together end together.
    warm_up = max(_WARM_UP_STEPS, steps_between_reads(device))

    def is_over() -> bool:
        return group.is_first and len(ends) > warm_up and ends[-1] - ends[warm_up - 1] >= benchmark

    state = TrainState.initial(settings, device)  # without tensors of the objective, which others may not have
    for _ in train_steps(state, images, labels, settings, objective, total_steps=10**9, group=group, stop=is_over):
        ends.append(time.monotonic())  # noqa: PERF401
    warm = ends[warm_up - 1 :]
    left = minutes * 60 - (time.monotonic() - began)
    return max(1, int(left * _SHARE_OF_STEPS * (len(warm) - 1) / (warm[-1] - warm[0])))
