"""The terms of the variational bound, against divergences and integrals computed another way."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnistdiff.engine.diffusion.likelihood import (
    decoder_deviation,
    decoder_term,
    denoising_term,
    log_probability_of_levels,
    prior_term,
    timestep_probabilities,
    timestep_weights,
)
from mnistdiff.engine.diffusion.samplers import posterior
from mnistdiff.engine.diffusion.schedule import NoiseSchedule

LEVELS = np.arange(256) / 127.5 - 1
U = (np.arange(300) + 1) / 301
SCHEDULES = {
    "linear": NoiseSchedule.linear(500, 1e-4, 0.02),
    "cosine": NoiseSchedule.cosine(500),
    "two": NoiseSchedule.linear(2, 1e-4, 0.02),
    "flow": NoiseSchedule(alphas=1 - U, sigmas=U),  # of flow matching, which does not preserve the variance
}


def divergence(mean, deviation, other_mean, other_deviation):
    """KL of two normal distributions with independent entries: the sum over all entries, in nats."""
    ratio = deviation / other_deviation
    apart = (mean - other_mean) / other_deviation
    return np.sum(apart**2 / 2 + ratio**2 / 2 - 0.5 - np.log(ratio))


def integral(level, mean, deviation):
    """log of the normal density over the interval of a level, by the midpoint rule, relative to its highest value."""
    low = -np.inf if level == -1 else level - 1 / 255
    high = np.inf if level == 1 else level + 1 / 255
    nearest = min(max(mean, low), high)
    far = 40 * deviation / max(1, abs(nearest - mean) / deviation)
    x = np.linspace(max(low, nearest - far), min(high, nearest + far), 400_001)
    middle, width = (x[1:] + x[:-1]) / 2, x[1] - x[0]
    exponent = ((nearest - mean) ** 2 - (middle - mean) ** 2) / (2 * deviation**2)
    density = np.exp(exponent).sum() * width / (deviation * math.sqrt(2 * math.pi))
    return math.log(density) - (nearest - mean) ** 2 / (2 * deviation**2)


@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
def test_each_denoising_term_is_a_divergence_from_the_posterior(schedule):
    random = np.random.default_rng(0)
    x_0, x_0_pred, x_t = (random.uniform(-1, 1, (3, 1, 4, 4)) for _ in range(3))
    for t in {1, schedule.num_train_timesteps // 2, schedule.num_train_timesteps - 1} - {0}:
        (mean, deviation), (predicted, _) = (posterior(x, x_t, schedule, t, t - 1) for x in (x_0, x_0_pred))
        exact = [divergence(m, deviation, p, deviation) for m, p in zip(mean, predicted, strict=True)]
        np.testing.assert_allclose(denoising_term(x_0, x_0_pred, schedule, t), exact, rtol=1e-9)


@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
def test_the_prior_term_is_the_divergence_of_x_T_from_noise(schedule):
    x_0 = np.random.default_rng(0).uniform(-1, 1, (3, 1, 4, 4))
    T = schedule.num_train_timesteps
    exact = [divergence(schedule.alpha(T - 1) * x, schedule.sigma(T - 1), 0, 1) for x in x_0]
    np.testing.assert_allclose(prior_term(x_0, schedule), exact, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("deviation", [1e-3, 0.0077, 0.1, 1, 20])
@pytest.mark.parametrize("mean", [-1, -0.3, 0.001, 0.77, 1])
def test_the_decoder_integrates_the_normal_density_over_each_level(mean, deviation):
    found = log_probability_of_levels(LEVELS, np.full(256, mean), deviation)
    assert np.exp(found).sum() == pytest.approx(1, abs=1e-12)
    assert np.isfinite(found).all()
    for k in (0, 1, 88, 127, 128, 226, 254, 255):
        assert found[k] == pytest.approx(integral(LEVELS[k], mean, deviation), rel=1e-6, abs=1e-6)


@given(mean=st.floats(-1, 1), deviation=st.floats(1e-4, 1e3))
def test_the_levels_have_the_probability_1_in_all_and_fall_away_from_the_mean(mean, deviation):
    found = log_probability_of_levels(LEVELS, np.full(256, mean), deviation)
    assert np.exp(found).sum() == pytest.approx(1, abs=1e-11)
    at = int(np.argmin(np.abs(LEVELS - mean)))
    inner = found[1:-1]  # the outermost levels have all that lies beyond
    assert (np.diff(inner[: max(at - 1, 0)]) >= -1e-6).all()
    assert (np.diff(inner[at:]) <= 1e-6).all()


def test_the_decoder_has_the_deviation_of_the_step_before_it():
    schedule = NoiseSchedule.linear(500, 1e-4, 0.02)
    betas = np.linspace(1e-4, 0.02, 500)
    bars = np.cumprod(1 - betas)
    assert decoder_deviation(schedule) ** 2 == pytest.approx(betas[1] * (1 - bars[0]) / (1 - bars[1]), rel=1e-9)
    x_0 = LEVELS[np.random.default_rng(0).integers(0, 256, (2, 1, 3, 3))]
    pixels = log_probability_of_levels(x_0, x_0 * 0.99, decoder_deviation(schedule))
    np.testing.assert_allclose(decoder_term(x_0, x_0 * 0.99, schedule), -pixels.sum(axis=(1, 2, 3)))


@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
@pytest.mark.parametrize("evaluations", [1, 5, 11])
def test_the_mean_of_the_weights_is_1_for_every_timestep(schedule, evaluations):
    probabilities = timestep_probabilities(schedule)
    assert probabilities.sum() == pytest.approx(1)
    assert (probabilities > 0).all()
    offsets = (np.arange(20_000) + 0.5) / 20_000
    weights = timestep_weights(probabilities, evaluations, offsets)
    likely = probabilities > 0.002
    assert likely.any()
    np.testing.assert_allclose(weights.mean(axis=0)[likely], 1, atol=0.03)
    assert ((weights > 0).sum(axis=1) <= evaluations).all()


def test_as_many_evaluations_as_timesteps_evaluate_each_once():
    probabilities = timestep_probabilities(SCHEDULES["linear"])
    assert (timestep_weights(probabilities, 499, np.zeros(3)) == 1).all()
