import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mnistdiff.engine.diffusion.predictions import diffuse
from mnistdiff.setting_types import PREDICTIONS

X_0, EPS = np.random.default_rng(0).standard_normal((2, 3, 1, 4, 4))
coefficients = st.floats(0.1, 2)


def assert_same(found, expected):
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


def test_little_noise_leaves_the_image_and_much_leaves_the_noise():
    assert_same(diffuse(X_0, EPS, 1.0, 0.0), X_0)
    assert_same(diffuse(X_0, EPS, 0.0, 1.0), EPS)


@pytest.mark.parametrize("name", PREDICTIONS.names)
@settings(deadline=None)
@given(alpha=coefficients, sigma=coefficients)
def test_image_and_noise_follow_from_the_target_whatever_the_schedule(name, alpha, sigma):
    """Even where alpha^2 + sigma^2 is not 1."""
    prediction, x_t = PREDICTIONS[name], diffuse(X_0, EPS, alpha, sigma)
    target = prediction.target(X_0, EPS, alpha, sigma)
    np.testing.assert_allclose(prediction.x_0(target, x_t, alpha, sigma), X_0, rtol=0, atol=1e-12)
    np.testing.assert_allclose(prediction.eps(target, x_t, alpha, sigma), EPS, rtol=0, atol=1e-12)


def test_the_targets_are_those_of_the_papers():
    targets = {name: PREDICTIONS[name].target(X_0, EPS, 0.6, 0.8) for name in PREDICTIONS.names}
    assert targets["epsilon"] is EPS
    assert targets["sample"] is X_0
    assert_same(targets["v_prediction"], 0.6 * EPS - 0.8 * X_0)


@settings(deadline=None)
@given(st.floats(0.01, math.pi / 2 - 0.01))
def test_velocity_is_the_speed_along_the_circle_of_alpha_and_sigma(angle):
    """Salimans & Ho 2022, Appendix D: v = d x / d phi with alpha = cos phi, sigma = sin phi."""
    after, before = (diffuse(X_0, EPS, math.cos(phi), math.sin(phi)) for phi in (angle + 1e-5, angle - 1e-5))
    v = PREDICTIONS["v_prediction"].target(X_0, EPS, math.cos(angle), math.sin(angle))
    np.testing.assert_allclose((after - before) / 2e-5, v, rtol=0, atol=1e-8)


@pytest.mark.parametrize("name", PREDICTIONS.names)
def test_in_training_each_image_has_coefficients_of_its_own(name):
    x_0, eps = torch.from_numpy(X_0), torch.from_numpy(EPS)
    alpha, sigma = (
        torch.tensor(c, dtype=torch.float64).reshape(3, 1, 1, 1) for c in ([0.9, 0.6, 0.1], [0.1, 0.8, 0.9])
    )
    target = PREDICTIONS[name].target(x_0, eps, alpha, sigma)
    assert_same(target[1], PREDICTIONS[name].target(X_0[1], EPS[1], 0.6, 0.8))
    assert_same(PREDICTIONS[name].eps(target, diffuse(x_0, eps, alpha, sigma), alpha, sigma), EPS)
