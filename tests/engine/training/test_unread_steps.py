"""Steps applied before their losses are read, as on CUDA, here forced on the CPU: the same training as without."""

import itertools
import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
import trainings

from mnistdiff.engine.data.transforms import to_model_range
from mnistdiff.engine.training import loop
from mnistdiff.engine.training.inputs import DeviceImages, HostImages, Inputs
from mnistdiff.engine.training.loop import train_steps
from mnistdiff.engine.training.objective import DiffusionLoss
from mnistdiff.engine.training.state import TrainState
from mnistdiff.errors import DivergedError
from mnistdiff.settings import TrainSettings

CPU = torch.device("cpu")
RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (60, 28, 28), dtype=np.uint8)
LABELS = RNG.integers(0, 10, 60, dtype=np.uint8)
TOTAL = 13


def tiny(**changes):
    """Nine steps an epoch; the last batch has 4 images."""
    values = {"patch_size": 4, "channels": (4,), "embedding": 8, "timesteps": 50, "batch_size": 7, "lr": 1e-2}
    return TrainSettings(**{**values, **changes})


def training(settings, *, read_every, spoil=None, stop_after=None):
    """A state, and the events of its training; the last one is the error if it diverges."""
    state = TrainState.initial(settings, CPU)
    objective = spoil(state, settings) if spoil else DiffusionLoss(settings, CPU)
    asked = itertools.count()
    steps = train_steps(
        state,
        IMAGES,
        LABELS,
        settings,
        objective,
        total_steps=TOTAL,
        stop=lambda: stop_after is not None and next(asked) >= stop_after,
        read_every=read_every,
    )
    events = []
    try:
        for event in steps:
            events.append(event)
            if event.step % settings.log_every == 0 or settings.is_saved_after(event.step, len(IMAGES)):
                assert state.step == event.step
    except DivergedError as error:
        events.append(str(error))
    return state, events


def bits(state):
    kept = {name: array.tobytes() for name, array in state.to_tensors().items()}
    counted = [steps.item() for steps in state.optimizers[0].steps]
    return kept, counted, state.step, list(state.recent_losses), state.epoch_loss_sum


def assert_the_same(one, other):
    (state, events), (other_state, other_events) = one, other
    assert events == other_events
    assert bits(state) == bits(other_state)


@pytest.mark.parametrize(
    ("read_every", "changes"),
    [
        (2, {}),
        (50, {}),
        (8, {"batch_size": 8, "shards": 4, "log_every": 5, "save_every": 3}),
        (8, {"optimizer": "muon", "lr_schedule": "cosine", "warmup_steps": 4, "grad_clip": 0.0, "ema_decay": 0.0}),
    ],
)
def test_losses_read_late_make_no_difference(read_every, changes):
    settings = tiny(**changes)
    assert_the_same(training(settings, read_every=read_every), training(settings, read_every=1))


@pytest.mark.parametrize("steps", [0, 5, 11])
def test_a_training_stopped_between_two_reads_ends_after_the_same_step(steps):
    late = training(tiny(), read_every=8, stop_after=steps)
    assert late[0].step == steps
    assert_the_same(late, training(tiny(), read_every=1, stop_after=steps))


def spoilt_loss(step):
    """The loss of one step is not a number."""

    def spoil(state, settings):
        class Spoilt(DiffusionLoss):
            def loss(self, *arguments):
                return super().loss(*arguments) * (math.nan if state.step == step - 1 else 1)

        return Spoilt(settings, CPU)

    return spoil


def spoilt_gradient(step):
    """The loss of one step is finite, and its gradient infinite."""

    def spoil(state, settings):
        state.model.head.bias.register_hook(lambda gradient: gradient * (math.inf if state.step == step - 1 else 1))
        return DiffusionLoss(settings, CPU)

    return spoil


@pytest.mark.parametrize(("spoilt", "name"), [(spoilt_loss, "loss"), (spoilt_gradient, "gradient")])
@pytest.mark.parametrize("step", [1, 8, 9, 12])
def test_a_training_that_diverges_stops_before_the_step_that_spoils(spoilt, name, step):
    settings = tiny(log_every=1000)
    late = training(settings, read_every=8, spoil=spoilt(step))
    state, (*events, error) = late
    assert [event.step for event in events] == list(range(1, step))
    assert state.step == step - 1
    assert f"the {name} of step {step} is" in error
    assert_the_same(late, training(settings, read_every=1, spoil=spoilt(step)))
    # The state is that of a training which ends there.
    whole, _ = training(settings, read_every=1, stop_after=step - 1)
    assert bits(state) == bits(whole)


def test_a_real_divergence_is_found_at_the_same_step():
    settings = tiny(lr=1e9)
    late = training(settings, read_every=8)
    assert "diverged" in late[1][-1]
    assert_the_same(late, training(settings, read_every=1))


def test_a_run_writes_the_same_files(tmp_path, monkeypatch):
    trainings.unbroken(tmp_path / "direct")
    monkeypatch.setattr(loop, "steps_between_reads", lambda device: 8)
    trainings.unbroken(tmp_path / "late")
    trainings.assert_same_run(tmp_path / "late", tmp_path / "direct")


def test_a_device_holds_images_of_the_same_bits_as_the_host():
    levels = np.arange(256, dtype=np.uint8).repeat(28 * 28).reshape(256, 28, 28)
    labels = RNG.integers(0, 10, 256, dtype=np.uint8)
    indices = torch.from_numpy(RNG.permutation(256))
    (x, y), (other_x, other_y) = (kind(levels, labels, CPU).at(indices) for kind in (HostImages, DeviceImages))
    assert x.numpy().tobytes() == other_x.numpy().tobytes() == to_model_range(levels[indices.numpy()]).tobytes()
    assert (x.shape, x.dtype, x.stride()) == (other_x.shape, other_x.dtype, other_x.stride())
    assert y.tolist() == other_y.tolist() == labels[indices.numpy()].tolist()
    assert y.dtype == other_y.dtype == torch.int64


def test_batches_prepared_ahead_are_those_of_their_step():
    settings = tiny(label_dropout=0.5)
    plain = Inputs(IMAGES, LABELS, settings, CPU)
    with ThreadPoolExecutor(1) as thread:
        ahead = Inputs(IMAGES, LABELS, settings, CPU, thread)
        for step in (0, 1, 2, 8, 9, 3, 4, 4, 17):
            batch, expected = ahead.at(step), plain.at(step)
            assert batch.size == expected.size == (4 if step % 9 == 8 else 7)
            for shard in (slice(0, 2), slice(2, batch.size)):
                x, y, draws = batch.of(shard, CPU)
                other_x, other_y, other_draws = expected.of(shard, CPU)
                assert torch.equal(x, other_x)
                assert torch.equal(y, other_y)
                assert all(
                    torch.equal(getattr(draws, each), getattr(other_draws, each)) for each in ("t", "eps", "drop")
                )
