"""Muon, the assignment of parameters to optimizers, and the learning rate schedule."""

from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mnistdiff.engine.network.build import build_network
from mnistdiff.engine.training.optimizer import (
    AdamW,
    Muon,
    build_optimizers,
    learning_rate_factor,
    orthogonalised,
    set_learning_rate,
)
from mnistdiff.settings import TrainSettings


def random_matrix(rows, columns, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((rows, columns)).astype(np.float32))


@settings(deadline=None, max_examples=20)
@given(rows=st.integers(1, 40), columns=st.integers(1, 40), seed=st.integers(0, 99), scale=st.floats(1e-4, 1e4))
def test_an_orthogonalised_matrix_keeps_its_singular_vectors_and_loses_its_singular_values(rows, columns, seed, scale):
    matrix = scale * random_matrix(rows, columns, seed)
    left, values, right = torch.linalg.svd(matrix, full_matrices=False)
    core = left.T @ orthogonalised(matrix) @ right.T
    clear = values > 0.05 * values.max()  # very small singular values are increased, not yet to 1
    diagonal = core.diagonal()[clear]
    assert diagonal.min() > 0.6
    assert diagonal.max() < 1.25
    assert (core - core.diagonal().diag()).abs().max() < 0.01


def test_a_matrix_and_its_transpose_are_orthogonalised_alike():
    matrix = random_matrix(9, 21)
    torch.testing.assert_close(orthogonalised(matrix.T), orthogonalised(matrix).T)


def test_zeros_stay_zeros():
    assert torch.equal(orthogonalised(torch.zeros(3, 5)), torch.zeros(3, 5))


@pytest.mark.parametrize("shape", [(4, 6), (6, 4), (8, 3, 3, 3), (4, 5, 3, 3)])
def test_muon_takes_orthogonalised_nesterov_steps(shape):
    """Against the recipe written out in NumPy, for three steps."""
    rng = np.random.default_rng(1)
    start, gradients = rng.standard_normal(shape), rng.standard_normal((3, *shape))
    weight = torch.nn.Parameter(torch.tensor(start, dtype=torch.float32))
    optimizer = Muon([weight], lr=0.1, momentum=0.9)
    expected, mean = start.copy(), np.zeros(shape)
    rows, columns = shape[0], int(np.prod(shape[1:]))
    for gradient in gradients:
        weight.grad = torch.tensor(gradient, dtype=torch.float32)
        optimizer.step()
        mean = 0.9 * mean + 0.1 * gradient
        ahead = torch.tensor((0.1 * gradient + 0.9 * mean).reshape(rows, columns), dtype=torch.float32)
        expected -= 0.1 * max(1, rows / columns) ** 0.5 * orthogonalised(ahead).numpy().reshape(shape)
    torch.testing.assert_close(weight.detach(), torch.tensor(expected, dtype=torch.float32))


def test_muon_does_not_depend_on_the_layout_in_memory():
    start, gradient = random_matrix(8, 27).view(8, 3, 3, 3), random_matrix(8, 27, seed=1).view(8, 3, 3, 3)
    moved = []
    for layout in (torch.contiguous_format, torch.channels_last):
        weight = torch.nn.Parameter(start.clone(memory_format=layout))
        weight.grad = gradient.clone(memory_format=layout)
        Muon([weight], lr=0.1).step()
        moved.append(weight.detach())
    torch.testing.assert_close(*moved, rtol=0, atol=1e-6)


@pytest.mark.parametrize("optimizer", [partial(AdamW, weight_decay=0.1), Muon])
def test_a_weight_without_a_gradient_is_not_changed(optimizer):
    still, moved = (torch.nn.Parameter(torch.ones(2, 2)) for _ in range(2))
    moved.grad = torch.ones(2, 2)
    optimizer([still, moved], lr=0.1).step()
    assert torch.equal(still.detach(), torch.ones(2, 2))
    assert not torch.equal(moved.detach(), torch.ones(2, 2))


def test_adamw_is_that_of_pytorch_to_the_bit():
    start, gradients = random_matrix(6, 5), [random_matrix(6, 5, seed) for seed in (1, 2, 3)]
    ours, theirs = (torch.nn.Parameter(start.clone()) for _ in range(2))
    one = AdamW([ours], lr=0.1, weight_decay=0.02)
    other = torch.optim.AdamW([theirs], lr=0.1, weight_decay=0.02, fused=True)
    for gradient in gradients:
        ours.grad = theirs.grad = gradient
        one.step()
        other.step()
    assert torch.equal(ours, theirs)


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_the_optimizers_hold_every_weight_once(optimizer):
    train = TrainSettings(preset="tiny", channels=(8, 16), embedding=32, optimizer=optimizer)
    model = build_network(train)
    optimizers = build_optimizers(model, train)
    held = [id(p) for each in optimizers for p in each.parameters]
    assert sorted(held) == sorted(id(p) for p in model.parameters())
    assert [type(each).__name__ for each in optimizers] == (["AdamW", "Muon"] if optimizer == "muon" else ["AdamW"])


def test_muon_optimizes_the_kernels_but_the_first_and_the_last():
    train = TrainSettings(channels=(8, 16), embedding=32, optimizer="muon")
    model = build_network(train)
    names = {id(p): name for name, p in model.named_parameters()}
    muon = {names[id(p)] for p in build_optimizers(model, train)[1].parameters}
    kernels = {name for name, p in model.named_parameters() if p.ndim == 4}
    assert muon == kernels - {"stem.weight", "head.weight"}


def test_the_factor_multiplies_the_learning_rates_of_the_settings():
    train = TrainSettings(channels=(8,), embedding=32, optimizer="muon", lr=0.004, muon_lr=0.04)
    optimizers = build_optimizers(build_network(train), train)
    for factor in (0.5, 0.25):
        set_learning_rate(optimizers, factor)
        assert [each.lr for each in optimizers] == [0.004 * factor, 0.04 * factor]


@given(total=st.integers(1, 10_000), warmup=st.integers(0, 100), schedule=st.sampled_from(["linear", "cosine"]))
def test_the_learning_rate_rises_once_falls_once_and_never_reaches_zero(total, warmup, schedule):
    train = TrainSettings(lr_schedule=schedule, warmup_steps=warmup)
    factors = [learning_rate_factor(step, total, train) for step in range(total)]
    assert all(0 < factor <= 1 for factor in factors)
    falls = [later < earlier for earlier, later in zip(factors, factors[1:], strict=False)]
    assert falls == sorted(falls)


def test_the_learning_rate_at_some_steps():
    linear = TrainSettings(lr_schedule="linear", warmup_steps=9)
    assert [learning_rate_factor(step, 100, linear) for step in (0, 50, 75)] == pytest.approx([0.1, 0.5, 0.25])
    cosine = TrainSettings(lr_schedule="cosine")
    assert [learning_rate_factor(step, 100, cosine) for step in (0, 50)] == pytest.approx([1, 0.5])
    constant = TrainSettings(warmup_steps=3)
    assert [learning_rate_factor(step, 100, constant) for step in (0, 1, 2, 3, 99)] == [0.25, 0.5, 0.75, 1, 1]
