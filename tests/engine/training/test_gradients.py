"""One law: a training has the same bits in any number of processes, here as threads."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from threaded import in_group
from torch import nn

from mnistdiff.engine.training.gradients import batch_gradient, shards_of
from mnistdiff.engine.training.group import Group
from mnistdiff.engine.training.loop import train_steps
from mnistdiff.engine.training.objective import DiffusionLoss
from mnistdiff.engine.training.state import TrainState
from mnistdiff.errors import DivergedError
from mnistdiff.settings import TrainSettings

CPU = torch.device("cpu")
RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (20, 28, 28), dtype=np.uint8)
LABELS = RNG.integers(0, 10, 20, dtype=np.uint8)
# Three steps an epoch, of 8, 8 and 4 images: in the last, half of eight shards are empty.
SETTINGS = TrainSettings(
    patch_size=4, channels=(4,), embedding=8, timesteps=50, batch_size=8, lr=1e-2, grad_clip=0.1, shards=8, save_every=2
)
STEPS = 7


def train(state, settings, group, *, stop=lambda: False):
    objective = DiffusionLoss(settings, CPU)
    return list(
        train_steps(state, IMAGES, LABELS, settings, objective, total_steps=STEPS, group=group, stop=stop),
    )


def trained(size, settings, monkeypatch):
    """The bits and the steps of each process."""
    states = [TrainState.initial(settings, CPU) for _ in range(size)]

    def work(group):
        steps = train(states[group.rank], settings, group)
        return {name: array.tobytes() for name, array in states[group.rank].to_tensors().items()}, steps

    return in_group(size, work, monkeypatch)


@pytest.mark.parametrize(
    "changes", [{}, {"precision": "bf16"}, {"shards": 4}, {"optimizer": "muon", "patch_size": 2, "channels": (4, 8)}]
)
def test_any_number_of_processes_ends_in_the_same_bits(changes, monkeypatch):
    settings = SETTINGS.model_copy(update=changes)
    [alone] = trained(1, settings, monkeypatch)
    assert len(alone[1]) == STEPS
    for size in (2, 4, 8):
        if size <= settings.shards:
            assert trained(size, settings, monkeypatch) == [alone] * size


def test_the_bits_depend_on_the_number_of_shards(monkeypatch):
    """So that the law above compares something."""
    eight, four = (trained(1, SETTINGS.model_copy(update={"shards": shards}), monkeypatch) for shards in (8, 4))
    assert eight != four


@given(st.integers(0, 200), st.sampled_from([1, 2, 4, 8, 16]))
def test_shards_are_contiguous_and_as_equal_as_can_be(batch_size, shards):
    cuts = shards_of(batch_size, shards)
    assert [number for cut in cuts for number in range(batch_size)[cut]] == list(range(batch_size))
    sizes = [cut.stop - cut.start for cut in cuts]
    assert len(sizes) == shards
    assert max(sizes) - min(sizes) <= 1


@given(st.integers(1, 40), st.sampled_from([1, 2, 4, 8, 16]), st.integers(0, 2**32 - 1))
def test_the_gradient_is_that_of_the_mean_loss_of_the_batch(batch_size, shards, seed):
    """Of linear regression, whose gradient a formula gives: 2 / B X^T (X w - y)."""
    random = np.random.default_rng(seed)
    x, y, w = random.normal(size=(batch_size, 3)), random.normal(size=batch_size), random.normal(size=3)
    model = nn.Linear(3, 1, bias=False).double()
    with torch.no_grad():
        model.weight.copy_(torch.from_numpy(w))

    def loss_of(shard):
        return (model(torch.from_numpy(x[shard])).squeeze(1) - torch.from_numpy(y[shard])).square().mean()

    loss = batch_gradient(model, loss_of, batch_size=batch_size, shards=shards, group=Group())
    np.testing.assert_allclose(loss.item(), np.mean((x @ w - y) ** 2), rtol=1e-6)
    expected = 2 / batch_size * x.T @ (x @ w - y)
    np.testing.assert_allclose(model.weight.grad.numpy()[0], expected, rtol=1e-9, atol=1e-12)


def summed(terms):
    """The sum in a binary tree: that of the first half, and that of the second."""
    half = len(terms) // 2
    return terms[0] if half == 0 else summed(terms[:half]) + summed(terms[half:])


@pytest.mark.parametrize("size", [1, 2, 4, 8, 16])
def test_gradients_are_added_in_a_binary_tree(size, monkeypatch):
    shards, count = 16, 500
    terms = (RNG.normal(size=(shards, count)) * 10.0 ** RNG.integers(-6, 6, (shards, 1))).astype(np.float32)
    models = [nn.Linear(count, 1, bias=False) for _ in range(size)]

    def work(group):
        model = models[group.rank]
        # A loss whose gradient is the term of the shard.
        batch_gradient(
            model,
            lambda shard: (model.weight[0] * torch.from_numpy(terms[shard.start])).sum(),
            batch_size=shards,
            shards=shards,
            group=group,
        )
        return model.weight.grad.numpy()[0].tobytes()

    expected = summed([term / shards for term in terms])
    assert expected.tobytes() != sum(terms[1:] / shards, start=terms[0] / shards).tobytes()  # their order matters
    assert in_group(size, work, monkeypatch) == [expected.tobytes()] * size


def test_one_shard_has_the_gradient_of_the_whole_batch_in_every_bit():
    model = TrainState.initial(SETTINGS, CPU).model
    x_t, number = torch.rand(8, 1, 28, 28), torch.arange(8)

    def loss_of(shard):
        return (model(x_t[shard], number[shard], number[shard]) - 1).square().mean()

    returned = batch_gradient(model, loss_of, batch_size=8, shards=1, group=Group())
    gradients = [parameter.grad.clone() for parameter in model.parameters()]
    model.zero_grad()
    loss = loss_of(slice(0, 8))
    loss.backward()
    assert torch.equal(returned, loss)
    assert all(torch.equal(p.grad, g) for p, g in zip(model.parameters(), gradients, strict=True))


@pytest.mark.parametrize("rank", [0, 2])
def test_a_stop_in_any_process_ends_all_after_the_same_step(rank, monkeypatch):
    states = [TrainState.initial(SETTINGS, CPU) for _ in range(4)]

    def work(group):
        state = states[group.rank]
        train(state, SETTINGS, group, stop=lambda: group.rank == rank and state.step >= 3)
        return state.step, state.digests()

    steps = in_group(4, work, monkeypatch)
    assert steps == [steps[0]] * 4
    assert steps[0][0] == 3


@pytest.mark.parametrize("spoilt_at", [0, 1, 6], ids=["received", "before a save", "before the end"])
def test_a_tensor_that_differs_in_one_process_is_named_at_the_next_save(spoilt_at, monkeypatch):
    states = [TrainState.initial(SETTINGS, CPU) for _ in range(2)]

    def work(group):
        state = states[group.rank]

        def spoil():
            if group.rank == 1 and state.step == spoilt_at:
                state.ema.weights["head.bias"][0] += 1
            return False

        if spoilt_at == 0:
            spoil()
        with pytest.raises(DivergedError, match=r"ema\.head\.bias of process 1 "):
            train(state, SETTINGS, group, stop=spoil)
        return state.step

    saved = next(step for step in (0, 2, 3, 4, 6, STEPS) if step >= spoilt_at + (spoilt_at > 0))
    assert in_group(2, work, monkeypatch) == [saved] * 2


def test_all_processes_read_the_text_of_the_first(monkeypatch):
    texts = ["", "a", "ein langes Wort: Größe \U0001f642 " * 999]

    def work(group):
        return [group.share(text if group.is_first else "mine") for text in texts]

    assert in_group(4, work, monkeypatch) == [texts] * 4


def test_one_alone_exchanges_nothing():
    vector = torch.ones(3)
    Group().sum(vector)
    Group().share_vector(vector)
    Group().require_equal(lambda: pytest.fail("not needed"))
    assert vector.tolist() == [1, 1, 1]
    assert Group().share("text") == "text"
    assert (Group().any(True), Group().any(False)) == (True, False)
