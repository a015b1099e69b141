import pytest
import torch
from torch import nn

from mnistdiff.engine.network.ema import ExponentialMovingAverage


def model_with(value):
    model = nn.Linear(3, 2)
    set_weights(model, value)
    return model


def set_weights(model, value):
    with torch.no_grad():
        model.weight.fill_(value)
        model.bias.fill_(-value)


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.9, 0.9995])
def test_the_average_follows_the_formula_with_its_warm_up(decay):
    model = model_with(1.0)
    ema = ExponentialMovingAverage(model, decay=decay)
    expected = 1.0
    for step in range(1, 60):
        value = (step * 37 % 11) - 5.0
        set_weights(model, value)
        ema.update(model, step=step)
        now = min(decay, (1 + step) / (10 + step))
        expected = now * expected + (1 - now) * value
        torch.testing.assert_close(ema.weights["weight"], torch.full((2, 3), expected), rtol=0, atol=1e-5)
        torch.testing.assert_close(ema.weights["bias"], torch.full((2,), -expected), rtol=0, atol=1e-5)


def test_the_average_starts_as_a_copy_that_the_model_does_not_change():
    model = model_with(1.0)
    ema = ExponentialMovingAverage(model, decay=0.9)
    set_weights(model, 7.0)
    assert (ema.weights["weight"] == 1).all()
    assert not ema.weights["weight"].requires_grad


def test_without_decay_the_average_is_the_weights_to_the_bit():
    torch.manual_seed(0)
    model = nn.Linear(30, 20)
    ema = ExponentialMovingAverage(model, decay=0.0)
    for step in range(1, 4):
        with torch.no_grad():
            model.weight.mul_(1.1).add_(0.3)
        ema.update(model, step=step)
        for name, parameter in model.named_parameters():
            assert torch.equal(ema.weights[name], parameter)


def test_the_first_step_already_moves_a_slow_average():
    model = model_with(0.0)
    ema = ExponentialMovingAverage(model, decay=0.9999)
    set_weights(model, 11.0)
    ema.update(model, step=1)
    torch.testing.assert_close(ema.weights["weight"], torch.full((2, 3), 9.0))


def test_updating_leaves_the_model_alone():
    model = model_with(2.0)
    ema = ExponentialMovingAverage(model, decay=0.5)
    ema.update(model, step=1)
    assert (model.weight == 2).all()
    assert model.weight.grad is None
