"""The variational bound on the likelihood of images (Ho et al. 2020, Eq. 5 and Section 3.3; arXiv 2006.11239).

-log p(x_0) <= L_T + sum over t of L_(t-1) + L_0, all in nats. p(x_(t-1) | x_t) is what the sampler ``ddpm`` draws from
at S = T steps: normal, with the mean and the variance of ``samplers.posterior`` at the predicted image. So sigma_t^2 is
the variance of the posterior, the second choice of Section 3.2. It is 0 in the step to the image, which that sampler
takes without noise; the decoder has the deviation of the step before it, as the program of Ho et al. has.

In the schedules of this program, t runs from 0: L_0 belongs to t = 0, and the sum to t = 1 ... T - 1.
"""

import math

import numpy as np
from numpy.typing import NDArray

from mnistdiff.engine.diffusion.predictions import FloatArray
from mnistdiff.engine.diffusion.samplers import posterior
from mnistdiff.engine.diffusion.schedule import NoiseSchedule

Floats = NDArray[np.float64]
_HALF_LEVEL = 1 / 255
"""Half the distance of two grey levels, of 256 in [-1, 1]."""
_FAR = 30.0
"""Beyond so many deviations ``erfc`` soon underflows, and its asymptotic series is exact to 1e-9."""

_erfc = np.vectorize(math.erfc, otypes=[np.float64])


def prior_term(x_0: FloatArray, schedule: NoiseSchedule) -> Floats:
    """L_T: the divergence of q(x_T | x_0) from the standard normal distribution that sampling starts from.

    Args:
        x_0: images in [-1, 1], shape (B, ...).
        schedule: of the model.

    Returns:
        nats, shape (B,).
    """
    last = schedule.num_train_timesteps - 1
    alpha, sigma = schedule.alpha(last), schedule.sigma(last)
    lengths = _sums(np.square(x_0, dtype=np.float64))
    of_noise = x_0[0].size * (sigma**2 - 1 - 2 * math.log(sigma))
    terms: Floats = (alpha**2 * lengths + of_noise) / 2
    return terms


def denoising_term(x_0: FloatArray, x_0_pred: FloatArray, schedule: NoiseSchedule, t: int) -> Floats:
    """L_(t-1): the divergence of q(x_(t-1) | x_t, x_0) from p(x_(t-1) | x_t).

    Both have the same variance, so it is (SNR(t-1) - SNR(t)) / 2 * |x_0 - x_0_pred|^2 (Kingma et al. 2021, Eq. 13;
    arXiv 2107.00630).

    Args:
        x_0: images in [-1, 1], shape (B, ...).
        x_0_pred: as predicted from x_t, clipped as for sampling, likewise.
        schedule: of the model.
        t: 1 ... T - 1.

    Returns:
        nats, shape (B,).
    """
    weight = (_snr(schedule, t - 1) - _snr(schedule, t)) / 2
    return weight * _sums(np.square(np.subtract(x_0, x_0_pred, dtype=np.float64)))


def decoder_term(x_0: FloatArray, x_0_pred: FloatArray, schedule: NoiseSchedule) -> Floats:
    """L_0: -log p(x_0 | x_1) of the discretised decoder (Eq. 13).

    Args:
        x_0: images of 256 levels in [-1, 1], shape (B, ...).
        x_0_pred: as predicted at t = 0, clipped as for sampling, likewise.
        schedule: of the model.

    Returns:
        nats, shape (B,).
    """
    return -_sums(log_probability_of_levels(x_0, x_0_pred, decoder_deviation(schedule)))


def decoder_deviation(schedule: NoiseSchedule) -> float:
    """The standard deviation of the decoder: that of p(x_t | x_(t+1)) for t = 0, in [-1, 1]."""
    nothing = np.zeros(1)
    return posterior(nothing, nothing, schedule, 1, 0)[1]


def log_probability_of_levels(levels: FloatArray, mean: FloatArray, deviation: float) -> Floats:
    """The logarithm of the probability of grey levels, where a normal distribution is rounded to the nearest level.

    The first and the last of the 256 levels have all that lies beyond them (Ho et al. 2020, Eq. 13).

    Args:
        levels: of 256 in [-1, 1], any shape.
        mean: of the distribution, likewise.
        deviation: positive.

    Returns:
        natural logarithms, finite for finite arguments, the same shape.
    """
    apart = np.subtract(levels, mean, dtype=np.float64)
    low = np.where(levels < -1 + _HALF_LEVEL, -np.inf, (apart - _HALF_LEVEL) / deviation)
    high = np.where(levels > 1 - _HALF_LEVEL, np.inf, (apart + _HALF_LEVEL) / deviation)
    # An interval below the mean is as probable as its mirror image above it, where tails are computed without loss.
    is_below = high + low < 0
    low, high = np.where(is_below, -high, low), np.where(is_below, -low, high)
    upper_of_low, upper_of_high = _log_upper_tail(np.abs(low)), _log_upper_tail(high)
    around = np.log1p(-np.minimum(np.exp(upper_of_low) + np.exp(upper_of_high), 1 - 1e-16))
    above = upper_of_low + np.log(-np.expm1(np.minimum(upper_of_high - upper_of_low, -1e-16)))
    return np.where(low < 0, around, above)


def timestep_probabilities(schedule: NoiseSchedule) -> Floats:
    """Probabilities for t = 1 ... T - 1 by which to draw timesteps, so that an estimate of the sum varies little.

    They are in the proportions of the terms of a network whose squared error is a fixed share of sigma_t^2.

    Returns:
        shape (T - 1,); all are positive, their sum is 1.
    """
    snr = np.square(schedule.alphas / schedule.sigmas)
    shares: Floats = (snr[:-1] - snr[1:]) * np.square(schedule.sigmas[1:])
    shares = np.maximum(shares, 1e-12 * shares.max())  # where rounding leaves nothing
    shares /= shares.sum()
    return shares


def timestep_weights(probabilities: Floats, evaluations: int, offsets: Floats) -> Floats:
    """For each image the weights of the terms L_(t-1) in an unbiased estimate of their sum (systematic sampling).

    Args:
        probabilities: of t = 1 ... T - 1, as from ``timestep_probabilities``.
        evaluations: timesteps to draw for each image; T - 1 or more are all timesteps, once each.
        offsets: uniform in [0, 1), one for each image, shape (B,).

    Returns:
        shape (B, T - 1): 0 for a timestep that is not evaluated.
    """
    if evaluations >= len(probabilities):
        return np.ones((len(offsets), len(probabilities)))
    # One point in each of equally wide strata of the distribution, all at the same place of their stratum.
    points = (np.arange(evaluations) + offsets[:, None]) / evaluations  # (B, evaluations)
    chosen = np.searchsorted(np.cumsum(probabilities)[:-1], points, side="right")
    drawn = np.stack([np.bincount(row, minlength=len(probabilities)) for row in chosen])
    weights: Floats = drawn / (evaluations * probabilities)
    return weights


def _snr(schedule: NoiseSchedule, t: int) -> float:
    return (schedule.alpha(t) / schedule.sigma(t)) ** 2


def _sums(values: Floats) -> Floats:
    """The sum over each image, shape (B,)."""
    sums: Floats = values.reshape(len(values), -1).sum(axis=1)
    return sums


def _log_upper_tail(z: Floats) -> Floats:
    """The logarithm of P(Z > z) of a standard normal Z, for z >= 0."""
    near = np.log(_erfc(np.minimum(z, _FAR) / math.sqrt(2)) / 2)
    inverse = 1 / np.square(np.maximum(z, _FAR))
    series = np.log1p(inverse * (-1 + inverse * (3 - 15 * inverse)))
    far = -np.square(z) / 2 - np.log(np.maximum(z, _FAR) * math.sqrt(2 * math.pi)) + series
    return np.where(z < _FAR, near, far)
