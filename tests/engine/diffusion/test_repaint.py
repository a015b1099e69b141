"""RePaint: the known part stays, the missing part is sampled as by ddpm, both with the noise of the schedule."""

import numpy as np
import pytest

from mnistdiff.engine.diffusion.repaint import repaint
from mnistdiff.engine.diffusion.samplers import ddpm
from mnistdiff.engine.diffusion.schedule import NoiseSchedule

SCHEDULE = NoiseSchedule.linear(60, 1e-3, 0.2)
SIGMAS = np.arange(1, 61) / 61
STRAIGHT = NoiseSchedule(alphas=1 - SIGMAS, sigmas=SIGMAS)
KNOWN = np.random.default_rng(1).uniform(-1, 1, (4, 4))
LEFT = (np.indices((4, 4))[1] < 2).astype(float)


def numbered(draw, shape=(3, 4, 4)):
    return np.random.default_rng(draw).standard_normal(shape)


def certain(image):
    """The network that knows the image."""
    return lambda x_t, t: np.broadcast_to(image, x_t.shape)


def states(predict, *, schedule=SCHEDULE, steps=12, missing=LEFT, resample_steps=1, noise=numbered):
    return list(
        repaint(
            predict,
            noise(10**6),
            schedule=schedule,
            timesteps=schedule.inference_timesteps(steps),
            noise=noise,
            known=KNOWN,
            missing=missing,
            resample_steps=resample_steps,
        )
    )


@pytest.mark.parametrize("resample_steps", [1, 2, 7])
@pytest.mark.parametrize("steps", [1, 2, 12, 60])
def test_what_is_known_stays_and_every_evaluation_is_a_step(steps, resample_steps):
    seen = []

    def predict(x_t, t):
        seen.append(t)
        return np.tanh(x_t)

    path = states(predict, steps=steps, resample_steps=resample_steps)
    assert len(path) == len(seen) == (steps - 1) * resample_steps + 1
    assert seen == [step.t for step in path] == sorted(seen, reverse=True)
    result = path[-1].x_t
    assert np.array_equal(result[:, LEFT == 0], np.broadcast_to(KNOWN, result.shape)[:, LEFT == 0])
    assert not np.allclose(result[:, LEFT == 1], np.broadcast_to(KNOWN, result.shape)[:, LEFT == 1], atol=0.1)


def test_with_nothing_known_one_resample_step_is_the_ancestral_sampler():
    def predict(x_t, t):
        return np.tanh(x_t) * (t + 1) / 60

    timesteps = SCHEDULE.inference_timesteps(12)
    ancestral = list(
        ddpm(
            predict,
            numbered(10**6),
            schedule=SCHEDULE,
            timesteps=timesteps,
            noise=lambda draw: numbered(3 * (draw - 1) + 1),
        )
    )
    for mine, theirs in zip(states(predict, missing=np.ones((4, 4))), ancestral, strict=True):
        np.testing.assert_allclose(mine.x_t, theirs.x_t)
        np.testing.assert_allclose(mine.x_0_pred, theirs.x_0_pred)


@pytest.mark.parametrize(("schedule", "resample_steps"), [(SCHEDULE, 1), (SCHEDULE, 5), (STRAIGHT, 3)])
def test_after_every_step_every_pixel_is_as_noisy_as_the_schedule_says(schedule, resample_steps):
    """With a network that knows the image, x_t ~ N(alpha x_0, sigma^2) after every step."""
    trials = 4000

    def noise(draw):
        return numbered(draw, (trials, 4, 4))

    path = states(certain(KNOWN), schedule=schedule, steps=6, resample_steps=resample_steps, noise=noise)
    pairs = [pair for pair in schedule.inference_timesteps(6)[:-1] for _ in range(resample_steps)]
    for step, (t, t_prev) in zip(path[:-1], pairs, strict=True):
        assert step.t == t
        deviations = (step.x_t - schedule.alpha(t_prev) * KNOWN) / schedule.sigma(t_prev)
        assert np.abs(deviations.mean(axis=0)).max() < 0.08
        assert np.abs(deviations.std(axis=0) - 1).max() < 0.06
    np.testing.assert_allclose(path[-1].x_t, np.broadcast_to(KNOWN, (trials, 4, 4)), atol=1e-9)
