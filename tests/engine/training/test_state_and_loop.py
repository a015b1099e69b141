import copy
import math

import numpy as np
import pytest
import torch

from mnistdiff.engine.data.batches import batch_indices
from mnistdiff.engine.data.transforms import to_model_range
from mnistdiff.engine.training.loop import train_steps
from mnistdiff.engine.training.objective import DiffusionLoss, Draws
from mnistdiff.engine.training.state import TrainState
from mnistdiff.errors import CheckpointError, DivergedError, OutOfMemoryError
from mnistdiff.settings import TrainSettings

CPU = torch.device("cpu")
RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (16, 28, 28), dtype=np.uint8)
LABELS = RNG.integers(0, 10, 16, dtype=np.uint8)
COMBINATIONS = [
    {},
    {"grad_clip": 0.0, "ema_decay": 0.0, "label_dropout": 0.0},
    {"grad_clip": 1e-3, "label_dropout": 1.0, "weight_decay": 1.0},
    {"prediction": "v_prediction", "beta_schedule": "cosine", "batch_size": 16},
    {"patch_size": 2, "channels": (4, 8), "down_blocks": (2, 0), "up_blocks": (2,), "seed": 2**32 - 1},
]


def tiny(**changes):
    """Three steps an epoch: 7, 7 and 2 images."""
    values = {"patch_size": 4, "channels": (4,), "embedding": 8, "timesteps": 50, "batch_size": 7, "lr": 1e-2}
    return TrainSettings(**{**values, **changes})


def steps(state, settings, total_steps, images=IMAGES):
    objective = DiffusionLoss(settings, CPU)
    return train_steps(state, images, LABELS, settings, objective, total_steps=total_steps)


def train(*arguments):
    return list(steps(*arguments))


def reloaded(state, settings):
    """The state that a resumed training starts from."""
    tensors = {name: array.copy() for name, array in state.to_tensors().items()}
    again = TrainState.from_tensors(tensors, settings, CPU, step=state.step, source="a file")
    again.recent_losses.extend(state.recent_losses)
    again.epoch_loss_sum = state.epoch_loss_sum
    return again


def assert_same_bits(state, other):
    mine, theirs = state.to_tensors(), other.to_tensors()
    assert mine.keys() == theirs.keys()
    for name, array in mine.items():
        assert array.tobytes() == theirs[name].tobytes(), name
    assert all(torch.equal(average, other.ema.weights[name]) for name, average in state.ema.weights.items())
    assert state.step == other.step
    assert state.recent_losses == other.recent_losses
    assert state.epoch_loss_sum == other.epoch_loss_sum


def test_the_same_seed_starts_from_the_same_network_and_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    first = TrainState.initial(tiny(), CPU)
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(3)
    assert_same_bits(first, TrainState.initial(tiny(), CPU))
    other = TrainState.initial(tiny(seed=1), CPU)
    assert not torch.equal(first.model.stem.weight, other.model.stem.weight)


def test_the_names_say_what_each_tensor_is():
    state = TrainState.initial(tiny(), CPU)
    parameters = [name for name, _ in state.model.named_parameters()]
    prefixes = ("model", "ema", "optimizer.exp_avg", "optimizer.exp_avg_sq")
    assert set(state.to_tensors()) == {f"{prefix}.{name}" for prefix in prefixes for name in parameters}
    assert all(array.dtype == np.float32 for array in state.to_tensors().values())


@pytest.mark.parametrize("steps", [0, 4])
def test_a_state_is_restored_from_its_tensors(steps):
    state = TrainState.initial(tiny(), CPU)
    train(state, tiny(), steps)
    assert_same_bits(reloaded(state, tiny()), state)


def test_tensors_are_copies_that_training_does_not_change():
    state = TrainState.initial(tiny(), CPU)
    train(state, tiny(), 2)
    tensors = state.to_tensors()
    before = {name: array.copy() for name, array in tensors.items()}
    train(state, tiny(), 4)
    assert all(np.array_equal(tensors[name], before[name]) for name in tensors)


@pytest.mark.parametrize("changes", COMBINATIONS)
def test_stopping_and_resuming_gives_the_same_bits_as_never_stopping(changes):
    settings = tiny(**changes)
    whole, stopped = TrainState.initial(settings, CPU), TrainState.initial(settings, CPU)
    never = train(whole, settings, 7)
    sometimes = []
    for stop in (0, 1, 3, 5, 7):
        sometimes += train(stopped, settings, stop)
        stopped = reloaded(stopped, settings)
    assert sometimes == never
    assert_same_bits(stopped, whole)


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def test_resuming_with_another_number_of_threads_gives_nearly_the_same_losses(threads):
    """Sums in another order: other bits, the same training."""
    settings = tiny(channels=(16,), lr=1e-3)
    state = TrainState.initial(settings, CPU)
    train(state, settings, 5)
    other = reloaded(state, settings)
    usual = [step.loss for step in train(state, settings, 20)]
    threads(2)
    np.testing.assert_allclose([step.loss for step in train(other, settings, 20)], usual, rtol=1e-4)


@pytest.mark.parametrize("prefix", ["model", "ema", "optimizer.exp_avg", "optimizer.exp_avg_sq"])
def test_a_state_without_one_of_its_tensors_is_refused(prefix):
    tensors = TrainState.initial(tiny(), CPU).to_tensors()
    del tensors[f"{prefix}.head.bias"]
    with pytest.raises(CheckpointError, match=r"a file is corrupt: tensor '.*head\.bias' is missing"):
        TrainState.from_tensors(tensors, tiny(), CPU, step=1, source="a file")


def test_an_unknown_tensor_is_refused():
    tensors = TrainState.initial(tiny(), CPU).to_tensors()
    tensors["scheduler.head.bias"] = tensors["model.head.bias"]
    with pytest.raises(CheckpointError, match=r"a file is corrupt: tensor 'scheduler\.head\.bias'"):
        TrainState.from_tensors(tensors, tiny(), CPU, step=1, source="a file")


def test_each_setting_changes_the_training():
    def trained(**changes):
        state = TrainState.initial(tiny(**{**changes, "seed": 0}), CPU)
        train(state, tiny(**changes), 3)
        return state.model.stem.weight

    plain = trained()

    changes = (
        {"lr": 1e-3},
        {"weight_decay": 1.0},
        {"grad_clip": 1e-9},
        {"label_dropout": 1.0},
        {"timesteps": 49},
        {"beta_end": 0.03},
        {"prediction": "v_prediction"},
        {"seed": 1},
        {"batch_size": 8},
    )
    for change in changes:
        assert not torch.equal(trained(**change), plain), change


def test_each_event_reports_the_step_that_is_done_and_averaged():
    settings = tiny(ema_decay=0.3)
    state = TrainState.initial(settings, CPU)
    average = state.model.head.weight.detach().clone()
    losses = []
    for number, event in enumerate(steps(state, settings, 7), start=1):
        losses.append(event.loss)
        assert (event.step, state.step) == (number, number)
        assert (event.lr, event.batch_size) == (settings.lr, (7, 7, 2)[(number - 1) % 3])
        assert event.recent_loss == pytest.approx(np.mean(losses))
        decay = min(0.3, (1 + number) / (10 + number))
        average = decay * average + (1 - decay) * state.model.head.weight.detach()
        torch.testing.assert_close(state.ema.weights["head.weight"], average, rtol=0, atol=1e-6)
        this_epoch = losses[(number - 1) // 3 * 3 :]
        assert state.epoch_loss_sum == pytest.approx(sum(this_epoch))
    assert number == 7


def test_each_step_uses_its_own_batch_and_random_numbers():
    settings = tiny(seed=3, label_dropout=0.5)
    state, objective = (
        TrainState.initial(settings, CPU),
        DiffusionLoss(settings, CPU),
    )

    def loss_of_next_step():
        chosen = batch_indices(seed=3, step=state.step, num_images=16, batch_size=7)
        x_0 = torch.from_numpy(to_model_range(IMAGES[chosen]))
        labels = torch.from_numpy(LABELS[chosen].astype(np.int64))
        with torch.no_grad():
            draws = Draws.at_step(state.step, tuple(x_0.shape), settings)
            return objective.loss(state.model, x_0, labels, draws).item()

    expected = loss_of_next_step()
    for event in steps(state, settings, 7):
        assert event.loss == pytest.approx(expected, rel=1e-5)
        expected = loss_of_next_step()


def test_the_recent_loss_is_that_of_the_last_hundred_steps():
    state = TrainState.initial(tiny(), CPU)
    assert math.isnan(state.recent_loss)
    state.recent_losses.extend(range(98))
    losses = [event.loss for event in train(state, tiny(), 4)]
    assert list(state.recent_losses) == [*range(2, 98), *losses]
    assert state.recent_loss == pytest.approx((sum(range(2, 98)) + sum(losses)) / 100)


def test_a_training_that_has_reached_its_end_does_nothing():
    state = TrainState.initial(tiny(), CPU)
    train(state, tiny(), 2)
    before = reloaded(state, tiny())
    assert train(state, tiny(), 2) == []
    assert_same_bits(state, before)


def test_clipping_limits_the_norm_of_the_gradient():
    def gradient_norm(limit):
        state = TrainState.initial(tiny(), CPU)
        with torch.no_grad():
            state.model.head.weight.fill_(10)
        train(state, tiny(grad_clip=limit), 1)
        return math.sqrt(sum(p.grad.double().square().sum().item() for p in state.model.parameters()))

    assert gradient_norm(0.0) > 100
    assert gradient_norm(0.5) == pytest.approx(0.5, rel=1e-3)
    assert gradient_norm(1e9) == gradient_norm(0.0)


def spoil_loss(state):
    with torch.no_grad():
        state.model.stem.bias[0] = math.nan


def spoil_gradient(value):
    return lambda state: state.model.head.bias.register_hook(lambda gradient: gradient * value)


@pytest.mark.parametrize(
    ("spoil", "name"),
    [(spoil_loss, "loss"), (spoil_gradient(math.nan), "gradient"), (spoil_gradient(math.inf), "gradient")],
)
@pytest.mark.parametrize("grad_clip", [0.0, 1.0])
def test_a_value_that_is_not_finite_stops_the_training_before_the_update(spoil, name, grad_clip):
    settings = tiny(grad_clip=grad_clip)
    state = TrainState.initial(settings, CPU)
    train(state, settings, 2)
    spoil(state)
    before, losses = copy.deepcopy(state.to_tensors()), list(state.recent_losses)
    with pytest.raises(DivergedError, match=f"the {name} of step 3 is (nan|inf)"):
        train(state, settings, 3)
    for tensor, array in state.to_tensors().items():
        np.testing.assert_array_equal(array, before[tensor], err_msg=tensor)
    assert (state.step, list(state.recent_losses)) == (2, losses)


def test_an_absurd_learning_rate_is_reported_as_divergence():
    settings = tiny(lr=1e9)
    with pytest.raises(DivergedError) as diverged:
        train(TrainState.initial(settings, CPU), settings, 100)
    assert "`lr`" in diverged.value.hint


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory: you tried ..."),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    ],
)
def test_a_batch_that_does_not_fit_is_refused_with_a_smaller_batch_size(error, monkeypatch):
    state = TrainState.initial(tiny(), CPU)

    def fail(*arguments):
        raise error

    monkeypatch.setattr(state.model, "forward", fail)
    with pytest.raises(OutOfMemoryError, match="`batch_size` 7") as refused:
        train(state, tiny(), 1)
    assert "`batch_size` 3" in refused.value.hint


def test_another_error_of_the_network_is_not_reported_as_out_of_memory(monkeypatch):
    state = TrainState.initial(tiny(), CPU)

    def fail(*arguments):
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr(state.model, "forward", fail)
    with pytest.raises(RuntimeError, match="shapes do not match"):
        train(state, tiny(), 1)


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_training_learns_a_trivial_data_set(prediction):
    settings = tiny(prediction=prediction, batch_size=16, channels=(16,), beta_schedule="cosine")
    losses = [event.loss for event in train(TrainState.initial(settings, CPU), settings, 40, np.zeros_like(IMAGES))]
    assert np.mean(losses[-10:]) < 0.8 * losses[0]
