"""The held-out loss: a function of the averaged weights, its record, and what it costs."""

import math

import numpy as np
import pytest
import torch

from mnistdiff.engine.checkpoint.metadata import HeldOut
from mnistdiff.engine.data.datasets import LabelledImages
from mnistdiff.engine.training.held_out import HeldOutLoss
from mnistdiff.engine.training.objective import DiffusionLoss
from mnistdiff.engine.training.state import TrainState
from mnistdiff.settings import TrainSettings

CPU = torch.device("cpu")
SETTINGS = TrainSettings(patch_size=4, channels=(8,), embedding=16, timesteps=10, augment=("shift",), batch_size=64)
HELD_OUT = LabelledImages(
    np.random.default_rng(0).integers(0, 256, (7, 28, 28), dtype=np.uint8), np.arange(7, dtype=np.uint8)
)


def held_out_loss(settings=SETTINGS):
    return HeldOutLoss(HELD_OUT, settings, DiffusionLoss(settings, CPU), CPU)


def test_the_loss_is_that_of_the_averaged_weights_with_the_same_noise_each_time():
    state, measured = TrainState.initial(SETTINGS, CPU), held_out_loss()
    first = measured.measure(state)
    state.step = 50
    torch.nn.init.normal_(state.model.head.weight)
    assert measured.measure(state).loss == first.loss == held_out_loss().measure(state).loss
    state.ema.update(state.model, step=50)
    assert measured.measure(state).loss != first.loss
    # A new network predicts no noise at all: the loss is the variance of the noise.
    assert first.loss == pytest.approx(1, rel=0.02)
    assert (first.num_images, first.step) == (7, 0)


def test_measuring_draws_no_random_numbers_and_trains_nothing():
    state, before = TrainState.initial(SETTINGS, CPU), torch.get_rng_state()
    digests = state.digests()
    held_out_loss().measure(state)
    assert torch.equal(torch.get_rng_state(), before)
    assert state.digests() == digests


@pytest.mark.parametrize(("batch_size", "log_every"), [(64, 100), (64, 1), (8, 25), (1000, 10)])
def test_measuring_takes_at_most_a_twentieth_of_the_time(batch_size, log_every):
    measured = held_out_loss(SETTINGS.model_copy(update={"batch_size": batch_size, "log_every": log_every}))
    due = [step for step in range(1, 2001) if measured.is_due(step)]
    assert due[0] % log_every == 0
    # 256 predictions, of which an image of a step takes three.
    assert 256 * len(due) <= 0.05 * 3 * batch_size * 2000
    assert due == list(range(due[0], 2001, due[0]))


def test_the_record_keeps_the_least_loss_and_says_when_a_third_of_the_run_brought_none():
    record = None
    for step, loss in ((100, 0.5), (200, 0.3), (300, 0.3), (400, 0.4), (500, 0.35)):
        record = HeldOut.after(record, loss=loss, step=step, num_images=5)
        assert bool(record.notice(900)) == (step == 500)
    assert (record.loss, record.step, record.best_loss, record.best_step) == (0.35, 500, 0.3, 200)
    assert "200" in record.notice(900)
    assert not math.isnan(record.loss)
