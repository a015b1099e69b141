"""Laws of the samplers, with the one denoiser that is known exactly: that of Gaussian data.

For pixels x_0 ~ N(MEAN, STD^2), E[x_0 | x_t] is linear in x_t, x_t stays Gaussian, and the probability-flow ODE keeps
each pixel at its number of standard deviations. MEAN and STD are small, so that no prediction is ever clipped.
"""

import math
from itertools import count

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnistdiff.engine.diffusion.predictions import eps_from_x_0
from mnistdiff.engine.diffusion.schedule import NoiseSchedule
from mnistdiff.sample_settings import SampleSettings
from mnistdiff.setting_types import SAMPLERS

MEAN, STD = 0.1, 0.15
LINEAR = NoiseSchedule.linear(1000, 1e-4, 0.02)
COSINE = NoiseSchedule.cosine(1000)
SHORT = NoiseSchedule.linear(30, 1e-3, 0.3)
U = (np.arange(1000) + 1) / 1001
FLOW = NoiseSchedule(alphas=1 - U, sigmas=U)
"""Of flow matching, which does not preserve the variance."""
ETA = [("ddpm", 1.0), ("ddim", 0.0), ("ddim", 0.5), ("ddim", 1.0), ("dpmpp_2m", 0.0)]


def optimal(schedule):
    """E[x_0 | x_t] for x_0 ~ N(MEAN, STD^2): what the best possible network would predict."""

    def predict(x_t, t):
        alpha, sigma = schedule.alpha(t), schedule.sigma(t)
        return MEAN + STD**2 * alpha / (alpha**2 * STD**2 + sigma**2) * (x_t - alpha * MEAN)

    return predict


def marginal(schedule, t):
    """Mean and standard deviation of x_t."""
    return schedule.alpha(t) * MEAN, math.hypot(schedule.alpha(t) * STD, schedule.sigma(t))


def no_noise(draw):
    pytest.fail("a deterministic sampler needs no noise")


def stepping(name, x_T, *, schedule, steps, eta=0.0, predict=None, noise=no_noise):
    sampler = SAMPLERS[name](SampleSettings(eta=eta))
    timesteps = schedule.inference_timesteps(steps)
    return sampler(predict or optimal(schedule), x_T, schedule=schedule, timesteps=timesteps, noise=noise)


def states(name, x_T, **options):
    return list(stepping(name, x_T, **options))


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def law_of_samples(name, *, schedule, steps, eta):
    """The exact mean and standard deviation of the samples, without random numbers.

    With a linear denoiser the result is linear in x_T and in every draw of noise. Pixel 0 sees no noise at all, pixel
    k + 1 a unit of draw k alone: together they show the mean and every coefficient.
    """

    def unit(draw):
        return (np.arange(steps + 2) == draw + 1).astype(float)

    x_0 = states(name, unit(0), schedule=schedule, steps=steps, eta=eta, noise=unit)[-1].x_t
    return x_0[0], math.sqrt(sum((x_0[1:] - x_0[0]) ** 2))


@pytest.mark.parametrize("schedule", [LINEAR, COSINE, FLOW], ids=["linear", "cosine", "flow"])
@pytest.mark.parametrize(("name", "eta"), ETA)
def test_gaussian_data_come_back_with_their_mean_and_spread(name, eta, schedule):
    mean, std = law_of_samples(name, schedule=schedule, steps=1000, eta=eta)
    assert mean == pytest.approx(MEAN, rel=0.002)
    assert std == pytest.approx(STD, rel=0.03)


@pytest.mark.parametrize(("name", "eta"), ETA)
def test_finer_schedules_come_nearer_to_the_true_spread(name, eta):
    coarse, fine = (
        abs(law_of_samples(name, schedule=NoiseSchedule.cosine(T), steps=T, eta=eta)[1] - STD) for T in (200, 800)
    )
    assert fine < coarse / 2.5


def error_at(t, steps, name):
    """Distance from the exact solution of the probability-flow ODE, from x_T down to x_t."""
    schedule = NoiseSchedule.linear(961, 1e-4, 0.02)
    x_T = np.linspace(-2, 2, 5)
    (mean_T, std_T), (mean, std) = marginal(schedule, 960), marginal(schedule, t)
    exact = mean + std * (x_T - mean_T) / std_T
    ends = [t_prev for _, t_prev in schedule.inference_timesteps(steps)]
    x_t = states(name, x_T, schedule=schedule, steps=steps)[ends.index(t)].x_t
    return abs(x_t - exact).max()


@pytest.mark.parametrize("t", [192, 384])
@pytest.mark.parametrize(("name", "fewer_times_more"), [("ddim", (1.9, 2.1)), ("dpmpp_2m", (3.6, 4.1))])
def test_halving_the_step_halves_the_error_of_ddim_and_quarters_that_of_dpmpp_2m(name, fewer_times_more, t):
    errors = [error_at(t, 960 // stride + 1, name) for stride in (48, 24, 12, 6)]
    low, high = fewer_times_more
    assert all(low < coarse / fine < high for coarse, fine in zip(errors, errors[1:], strict=False)), errors


def test_twenty_steps_of_dpmpp_2m_are_nearer_to_the_ode_than_twenty_of_ddim():
    assert error_at(192, 21, "dpmpp_2m") < error_at(192, 21, "ddim") / 4


@pytest.mark.parametrize(("name", "eta"), ETA)
@settings(deadline=None)
@given(steps=st.integers(1, 30))
def test_so_many_steps_are_so_many_evaluations_at_the_timesteps_of_the_schedule(name, eta, steps):
    evaluated = []

    def predict(x_t, t):
        evaluated.append(t)
        return 0.5 * x_t

    found = states(name, normal(3), schedule=SHORT, steps=steps, eta=eta, predict=predict, noise=lambda _: normal(3))
    expected = [t for t, _ in SHORT.inference_timesteps(steps)]
    assert [step.t for step in found] == evaluated == expected


@pytest.mark.parametrize(("name", "eta"), ETA)
def test_a_step_is_yielded_before_the_next_is_computed(name, eta):
    evaluations = count()

    def predict(x_t, t):
        next(evaluations)
        return x_t

    steps = stepping(name, normal(3), schedule=SHORT, steps=9, eta=eta, predict=predict, noise=lambda _: 0)
    next(steps), next(steps)
    assert next(evaluations) == 2


@pytest.mark.parametrize("steps", [1, 2, 7, 30])
def test_ddpm_is_ddim_with_eta_one_step_by_step(steps):
    x_T = normal(4, 1, 8, 8)
    by_name = [
        states(name, x_T, schedule=SHORT, steps=steps, eta=1.0, noise=lambda draw: normal(4, 1, 8, 8, seed=draw))
        for name in ("ddpm", "ddim")
    ]
    for ddpm, ddim in zip(*by_name, strict=True):
        np.testing.assert_allclose(ddpm.x_t, ddim.x_t, rtol=0, atol=1e-12)


@pytest.mark.parametrize("eta", [0.0, 0.3, 1.0])
def test_the_noise_of_ddim_is_eta_times_the_posterior_deviation(eta):
    """Song et al. 2021, Eq. 16."""
    still, moved = (
        states("ddim", np.zeros(1), schedule=SHORT, steps=7, eta=eta, noise=lambda draw, z=z: z)[0].x_t for z in (0, 1)
    )
    (t, t_prev), *_ = SHORT.inference_timesteps(7)
    alpha_bar, alpha_bar_prev = SHORT.alpha(t) ** 2, SHORT.alpha(t_prev) ** 2
    posterior_variance = (1 - alpha_bar_prev) / (1 - alpha_bar) * (1 - alpha_bar / alpha_bar_prev)
    np.testing.assert_allclose(moved - still, eta * math.sqrt(posterior_variance), rtol=1e-12)


def algorithm_2(predict_eps, x, betas, noise):
    """Ho et al. 2020, Algorithm 2, word for word: t = T ... 1, sigma_t^2 the posterior variance."""
    alphas = 1 - betas
    bars = np.concatenate([[1.0], np.cumprod(alphas)])
    for draw, t in enumerate(range(len(betas), 0, -1), start=1):
        z = noise(draw) if t > 1 else 0.0
        alpha, beta = alphas[t - 1], betas[t - 1]
        sigma = np.sqrt((1 - bars[t - 1]) / (1 - bars[t]) * beta)
        x = 1 / np.sqrt(alpha) * (x - beta / np.sqrt(1 - bars[t]) * predict_eps(x, t - 1)) + sigma * z
    return x


@pytest.mark.parametrize("steps", [1, 2, 7, 29, 30])
def test_ddpm_is_algorithm_2_on_its_timesteps(steps):
    def noise(draw):
        return normal(4, 1, 8, 8, seed=draw)

    timesteps = [t for t, _ in SHORT.inference_timesteps(steps)][::-1]
    alpha_bars = SHORT.alphas[timesteps] ** 2
    betas = 1 - alpha_bars / np.concatenate([[1.0], alpha_bars[:-1]])

    def predict_eps(x, index):
        t = timesteps[index]
        return eps_from_x_0(optimal(SHORT)(x, t), x, SHORT.alpha(t), SHORT.sigma(t))

    expected = algorithm_2(predict_eps, noise(0), betas, noise)
    x_0 = states("ddpm", noise(0), schedule=SHORT, steps=steps, noise=noise)[-1].x_t
    np.testing.assert_allclose(x_0, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("name", "eta"), ETA)
@pytest.mark.parametrize("steps", [1, 2, 5, 30])
def test_the_last_state_is_the_predicted_image(name, eta, steps):
    last = states(name, normal(50), schedule=SHORT, steps=steps, eta=eta, noise=lambda _: normal(50))[-1]
    np.testing.assert_allclose(last.x_t, last.x_0_pred, rtol=0, atol=1e-12)


def test_after_clipping_ddim_goes_on_with_the_noise_that_agrees_with_the_clipped_image():
    x_T = np.array([3.0])
    first = states("ddim", x_T, schedule=SHORT, steps=2, predict=lambda x_t, t: np.ones(1))[0]
    eps = (x_T - SHORT.alpha(29)) / SHORT.sigma(29)
    np.testing.assert_allclose(first.x_t, SHORT.alpha(0) + SHORT.sigma(0) * eps)
