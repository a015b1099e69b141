"""Samplers: ddpm, ddim and dpmpp_2m.

A sampler is a generator that yields a ``SampleStep`` after each network evaluation.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from mnistdiff.engine.diffusion.predictions import FloatArray, eps_from_x_0
from mnistdiff.engine.diffusion.schedule import NoiseSchedule
from mnistdiff.sample_settings import SampleSettings
from mnistdiff.setting_types import SAMPLERS

PredictX0 = Callable[[FloatArray, int], FloatArray]
"""The predicted image: (x_t, t) -> x_0 in [-1, 1], both of shape (B, 1, H, W). Evaluates the network once.

It is clipped, which keeps a strongly guided or early prediction from leaving the range of images.
"""
Timesteps = Sequence[tuple[int, int]]
"""Pairs (t, t_prev), as ``NoiseSchedule.inference_timesteps`` gives them."""
DrawNoise = Callable[[int], FloatArray]
"""Standard normal noise for draw number 1, 2, ...; draw 0 was x_T."""


@dataclass(frozen=True)
class SampleStep:
    """The state after one step.

    Attributes:
        t: the timestep at which the network was evaluated.
        x_t: the next, less noisy state; after the last step the image itself.
        x_0_pred: the image as predicted at t, in [-1, 1].
    """

    t: int
    x_t: FloatArray
    x_0_pred: FloatArray


class Sampler(Protocol):
    """From noise to images, one step for each pair of timesteps."""

    def __call__(
        self,
        predict_x_0: PredictX0,
        x_T: FloatArray,
        *,
        schedule: NoiseSchedule,
        timesteps: Timesteps,
        noise: DrawNoise,
    ) -> Iterator[SampleStep]:
        """Sample.

        Args:
            predict_x_0: the (guided) network.
            x_T: the state at the first timestep, shape (B, 1, H, W); standard normal noise for t = T - 1.
            schedule: that of the training.
            timesteps: one network evaluation each.
            noise: fresh noise, for samplers that add some.
        """
        ...


def posterior(
    x_0: FloatArray, x_t: FloatArray, schedule: NoiseSchedule, t: int, t_prev: int
) -> tuple[FloatArray, float]:
    """Mean and standard deviation of q(x_prev | x_t, x_0) (Ho et al. 2020, Eq. 6 and 7, for any two timesteps)."""
    alpha_step, sigma_step = schedule.transition(t, t_prev)
    sigma, sigma_prev = schedule.sigma(t), schedule.sigma(t_prev)
    fresh, kept = (sigma_step / sigma) ** 2, (sigma_prev / sigma) ** 2
    mean = schedule.alpha(t_prev) * fresh * x_0 + alpha_step * kept * x_t
    return mean, sigma_prev * math.sqrt(fresh)


def ddpm(
    predict_x_0: PredictX0, x_T: FloatArray, *, schedule: NoiseSchedule, timesteps: Timesteps, noise: DrawNoise
) -> Iterator[SampleStep]:
    """Ancestral sampling (Ho et al. 2020, Algorithm 2): each step samples from ``posterior``."""
    x_t = x_T
    for draw, (t, t_prev) in enumerate(timesteps, start=1):
        x_0 = predict_x_0(x_t, t)
        mean, deviation = posterior(x_0, x_t, schedule, t, t_prev)
        x_t = mean + deviation * noise(draw) if t_prev >= 0 else mean
        yield SampleStep(t, x_t, x_0)


def ddim(
    predict_x_0: PredictX0,
    x_T: FloatArray,
    *,
    schedule: NoiseSchedule,
    timesteps: Timesteps,
    noise: DrawNoise,
    eta: float = 0.0,
) -> Iterator[SampleStep]:
    """Implicit sampling (Song et al. 2021, Eq. 12; arXiv 2010.02502).

    ``eta`` 0 is deterministic; 1 adds as much noise as ``ddpm`` (Eq. 16).
    """
    x_t = x_T
    for draw, (t, t_prev) in enumerate(timesteps, start=1):
        x_0 = predict_x_0(x_t, t)
        # The noise that agrees with the clipped image, not the one predicted before clipping.
        eps = eps_from_x_0(x_0, x_t, schedule.alpha(t), schedule.sigma(t))
        sigma_prev = schedule.sigma(t_prev)
        variance = (eta * schedule.transition(t, t_prev)[1] / schedule.sigma(t) * sigma_prev) ** 2
        x_t = schedule.alpha(t_prev) * x_0 + math.sqrt(max(sigma_prev**2 - variance, 0.0)) * eps
        if variance > 0:
            x_t = x_t + math.sqrt(variance) * noise(draw)
        yield SampleStep(t, x_t, x_0)


def dpmpp_2m(
    predict_x_0: PredictX0, x_T: FloatArray, *, schedule: NoiseSchedule, timesteps: Timesteps, noise: DrawNoise
) -> Iterator[SampleStep]:
    """DPM-Solver++(2M) (Lu et al. 2022, Algorithm 2; arXiv 2211.01095): second order, deterministic.

    The predicted image is extrapolated in lambda = log(alpha / sigma) from the last two evaluations. The first step has
    no history and the last leads to sigma = 0, where extrapolation would divide by an infinite step: both are of
    first order.
    """
    x_t = x_T
    history: tuple[FloatArray, float] | None = None
    for t, t_prev in timesteps:
        x_0 = predict_x_0(x_t, t)
        if t_prev < 0:
            x_t = x_0
        else:
            lambda_t = schedule.half_log_snr(t)
            h = schedule.half_log_snr(t_prev) - lambda_t
            d = x_0
            if history is not None:
                x_0_last, lambda_last = history
                r = (lambda_t - lambda_last) / h
                d = (1 + 1 / (2 * r)) * x_0 - 1 / (2 * r) * x_0_last
            x_t = schedule.sigma(t_prev) / schedule.sigma(t) * x_t - schedule.alpha(t_prev) * math.expm1(-h) * d
            history = x_0, lambda_t
        yield SampleStep(t, x_t, x_0)


SamplerFactory = Callable[[SampleSettings], Sampler]
"""A sampler with the settings that are its own, such as ``eta``."""

SAMPLERS.add("ddpm", lambda settings: ddpm)
SAMPLERS.add("ddim", lambda settings: partial(ddim, eta=settings.eta))
SAMPLERS.add("dpmpp_2m", lambda settings: dpmpp_2m)
