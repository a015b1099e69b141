"""Inpainting: RePaint (Lugmayr et al. 2022, arXiv 2201.09865)."""

from collections.abc import Iterator

from mnistdiff.engine.diffusion.predictions import FloatArray, diffuse
from mnistdiff.engine.diffusion.samplers import DrawNoise, PredictX0, SampleStep, Timesteps, posterior
from mnistdiff.engine.diffusion.schedule import NoiseSchedule


def repaint(
    predict_x_0: PredictX0,
    x_T: FloatArray,
    *,
    schedule: NoiseSchedule,
    timesteps: Timesteps,
    noise: DrawNoise,
    known: FloatArray,
    missing: FloatArray,
    resample_steps: int,
) -> Iterator[SampleStep]:
    """Sample the missing part of an image, given the rest (Algorithm 1).

    Each step is an ancestral one where the image is missing, and the known image with its noise elsewhere (Eq. 8).
    All steps but the last are repeated (resampling), going back to t by the forward process in between, so that known
    and generated regions become consistent.

    Args:
        predict_x_0: the (guided) network.
        x_T: standard normal noise, shape (B, 1, H, W).
        schedule: that of the training.
        timesteps: as for the samplers.
        noise: fresh noise by draw number: three for each evaluation.
        known: the image x_0 in [-1, 1], of a shape that broadcasts to x_T.
        missing: 1 where the image is missing, 0 where it is known; likewise.
        resample_steps: how often each step is taken, at least 1: U of Algorithm 1.

    Yields:
        a step after each of the (S - 1) * resample_steps + 1 evaluations.
    """
    x_t, draw = x_T, 0
    for t, t_prev in timesteps:
        for repetition in range(resample_steps if t_prev >= 0 else 1):
            if repetition > 0:
                x_t = diffuse(x_t, noise(draw), *schedule.transition(t, t_prev))
            x_0 = predict_x_0(x_t, t)
            generated, deviation = posterior(x_0, x_t, schedule, t, t_prev)
            given = known
            if t_prev >= 0:
                generated = generated + deviation * noise(draw + 1)
                given = diffuse(known, noise(draw + 2), schedule.alpha(t_prev), schedule.sigma(t_prev))
            draw += 3
            x_t = missing * generated + (1 - missing) * given
            yield SampleStep(t, x_t, x_0)
