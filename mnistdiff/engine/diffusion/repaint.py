"""Filling in part of an image: RePaint (Lugmayr et al. 2022, arXiv 2201.09865)."""

import math
from collections.abc import Iterator

from mnistdiff.engine.diffusion.parameterization import Array, diffuse
from mnistdiff.engine.diffusion.samplers import DrawNoise, PredictEps, SampleStep, Timesteps, posterior, predict_x_0
from mnistdiff.engine.diffusion.schedule import NoiseSchedule


def repaint(
    predict_eps: PredictEps,
    x_T: Array,
    *,
    schedule: NoiseSchedule,
    timesteps: Timesteps,
    noise: DrawNoise,
    known: Array,
    missing: Array,
    rounds: int,
) -> Iterator[SampleStep]:
    """Draw what is missing of an image so that it fits what is known (Algorithm 1).

    Each step down is an ancestral one where the image is missing, and the known image with its noise elsewhere
    (Eq. 8). The two halves know nothing of each other until the network sees them together, so all but the last step
    are walked ``rounds`` times, going back up in between by the forward process.

    Args:
        predict_eps: the (guided) network.
        x_T: standard normal noise, shape (B, 1, 28, 28).
        schedule: that of the training.
        timesteps: as for the samplers.
        noise: fresh noise by draw number: three for each evaluation.
        known: the image x_0 in [-1, 1], of a shape that broadcasts to x_T.
        missing: 1 where the image is to be drawn, 0 where it is known; likewise.
        rounds: U of Algorithm 1, at least 1.

    Yields:
        a step after each of the (S - 1) * rounds + 1 evaluations.
    """
    x_t, draw = x_T, 0
    for t, t_prev in timesteps:
        alpha_bar, alpha_bar_prev = schedule.alpha_bar(t), schedule.alpha_bar(t_prev)
        for lap in range(rounds if t_prev >= 0 else 1):
            if lap > 0:  # from t_prev up to t again (Ho et al. 2020, Eq. 2, over several steps)
                kept = alpha_bar / alpha_bar_prev
                x_t = diffuse(x_t, noise(draw), math.sqrt(kept), math.sqrt(1 - kept))
            x_0 = predict_x_0(x_t, predict_eps(x_t, t), alpha_bar)
            drawn, deviation = posterior(x_0, x_t, alpha_bar, alpha_bar_prev)
            given = known
            if t_prev >= 0:
                drawn = drawn + deviation * noise(draw + 1)
                given = diffuse(known, noise(draw + 2), math.sqrt(alpha_bar_prev), math.sqrt(1 - alpha_bar_prev))
            draw += 3
            x_t = missing * drawn + (1 - missing) * given
            yield SampleStep(t, x_t, x_0)
