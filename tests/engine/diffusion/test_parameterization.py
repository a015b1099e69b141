import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mnistdiff.engine.diffusion.parameterization import diffuse, eps_from_prediction, eps_from_velocity, velocity

X_0, EPS = np.random.default_rng(0).standard_normal((2, 3, 1, 4, 4))
alpha_bars = st.floats(1e-9, 1 - 1e-9)


def coefficients(alpha_bar):
    return math.sqrt(alpha_bar), math.sqrt(1 - alpha_bar)


def assert_same(found, expected):
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-13)


def test_little_noise_leaves_the_image_and_much_leaves_the_noise():
    assert_same(diffuse(X_0, EPS, 1.0, 0.0), X_0)
    assert_same(diffuse(X_0, EPS, 0.0, 1.0), EPS)
    assert_same(velocity(X_0, EPS, 1.0, 0.0), EPS)
    assert_same(velocity(X_0, EPS, 0.0, 1.0), -X_0)


@settings(deadline=None)
@given(alpha_bars)
def test_image_and_noise_follow_from_state_and_velocity(alpha_bar):
    signal, sigma = coefficients(alpha_bar)
    x_t, v = diffuse(X_0, EPS, signal, sigma), velocity(X_0, EPS, signal, sigma)
    assert_same(eps_from_velocity(v, x_t, signal, sigma), EPS)
    assert_same(signal * x_t - sigma * v, X_0)


@settings(deadline=None)
@given(st.floats(0.01, math.pi / 2 - 0.01))
def test_velocity_is_the_speed_along_the_circle_of_signal_and_sigma(angle):
    """Salimans & Ho 2022, Appendix D: v = d x / d phi with signal = cos phi, sigma = sin phi."""
    after, before = (diffuse(X_0, EPS, math.cos(phi), math.sin(phi)) for phi in (angle + 1e-5, angle - 1e-5))
    v = velocity(X_0, EPS, math.cos(angle), math.sin(angle))
    np.testing.assert_allclose((after - before) / 2e-5, v, rtol=0, atol=1e-8)


@settings(deadline=None)
@given(alpha_bars)
def test_the_noise_follows_from_either_kind_of_prediction(alpha_bar):
    signal, sigma = coefficients(alpha_bar)
    x_t = diffuse(X_0, EPS, signal, sigma)
    assert_same(eps_from_prediction(velocity(X_0, EPS, signal, sigma), x_t, alpha_bar, "v_prediction"), EPS)
    assert eps_from_prediction(EPS, x_t, alpha_bar, "epsilon") is EPS


def test_coefficients_may_differ_from_image_to_image():
    signal, sigma = (np.array(c).reshape(3, 1, 1, 1) for c in ([1.0, 0.6, 0.0], [0.0, 0.8, 1.0]))
    x_t, v = diffuse(X_0, EPS, signal, sigma), velocity(X_0, EPS, signal, sigma)
    assert_same(x_t[1], 0.6 * X_0[1] + 0.8 * EPS[1])
    assert_same(v[1], 0.6 * EPS[1] - 0.8 * X_0[1])
    assert_same(eps_from_velocity(v, x_t, signal, sigma), EPS)
