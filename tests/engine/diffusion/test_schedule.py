import math
import operator
from itertools import accumulate

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from mnistdiff.engine.diffusion.schedule import NoiseSchedule
from mnistdiff.settings import TrainSettings

betas = st.floats(1e-5, 0.05)
schedules = st.builds(
    lambda T, start, rise, cosine: NoiseSchedule.cosine(T) if cosine else NoiseSchedule.linear(T, start, start + rise),
    st.integers(2, 600),
    betas,
    betas,
    st.booleans(),
)


def betas_of(schedule):
    return np.array([schedule.transition(t, t - 1)[1] ** 2 for t in range(schedule.num_train_timesteps)])


@settings(deadline=None)
@given(schedules)
def test_alpha_falls_and_sigma_rises_and_together_they_preserve_the_variance(schedule):
    assert len(schedule.alphas) == len(schedule.sigmas) == schedule.num_train_timesteps
    assert np.all(schedule.alphas > 0)
    assert np.all(np.diff(schedule.alphas) < 0)
    assert schedule.alphas.dtype == schedule.sigmas.dtype == np.float64
    np.testing.assert_allclose(schedule.alphas**2 + schedule.sigmas**2, 1, rtol=1e-15)


@settings(deadline=None)
@given(st.lists(st.floats(1e-6, 0.999), min_size=1, max_size=50))
def test_alpha_bar_is_the_product_of_one_minus_beta(betas):
    schedule = NoiseSchedule.from_betas(np.array(betas))
    np.testing.assert_allclose(schedule.alphas**2, list(accumulate((1 - beta for beta in betas), operator.mul)))


@settings(deadline=None)
@given(schedules, st.data())
def test_one_transition_after_another_is_one_transition(schedule, data):
    """Between neighbours it is a step of Ho et al. 2020, Eq. 2, whose betas are tested below."""
    s, t, u = sorted(data.draw(st.lists(st.integers(-1, len(schedule.alphas) - 1), min_size=3, max_size=3)))
    (alpha_ts, sigma_ts), (alpha_ut, sigma_ut) = schedule.transition(t, s), schedule.transition(u, t)
    expected = alpha_ut * alpha_ts, math.hypot(alpha_ut * sigma_ts, sigma_ut)
    np.testing.assert_allclose(schedule.transition(u, s), expected, rtol=1e-9, atol=1e-12)


@settings(deadline=None)
@given(st.integers(2, 600), betas, betas)
def test_linear_betas_rise_evenly_between_the_given_ends(timesteps, start, rise):
    found = betas_of(NoiseSchedule.linear(timesteps, start, start + rise))
    np.testing.assert_allclose(found, np.linspace(start, start + rise, timesteps), rtol=1e-8)


@pytest.mark.parametrize("T", [2, 3, 50, 500, 4000])
def test_cosine_is_equation_17_of_nichol_and_dhariwal(T):
    def f(t):
        return math.cos((t / T + 0.008) / 1.008 * math.pi / 2) ** 2

    schedule = NoiseSchedule.cosine(T)
    np.testing.assert_allclose(schedule.alphas[:-1] ** 2, [f(t) / f(0) for t in range(1, T)], rtol=1e-9)
    assert betas_of(schedule)[-1] == pytest.approx(0.999)


def test_the_default_schedule_leaves_eight_percent_of_the_amplitude():
    schedule = NoiseSchedule.from_settings(TrainSettings())
    assert schedule.num_train_timesteps == 500
    assert schedule.alpha(499) == pytest.approx(0.08, abs=0.0005)


def test_the_settings_choose_the_schedule():
    for train, expected in (
        (TrainSettings(timesteps=30, beta_schedule="cosine"), NoiseSchedule.cosine(30)),
        (TrainSettings(timesteps=30, beta_start=0.01, beta_end=0.3), NoiseSchedule.linear(30, 0.01, 0.3)),
    ):
        np.testing.assert_array_equal(NoiseSchedule.from_settings(train).alphas, expected.alphas)


@settings(deadline=None)
@given(
    st.fixed_dictionaries(
        {"timesteps": st.integers(2, 10_000)},
        optional={
            "beta_start": st.floats(-9, -0.1).map(lambda exponent: 10**exponent),
            "beta_end": st.floats(-9, -0.1).map(lambda exponent: 10**exponent),
            "beta_schedule": st.just("cosine"),
        },
    )
)
@example({"beta_start": 1e-20})
@example({"beta_start": 1e-17, "beta_end": 1e-16})
@example({"timesteps": 10_000, "beta_end": 0.5})
@example({"timesteps": 10_000, "beta_start": 0.99, "beta_end": 0.99})
@example({"timesteps": 10_000, "beta_schedule": "cosine"})
@example({"timesteps": 2, "beta_schedule": "cosine"})
def test_settings_that_would_leave_all_or_nothing_of_the_image_are_refused(values):
    """Samplers divide float32 images by alpha and by sigma."""
    try:
        train = TrainSettings(**values)
    except ValidationError:
        return
    schedule = NoiseSchedule.from_settings(train)
    assert 0 < schedule.alphas[-1] < schedule.alphas[0] < 1
    assert np.all(np.diff(schedule.alphas) < 0)
    assert math.isfinite(np.float32(10) / np.float32(schedule.alphas[-1]))
    assert math.isfinite(np.float32(10) / np.float32(schedule.sigmas[0]))


def test_the_clean_image_has_alpha_1_and_sigma_0():
    schedule = NoiseSchedule.linear(4, 0.1, 0.4)
    assert [schedule.alpha(t) for t in range(-1, 4)] == [1.0, *schedule.alphas]
    assert [schedule.sigma(t) for t in range(-1, 4)] == [0.0, *schedule.sigmas]


@pytest.mark.parametrize("spacing", ["even", "trailing"])
@pytest.mark.parametrize("T", [2, 3, 4, 7, 10, 500])
def test_every_number_of_steps_goes_from_noise_to_image_in_exactly_so_many(T, spacing):
    schedule = NoiseSchedule.linear(T, 1e-4, 0.02)
    for S in range(1, T + 1):
        pairs = schedule.inference_timesteps(S, spacing)
        ts, t_prevs = [t for t, _ in pairs], [t_prev for _, t_prev in pairs]
        assert len(pairs) == S
        assert ts[0] == T - 1
        assert t_prevs == [*ts[1:], -1]
        assert all(t > t_prev for t, t_prev in pairs)
        exact = np.linspace(T - 1, 0, S) if spacing == "even" else np.linspace(T - 1, -1, S + 1)[:-1]
        assert np.abs(ts - exact).max() <= 0.5 + 1e-9, f"{S} of {T} steps are not evenly spaced"
    assert ts == list(range(T - 1, -1, -1))


@pytest.mark.parametrize("spacing", ["even", "trailing"])
def test_steps_from_the_middle_are_those_of_a_schedule_that_ends_there(spacing):
    schedule = NoiseSchedule.cosine(50)
    for start in range(50):
        shorter = NoiseSchedule.cosine(start + 1)
        for S in range(1, start + 2):
            timesteps = schedule.inference_timesteps(S, spacing, start=start)
            assert timesteps == shorter.inference_timesteps(S, spacing)
    assert timesteps == schedule.inference_timesteps(50, spacing)


@pytest.mark.parametrize(("start", "S"), [(-1, 1), (50, 1), (9, 11), (9, 0)])
def test_timesteps_outside_the_schedule_are_refused(start, S):
    with pytest.raises(ValueError, match=r"must be in"):
        NoiseSchedule.cosine(50).inference_timesteps(S, start=start)


@pytest.mark.parametrize("S", [-1, 0, 8, 500])
def test_a_number_of_steps_outside_the_schedule_is_refused(S):
    with pytest.raises(ValueError, match=rf"must be in 1\.\.\.7, not {S}"):
        NoiseSchedule.linear(7, 1e-4, 0.02).inference_timesteps(S)
