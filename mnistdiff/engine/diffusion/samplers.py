"""Walks from noise to image: ddpm, ddim and dpmpp_2m.

A sampler is a generator that yields a ``SampleStep`` after each network evaluation. It uses array arithmetic with
Python-float coefficients and ``.clip`` alone, so NumPy arrays and torch tensors both serve.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from mnistdiff.engine.diffusion.parameterization import Array
from mnistdiff.engine.diffusion.schedule import NoiseSchedule

PredictEps = Callable[[Array, int], Array]
"""The noise in x_t at timestep t: (x_t, t) -> eps, all of shape (B, 1, 28, 28)."""
Timesteps = Sequence[tuple[int, int]]
DrawNoise = Callable[[int], Array]
"""Standard normal noise for draw number 1, 2, ...; draw 0 was x_T."""


@dataclass(frozen=True)
class SampleStep:
    """The state after one step.

    Attributes:
        t: the timestep that was evaluated.
        x_t: the next, less noisy state; after the last step the image itself.
        x_0_pred: the image as predicted at t, in [-1, 1].
    """

    t: int
    x_t: Array
    x_0_pred: Array


Sampler = Callable[..., Iterator[SampleStep]]


def predict_x_0(x_t: Array, eps: Array, alpha_bar: float) -> Array:
    """The image that noise ``eps`` would have turned into x_t (Ho et al. 2020, Eq. 4 solved for x_0), in [-1, 1].

    Clipping keeps a strongly guided or early prediction from leaving the range of images.
    """
    return ((x_t - math.sqrt(1 - alpha_bar) * eps) / math.sqrt(alpha_bar)).clip(-1.0, 1.0)


def ddpm(
    predict_eps: PredictEps,
    x_T: Array,
    *,
    schedule: NoiseSchedule,
    timesteps: Timesteps,
    noise: DrawNoise,
    eta: float = 1.0,
) -> Iterator[SampleStep]:
    """Ancestral sampling (Ho et al. 2020, Algorithm 2), with the posterior q(x_prev | x_t, x_0) of Eq. 6 and 7.

    With S < T steps the same posterior is taken between the timesteps walked. ``eta`` has no meaning here.
    """
    del eta
    x_t = x_T
    for draw, (t, t_prev) in enumerate(timesteps, start=1):
        alpha_bar, alpha_bar_prev = schedule.alpha_bar(t), schedule.alpha_bar(t_prev)
        x_0 = predict_x_0(x_t, predict_eps(x_t, t), alpha_bar)
        mean, deviation = posterior(x_0, x_t, alpha_bar, alpha_bar_prev)
        x_t = mean + deviation * noise(draw) if t_prev >= 0 else mean
        yield SampleStep(t, x_t, x_0)


def posterior(x_0: Array, x_t: Array, alpha_bar: float, alpha_bar_prev: float) -> tuple[Array, float]:
    """Mean and standard deviation of q(x_prev | x_t, x_0) (Ho et al. 2020, Eq. 6 and 7)."""
    alpha = alpha_bar / alpha_bar_prev
    mean = (
        math.sqrt(alpha_bar_prev) * (1 - alpha) / (1 - alpha_bar) * x_0
        + math.sqrt(alpha) * (1 - alpha_bar_prev) / (1 - alpha_bar) * x_t
    )
    return mean, math.sqrt((1 - alpha_bar_prev) / (1 - alpha_bar) * (1 - alpha))


def ddim(
    predict_eps: PredictEps,
    x_T: Array,
    *,
    schedule: NoiseSchedule,
    timesteps: Timesteps,
    noise: DrawNoise,
    eta: float = 0.0,
) -> Iterator[SampleStep]:
    """Implicit sampling (Song et al. 2021, Eq. 12; arXiv 2010.02502).

    Args:
        predict_eps: the (guided) network.
        x_T: standard normal noise, shape (B, 1, 28, 28).
        schedule: the schedule the network was trained with.
        timesteps: the pairs (t, t_prev) to walk, as ``inference_timesteps`` gives them; one evaluation each.
        noise: fresh noise by draw number; asked for only where eta > 0.
        eta: 0 is deterministic; 1 adds as much noise as ``ddpm`` (Eq. 16).
    """
    x_t = x_T
    for draw, (t, t_prev) in enumerate(timesteps, start=1):
        alpha_bar, alpha_bar_prev = schedule.alpha_bar(t), schedule.alpha_bar(t_prev)
        x_0 = predict_x_0(x_t, predict_eps(x_t, t), alpha_bar)
        # The noise that agrees with the clipped image, not the one predicted before clipping.
        eps = (x_t - math.sqrt(alpha_bar) * x_0) / math.sqrt(1 - alpha_bar)
        variance = eta**2 * (1 - alpha_bar_prev) / (1 - alpha_bar) * (1 - alpha_bar / alpha_bar_prev)
        x_t = math.sqrt(alpha_bar_prev) * x_0 + math.sqrt(1 - alpha_bar_prev - variance) * eps
        if variance > 0:
            x_t = x_t + math.sqrt(variance) * noise(draw)
        yield SampleStep(t, x_t, x_0)


def dpmpp_2m(
    predict_eps: PredictEps,
    x_T: Array,
    *,
    schedule: NoiseSchedule,
    timesteps: Timesteps,
    noise: DrawNoise | None = None,
    eta: float = 0.0,
) -> Iterator[SampleStep]:
    """DPM-Solver++(2M) (Lu et al. 2022, Algorithm 2; arXiv 2211.01095): second order, deterministic.

    The predicted image is extrapolated in lambda = log(alpha / sigma) from the last two evaluations. The first step has
    no history and the last leads to sigma = 0, where extrapolation would divide by an infinite step: both are of
    first order. ``noise`` and ``eta`` have no meaning here.
    """
    del noise, eta
    x_t = x_T
    x_0_last: Array | None = None
    lambda_last = 0.0
    for t, t_prev in timesteps:
        alpha_bar, alpha_bar_prev = schedule.alpha_bar(t), schedule.alpha_bar(t_prev)
        x_0 = predict_x_0(x_t, predict_eps(x_t, t), alpha_bar)
        if t_prev < 0:
            x_t = x_0
        else:
            lambda_t, lambda_prev = log_snr_half(alpha_bar), log_snr_half(alpha_bar_prev)
            h = lambda_prev - lambda_t
            d = x_0
            if x_0_last is not None:
                r = (lambda_t - lambda_last) / h
                d = (1 + 1 / (2 * r)) * x_0 - 1 / (2 * r) * x_0_last
            x_t = (
                math.sqrt((1 - alpha_bar_prev) / (1 - alpha_bar)) * x_t - math.sqrt(alpha_bar_prev) * math.expm1(-h) * d
            )
            x_0_last, lambda_last = x_0, lambda_t
        yield SampleStep(t, x_t, x_0)


def log_snr_half(alpha_bar: float) -> float:
    """Lambda = log(alpha / sigma) = log(alpha_bar / (1 - alpha_bar)) / 2."""
    return 0.5 * (math.log(alpha_bar) - math.log1p(-alpha_bar))


SAMPLERS: MappingProxyType[str, Sampler] = MappingProxyType({"ddpm": ddpm, "ddim": ddim, "dpmpp_2m": dpmpp_2m})
