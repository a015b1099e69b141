"""Interpolation between two samples: of their noise, and of the predictions for their labels."""

from typing import Never

import numpy as np
from numpy.typing import NDArray

from mnistdiff.engine.data.transforms import to_uint8
from mnistdiff.engine.diffusion.guidance import guided
from mnistdiff.engine.diffusion.predictions import FloatArray, x_0_from_eps
from mnistdiff.engine.diffusion.samplers import PredictX0
from mnistdiff.engine.diffusion.schedule import NoiseSchedule
from mnistdiff.engine.inference.model import DiffusionModel
from mnistdiff.engine.inference.process import FROM_NOISE
from mnistdiff.engine.inference.sampling import SampleSpec
from mnistdiff.engine.progress import Progress, Work
from mnistdiff.engine.randomness import sampling_noise
from mnistdiff.sample_settings import SampleSettings
from mnistdiff.setting_types import PREDICTIONS


def slerp(start: NDArray[np.float32], end: NDArray[np.float32], shares: NDArray[np.float32]) -> NDArray[np.float32]:
    """Spherical linear interpolation of noise (Shoemake 1985; Song et al. 2021, DDIM, Section 5.3).

    It keeps the norm that noise has; a linear one would not.

    Args:
        start: shape (1, H, W).
        end: the same shape.
        shares: interpolation weights of ``end``, in [0, 1], shape (N,).

    Returns:
        shape (N, 1, H, W).
    """
    cosine = float((start * end).sum() / np.sqrt((start**2).sum() * (end**2).sum()))
    angle = np.arccos(np.clip(cosine, -1, 1))
    shares = shares[:, None, None, None]
    if angle < 1e-4:  # the same noise
        return np.broadcast_to(start, (len(shares), *start.shape)).astype(np.float32)
    mixed: NDArray[np.float32] = (np.sin((1 - shares) * angle) * start + np.sin(shares * angle) * end) / np.sin(angle)
    return mixed.astype(np.float32)


def interpolate(
    model: DiffusionModel, start: SampleSpec, end: SampleSpec, frames: int, settings: SampleSettings
) -> Work[Never, NDArray[np.uint8]]:
    """Sample the images between two samples, which are the first and the last of them.

    Args:
        model: to sample from.
        start: label and seed of the first image.
        end: label and seed of the last image.
        frames: how many images, at least 2; sampled as one batch.
        settings: sampler, steps, guidance. Fresh noise is interpolated between the two seeds as x_T is.

    Yields:
        progress in network evaluations.

    Returns:
        the images, grey levels, shape (frames, H, W).

    Raises:
        NeedsTeacherError: at the first step, for settings that a distilled model leaves to its teacher.
    """
    model.require_able(**dict(settings))
    dataset, schedule = model.settings.spec, model.schedule
    dataset.require_labels((start.label, end.label))
    shares = np.linspace(0, 1, frames, dtype=np.float32)

    def noise(draw: int) -> NDArray[np.float32]:
        first, last = (sampling_noise([seed], draw, dataset.image_shape)[0] for seed in (start.seed, end.seed))
        return slerp(first, last, shares)

    predict_x_0 = interpolated_x_0(model, schedule, (start.label, end.label), shares, settings)
    for done, step in enumerate(FROM_NOISE(predict_x_0, noise, schedule, settings), start=1):
        x_0 = step.x_t
        yield Progress("sampling", done, settings.steps)
    return to_uint8(x_0[:, 0])


def interpolated_x_0(
    model: DiffusionModel,
    schedule: NoiseSchedule,
    labels: tuple[int, int],
    shares: NDArray[np.float32],
    settings: SampleSettings,
) -> PredictX0:
    """The guided prediction of a batch of images between two labels.

    The conditional predictions are interpolated: eps_cond = (1 - a) eps(x_t | first) + a eps(x_t | last), with a of
    ``shares``, shape (B,), a composition of conditions as in Liu et al. 2022 (arXiv 2206.01714).
    """
    prediction, weight = PREDICTIONS[model.settings.prediction], shares[:, None, None, None]
    three_labels = np.repeat(np.array([*labels, model.settings.spec.null_label], dtype=np.int64), len(shares))

    def predict(x_t: FloatArray, t: int) -> FloatArray:
        alpha, sigma = schedule.alpha(t), schedule.sigma(t)
        x_three = np.concatenate([x_t] * 3)
        eps = prediction.eps(model.denoiser(x_three, t, three_labels), x_three, alpha, sigma)
        eps_first, eps_last, eps_uncond = np.split(eps, 3)
        eps_cond = (1 - weight) * eps_first + weight * eps_last
        eps = guided(eps_uncond, eps_cond, settings.guidance_at(t, schedule.num_train_timesteps))
        return x_0_from_eps(eps, x_t, alpha, sigma).clip(-1.0, 1.0)

    return predict
