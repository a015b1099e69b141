"""Training on a GPU: the bits of a resumed run, precision, memory layout, losses read late, memory."""

import math

import numpy as np
import pytest
import torch

from mnistdiff.engine.network.build import build_network, place
from mnistdiff.engine.training.execution import is_compiler_available, prepared, reproducible
from mnistdiff.engine.training.loop import train_steps
from mnistdiff.engine.training.objective import DiffusionLoss, Draws
from mnistdiff.engine.training.state import TrainState
from mnistdiff.errors import DivergedError, OutOfMemoryError
from mnistdiff.settings import TrainSettings

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (1000, 28, 28), dtype=np.uint8)
LABELS = RNG.integers(0, 10, 1000, dtype=np.uint8)
WIDE = {"patch_size": 1, "channels": (16, 48, 96), "embedding": 64, "batch_size": 64, "lr": 1e-3}
"""15 full batches an epoch, and one of 40 images."""
TOTAL = 60
KINDS = [
    {},
    {"precision": "bf16"},
    {"optimizer": "muon", "shards": 4, "lr_schedule": "cosine", "label_dropout": 0.5},
    {"precision": "bf16", "optimizer": "muon", "grad_clip": 0.0},
]


def train(state, settings, until, *, objective=None, read_every=None):
    """The events of a training that is stopped after a step; the last one is the error if it diverges."""
    events = []
    with reproducible(settings, state.device):
        steps = train_steps(
            state,
            IMAGES,
            LABELS,
            settings,
            objective or DiffusionLoss(settings, state.device),
            total_steps=TOTAL,
            stop=lambda: state.step >= until,
            read_every=read_every,
        )
        try:
            events.extend(steps)
        except DivergedError as error:
            events.append(str(error))
    return events


def trained(settings, gpu, stops, **options):
    """A state after a training that is stopped and restored at ``stops``, and its events."""
    state, events = TrainState.initial(settings, gpu), []
    for stop in stops:
        events += train(state, settings, stop, **options)
        again = TrainState.from_tensors(state.to_tensors(), settings, gpu, step=state.step, source="a file")
        again.recent_losses.extend(state.recent_losses)
        again.epoch_loss_sum = state.epoch_loss_sum
        state = again
    return state, events


def assert_same_bits(one, other):
    (state, events), (other_state, other_events) = one, other
    assert events == other_events
    mine, theirs = state.to_tensors(), other_state.to_tensors()
    assert [name for name in mine if mine[name].tobytes() != theirs[name].tobytes()] == []
    assert state.step == other_state.step


@pytest.mark.parametrize("changes", KINDS)
def test_stopping_and_resuming_gives_the_same_bits_as_never_stopping(gpu, changes):
    settings = TrainSettings(**{**WIDE, **changes})
    assert_same_bits(trained(settings, gpu, (3, 13, 20)), trained(settings, gpu, (20,)))


@pytest.mark.parametrize("changes", KINDS)
def test_losses_read_late_make_no_difference(gpu, changes):
    settings = TrainSettings(**{**WIDE, **changes})
    assert_same_bits(trained(settings, gpu, (20,)), trained(settings, gpu, (20,), read_every=1))


@pytest.mark.parametrize("step", [1, 8, 12])
def test_a_training_that_diverges_stops_before_the_step_that_spoils(gpu, step):
    settings = TrainSettings(**WIDE)
    state = TrainState.initial(settings, gpu)

    class Spoilt(DiffusionLoss):
        def loss(self, *arguments):
            return super().loss(*arguments) * (math.nan if state.step == step - 1 else 1)

    events = train(state, settings, 20, objective=Spoilt(settings, gpu))
    assert [event.step for event in events[:-1]] == list(range(1, step))
    assert f"the loss of step {step} is nan" in events[-1]
    assert state.step == step - 1
    assert_same_bits((state, events[:-1]), trained(settings, gpu, (step - 1,)))


def random_network(settings):
    """Random weights throughout, also where training starts from zeros."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        network = build_network(settings)
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.05)
    return network


def loss_and_gradient(settings, device, *, layout=None, tf32=True):
    """Of the first batch, on the CPU."""
    network = place(random_network(settings), device)
    network = network if layout is None else network.to(memory_format=layout)
    indices = np.arange(settings.batch_size)
    x_0 = torch.from_numpy(IMAGES[indices] / np.float32(127.5) - np.float32(1)).unsqueeze(1).to(device)
    y = torch.from_numpy(LABELS[indices].astype(np.int64)).to(device)
    draws = Draws.at_step(0, tuple(x_0.shape), settings).to(device)
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = tf32
    try:
        loss = DiffusionLoss(settings, device).loss(prepared(network, settings), x_0, y, draws)
        loss.backward()
    finally:
        torch.backends.cudnn.allow_tf32 = before
    gradient = torch.cat([parameter.grad.flatten() for parameter in network.parameters()])
    return loss.item(), gradient.double().cpu()


@pytest.mark.parametrize(
    ("changes", "options", "tolerance"),
    [
        ({}, {"tf32": False}, 1e-3),
        ({}, {"tf32": False, "layout": torch.contiguous_format}, 1e-3),
        ({}, {"tf32": True}, 2e-2),
        ({"precision": "bf16"}, {}, 1e-1),
    ],
)
def test_loss_and_gradient_are_close_to_those_of_the_cpu(gpu, changes, options, tolerance):
    """In float32 in both memory layouts, in TF32 and in bfloat16; relative to their size."""
    loss, gradient = loss_and_gradient(TrainSettings(**WIDE), torch.device("cpu"))
    found, found_gradient = loss_and_gradient(TrainSettings(**{**WIDE, **changes}), gpu, **options)
    assert found == pytest.approx(loss, rel=tolerance)
    assert (found_gradient - gradient).norm() <= tolerance * gradient.norm()


def test_trainings_of_both_precisions_have_close_losses(gpu):
    losses = [
        [event.loss for event in trained(TrainSettings(**WIDE, precision=precision), gpu, (TOTAL,))[1]]
        for precision in ("fp32", "bf16")
    ]
    assert np.mean(losses[1][-20:]) == pytest.approx(np.mean(losses[0][-20:]), rel=0.05)


def test_a_compiled_training_resumes_to_the_same_bits_and_has_close_losses(gpu):
    """In CUDA graphs. The last batch of an epoch is smaller, and has its own."""
    if not is_compiler_available(gpu):
        pytest.skip("needs a C++ compiler and Triton")
    settings = TrainSettings(**{**WIDE, "precision": "bf16", "compile": "on"})
    whole = trained(settings, gpu, (20,))
    assert_same_bits(trained(settings, gpu, (13, 20)), whole)
    _, eager = trained(TrainSettings(**WIDE, precision="bf16"), gpu, (20,))
    assert [event.loss for event in whole[1]] == pytest.approx([event.loss for event in eager], rel=0.05)


def test_a_batch_that_does_not_fit_is_refused_with_a_smaller_batch_size(gpu, little_memory):
    settings = TrainSettings(**{**WIDE, "batch_size": 1000})
    state = TrainState.initial(settings, gpu)
    before = state.to_tensors()
    with little_memory(256), pytest.raises(OutOfMemoryError, match="`batch_size` 1000") as refused:
        train(state, settings, 2)
    assert "`batch_size` 500" in refused.value.hint
    assert state.step == 0
    assert all(np.array_equal(array, before[name]) for name, array in state.to_tensors().items())
    # And the memory is usable again.
    small = TrainSettings(**WIDE)
    assert len(train(TrainState.initial(small, gpu), small, 2)) == 2
