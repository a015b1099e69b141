"""From one digit to another: the noise turns from that of one image to that of the other, and the label with it."""

from typing import Never

import numpy as np
from numpy.typing import NDArray

from mnistdiff.engine.data.transforms import to_uint8
from mnistdiff.engine.diffusion.guidance import guided
from mnistdiff.engine.diffusion.parameterization import Array, eps_from_prediction
from mnistdiff.engine.diffusion.samplers import SAMPLERS, PredictEps
from mnistdiff.engine.diffusion.schedule import NoiseSchedule
from mnistdiff.engine.inference.model import Model
from mnistdiff.engine.inference.sampling import IMAGE_SHAPE, SampleSpec
from mnistdiff.engine.progress import Progress, Work
from mnistdiff.engine.randomness import sampling_noise
from mnistdiff.settings import NULL_LABEL, SampleSettings


def slerp(start: NDArray[np.float32], end: NDArray[np.float32], shares: NDArray[np.float32]) -> NDArray[np.float32]:
    """Noise on the great circle from ``start`` to ``end``: in between it is as long as noise is, which a mean is not.

    Spherical linear interpolation (Shoemake 1985), as Song et al. 2021 (DDIM, Section 5.3) use it.

    Args:
        start: shape (1, 28, 28).
        end: the same shape.
        shares: of the way, shape (N,); 0 is the start, 1 the end.

    Returns:
        shape (N, 1, 28, 28).
    """
    cosine = float((start * end).sum() / np.sqrt((start**2).sum() * (end**2).sum()))
    angle = np.arccos(np.clip(cosine, -1, 1))
    shares = shares[:, None, None, None]
    if angle < 1e-4:  # the same noise
        return np.broadcast_to(start, (len(shares), *start.shape)).astype(np.float32)
    mixed: NDArray[np.float32] = (np.sin((1 - shares) * angle) * start + np.sin(shares * angle) * end) / np.sin(angle)
    return mixed.astype(np.float32)


def interpolate(
    model: Model, start: SampleSpec, end: SampleSpec, frames: int, settings: SampleSettings
) -> Work[Never, NDArray[np.uint8]]:
    """Draw the images on the way from ``start`` to ``end``, which are the first and the last of them.

    Args:
        model: to draw from.
        start: a digit and the seed of its noise.
        end: the same.
        frames: how many images, at least 2; drawn as one batch.
        settings: a sampler that adds fresh noise adds the same to every frame.

    Yields:
        progress in network evaluations.

    Returns:
        the images, grey levels, shape (frames, 28, 28).
    """
    schedule = NoiseSchedule.from_settings(model.settings)
    shares = np.linspace(0, 1, frames, dtype=np.float32)

    def noise(draw: int) -> NDArray[np.float32]:
        first, last = (sampling_noise([seed], draw, IMAGE_SHAPE)[0] for seed in (start.seed, end.seed))
        return slerp(first, last, shares)

    steps = SAMPLERS[settings.sampler](
        mixed_eps(model, schedule, (start.label, end.label), shares, settings),
        noise(0),
        schedule=schedule,
        timesteps=schedule.inference_timesteps(settings.steps, settings.spacing),
        noise=noise,
        eta=settings.eta,
    )
    for done, step in enumerate(steps, start=1):
        x_0 = step.x_t
        yield Progress("sampling", done, settings.steps)
    return to_uint8(x_0[:, 0])


def mixed_eps(
    model: Model,
    schedule: NoiseSchedule,
    digits: tuple[int, int],
    shares: NDArray[np.float32],
    settings: SampleSettings,
) -> PredictEps:
    """The guided noise prediction of a batch whose labels go over from one digit to the other.

    The label is mixed where it acts: eps_cond = (1 - a) eps(x_t | from) + a eps(x_t | to), with a of ``shares``, shape
    (B,): the predictions of several conditions, weighted, as in Liu et al. 2022 (arXiv 2206.01714).
    """
    weight = shares[:, None, None, None]
    labels = np.repeat(np.array([*digits, NULL_LABEL], dtype=np.int64), len(shares))

    def predict(x_t: Array, t: int) -> Array:
        thrice = np.concatenate([x_t] * 3)
        prediction = model.denoiser(thrice, t, labels)
        eps = eps_from_prediction(prediction, thrice, schedule.alpha_bar(t), model.settings.prediction)
        eps_from, eps_to, eps_uncond = np.split(eps, 3)
        eps_cond = (1 - weight) * eps_from + weight * eps_to
        return guided(eps_uncond, eps_cond, settings.guidance_at(t, schedule.num_train_timesteps))

    return predict
