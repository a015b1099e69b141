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


@settings(deadline=None)
@given(schedules)
def test_the_signal_falls_from_the_image_towards_nothing(schedule):
    assert len(schedule.alphas_cumprod) == len(schedule.betas) == schedule.num_train_timesteps
    assert np.all((schedule.alphas_cumprod > 0) & (schedule.alphas_cumprod < 1))
    assert np.all(np.diff(schedule.alphas_cumprod) < 0)
    assert schedule.alphas_cumprod.dtype == schedule.betas.dtype == np.float64


@settings(deadline=None)
@given(schedules)
def test_alphas_cumprod_is_the_product_of_one_minus_beta(schedule):
    product = list(accumulate((1 - beta for beta in schedule.betas.tolist()), operator.mul))
    np.testing.assert_allclose(schedule.alphas_cumprod, product, rtol=1e-12)


@settings(deadline=None)
@given(st.integers(2, 600), betas, betas)
def test_linear_betas_rise_evenly_between_the_given_ends(timesteps, start, rise):
    schedule = NoiseSchedule.linear(timesteps, start, start + rise)
    assert (schedule.betas[0], schedule.betas[-1]) == (start, start + rise)
    np.testing.assert_allclose(np.diff(schedule.betas), rise / (timesteps - 1), rtol=1e-6)


@pytest.mark.parametrize("T", [2, 3, 50, 500, 4000])
def test_cosine_is_equation_17_of_nichol_and_dhariwal(T):
    def f(t):
        return math.cos((t / T + 0.008) / 1.008 * math.pi / 2) ** 2

    schedule = NoiseSchedule.cosine(T)
    unclipped = schedule.betas < 0.999
    assert np.all(unclipped[:-1])
    np.testing.assert_allclose(schedule.alphas_cumprod[:-1], [f(t) / f(0) for t in range(1, T)], rtol=1e-9)
    assert schedule.betas[-1] == 0.999


def test_the_default_schedule_leaves_eight_percent_of_the_amplitude():
    schedule = NoiseSchedule.from_settings(TrainSettings())
    assert (schedule.num_train_timesteps, schedule.betas[0], schedule.betas[-1]) == (500, 1e-4, 0.02)
    assert 0.0063 < schedule.alphas_cumprod[-1] < 0.0064
    assert schedule.terminal_signal == pytest.approx(math.sqrt(schedule.alphas_cumprod[-1]))


def test_the_settings_choose_the_schedule():
    train = TrainSettings(timesteps=30, beta_schedule="cosine")
    np.testing.assert_array_equal(NoiseSchedule.from_settings(train).betas, NoiseSchedule.cosine(30).betas)
    train = TrainSettings(timesteps=30, beta_start=0.01, beta_end=0.3)
    np.testing.assert_array_equal(NoiseSchedule.from_settings(train).betas, np.linspace(0.01, 0.3, 30))


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
    """Samplers divide float32 images by sqrt(alpha_bar) and by 1 - alpha_bar."""
    try:
        train = TrainSettings(**values)
    except ValidationError:
        return
    alphas_cumprod = NoiseSchedule.from_settings(train).alphas_cumprod
    assert 0 < alphas_cumprod[-1] < alphas_cumprod[0] < 1
    assert np.all(np.diff(alphas_cumprod) < 0)
    assert math.isfinite(np.float32(10) / np.float32(math.sqrt(alphas_cumprod[-1])))
    assert math.isfinite(np.float32(10) / np.float32(math.sqrt(1 - alphas_cumprod[0])))


def test_alpha_bar_is_one_for_the_clean_image():
    schedule = NoiseSchedule.linear(4, 0.1, 0.4)
    assert [schedule.alpha_bar(t) for t in range(-1, 4)] == [1.0, *schedule.alphas_cumprod]


@pytest.mark.parametrize("spacing", ["even", "trailing"])
@pytest.mark.parametrize("T", [2, 3, 4, 7, 10, 500])
def test_every_number_of_steps_walks_from_noise_to_image_in_exactly_so_many(T, spacing):
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
def test_a_walk_from_the_middle_is_that_of_a_schedule_that_ends_there(spacing):
    schedule = NoiseSchedule.cosine(50)
    for start in range(50):
        shorter = NoiseSchedule.cosine(start + 1)
        for S in range(1, start + 2):
            walked = schedule.inference_timesteps(S, spacing, start=start)
            assert walked == shorter.inference_timesteps(S, spacing)
    assert walked == schedule.inference_timesteps(50, spacing)


@pytest.mark.parametrize(("start", "S"), [(-1, 1), (50, 1), (9, 11), (9, 0)])
def test_a_walk_that_the_schedule_does_not_hold_is_refused(start, S):
    with pytest.raises(ValueError, match=r"must be in"):
        NoiseSchedule.cosine(50).inference_timesteps(S, start=start)


@pytest.mark.parametrize("S", [-1, 0, 8, 500])
def test_a_number_of_steps_outside_the_schedule_is_refused(S):
    with pytest.raises(ValueError, match=rf"must be in 1\.\.\.7, not {S}"):
        NoiseSchedule.linear(7, 1e-4, 0.02).inference_timesteps(S)
