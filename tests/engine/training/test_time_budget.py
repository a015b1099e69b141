"""A time budget becomes a number of steps, measured with a simulated clock."""

import numpy as np
import pytest
import torch

from mnistdiff.engine.training import time_budget
from mnistdiff.engine.training.objective import DiffusionLoss
from mnistdiff.settings import TrainSettings

IMAGES, LABELS = np.zeros((8, 28, 28), dtype=np.uint8), np.zeros(8, dtype=np.uint8)
SMALL = TrainSettings(channels=(4,), patch_size=4, embedding=4, batch_size=4)
LOSS = DiffusionLoss(SMALL, torch.device("cpu"))


class Clock:
    """Each step takes so many seconds; the first ones ten times as many, as they do."""

    def __init__(self, seconds_per_step):
        self.now, self.taken, self.seconds_per_step = 0.0, 0, seconds_per_step

    def monotonic(self):
        return self.now

    def steps(self, *args, stop, **kwargs):
        while not stop():
            self.taken += 1
            self.now += self.seconds_per_step * (10 if self.taken <= 5 else 1)
            yield None


@pytest.mark.parametrize(("seconds_per_step", "minutes"), [(0.1, 1.0), (0.25, 15.0), (2.0, 5.0)])
def test_the_planned_steps_take_the_given_time(monkeypatch, seconds_per_step, minutes):
    clock = Clock(seconds_per_step)
    monkeypatch.setattr(time_budget, "time", clock)
    monkeypatch.setattr(time_budget, "train_steps", clock.steps)
    steps = time_budget.steps_within(minutes, IMAGES, LABELS, SMALL, LOSS, torch.device("cpu"))
    whole = clock.now + steps * seconds_per_step
    assert 0.9 * minutes * 60 <= whole <= minutes * 60


def test_a_time_too_short_for_a_step_is_one_step(monkeypatch):
    clock = Clock(50.0)
    monkeypatch.setattr(time_budget, "time", clock)
    monkeypatch.setattr(time_budget, "train_steps", clock.steps)
    assert time_budget.steps_within(0.1, IMAGES, LABELS, SMALL, LOSS, torch.device("cpu")) == 1


def test_the_benchmark_trains_and_fits_into_a_short_budget():
    steps = time_budget.steps_within(0.02, IMAGES, LABELS, SMALL, LOSS, torch.device("cpu"))
    assert steps >= 1
