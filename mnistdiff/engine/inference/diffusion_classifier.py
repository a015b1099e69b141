"""The diffusion model as a classifier: the digit whose label explains an image best.

Li et al. 2023, "Your Diffusion Model is Secretly a Zero-Shot Classifier" (arXiv 2303.16203), and Clark & Jaini 2023
(arXiv 2303.15233). Nothing here was trained to tell digits apart.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mnistdiff.engine.data.transforms import to_model_range
from mnistdiff.engine.diffusion.parameterization import diffuse, eps_from_prediction
from mnistdiff.engine.diffusion.samplers import predict_x_0
from mnistdiff.engine.diffusion.schedule import NoiseSchedule
from mnistdiff.engine.inference.model import Model
from mnistdiff.engine.inference.sampling import ALL_DIGITS, BATCH_SIZE, IMAGE_SHAPE
from mnistdiff.engine.progress import Progress, Work
from mnistdiff.engine.randomness import sampling_noise
from mnistdiff.errors import DivergedError, SettingsError
from mnistdiff.settings import NUM_DIGITS

_CLEAN_SHARE = 0.25
"""Of the timesteps, the cleanest: what is left to predict there is texture, which no label explains, and their large
weights would drown the rest in noise (README, Measured)."""

_EVALUATIONS = 32
_LEAST_PROBABILITY = 2 / NUM_DIGITS
"""Of the likeliest digit. Below twice that of a guess, the model says nothing of the image."""


@dataclass(frozen=True)
class ClassPosterior:
    """The class posterior of one image.

    Attributes:
        probabilities: of each digit, shape (10,), their sum 1; all digits are as likely beforehand.
        bounds: the part of the variational bound on log p(image | digit) that was estimated, in nats, shape (10,).
    """

    probabilities: tuple[float, ...]
    bounds: tuple[float, ...]

    @property
    def label(self) -> int:
        """The most probable one."""
        return int(np.argmax(self.probabilities))

    @property
    def is_undecided(self) -> bool:
        """Whether all digits are about as probable, as with a model that was hardly trained."""
        return max(self.probabilities) < _LEAST_PROBABILITY


def class_posteriors(
    model: Model, images: Sequence[NDArray[np.uint8]], *, evaluations: int | None = None, seed: int = 0
) -> Work[ClassPosterior, None]:
    """Compare how well the model predicts an image from its noisy versions, given each label.

    By Bayes' rule p(digit | image) is proportional to p(image | digit), of which the model gives a bound: the sum of
    (SNR(t_prev) - SNR(t)) / 2 * |x_0 - x_0_pred(x_t, digit)|^2 over the way (Kingma et al. 2021, Eq. 13;
    arXiv 2107.00630). All images and all digits meet the same noise, so that their differences are exact to it and an
    image has one posterior, whatever is classified beside it.

    Args:
        model: conditional on the digit.
        images: grey levels, shape (28, 28) each, as MNIST has them.
        evaluations: points of the way, each evaluated for every digit: more are more exact. By default 32, or as many
            as there are.
        seed: of the noise.

    Yields:
        progress in network evaluations; the last evaluation of a batch carries the posteriors of its images.

    Raises:
        SettingsError: if there are fewer timesteps than evaluations.
        DivergedError: if a prediction is not finite.
    """
    schedule = NoiseSchedule.from_settings(model.settings)
    way = noisy_timesteps(schedule, evaluations)
    at_once = max(1, BATCH_SIZE // NUM_DIGITS)
    total, done = -(-len(images) // at_once) * len(way), 0
    for start in range(0, len(images), at_once):
        x_0 = to_model_range(np.stack(images[start : start + at_once]))  # (N, 1, 28, 28)
        labels = np.tile(np.array(ALL_DIGITS, dtype=np.int64), len(x_0))
        bounds = np.zeros((len(x_0), NUM_DIGITS))
        for draw, (t, t_prev) in enumerate(way):
            alpha_bar, alpha_bar_prev = schedule.alpha_bar(t), schedule.alpha_bar(t_prev)
            eps = sampling_noise([seed], draw, IMAGE_SHAPE)
            x_t = diffuse(x_0, eps, math.sqrt(alpha_bar), math.sqrt(1 - alpha_bar)).astype(np.float32)
            each = np.repeat(x_t, NUM_DIGITS, axis=0)
            prediction = model.denoiser(each, t, labels)
            eps_pred = eps_from_prediction(prediction, each, alpha_bar, model.settings.prediction)
            x_0_pred = predict_x_0(each, eps_pred, alpha_bar).reshape(len(x_0), NUM_DIGITS, -1)
            errors = ((x_0.reshape(len(x_0), 1, -1) - x_0_pred) ** 2).sum(axis=2, dtype=np.float64)
            bounds -= (_snr(alpha_bar_prev) - _snr(alpha_bar)) / 2 * errors
            if not np.isfinite(bounds).all():
                raise DivergedError(
                    "a prediction of the model is not finite",
                    "The training diverged: take an earlier checkpoint, or train again with a smaller --lr.",
                )
            done += 1
            yield Progress("classifying", done, total, tuple(map(_posterior, bounds)) if draw == len(way) - 1 else ())


def noisy_timesteps(schedule: NoiseSchedule, evaluations: int | None) -> list[tuple[int, int]]:
    """``evaluations`` pairs (t, t_prev), evenly from T - 1 down to where the cleanest quarter begins.

    Raises:
        SettingsError: if there are fewer timesteps.
    """
    T = schedule.num_train_timesteps
    last = round(_CLEAN_SHARE * T)
    most = T - 1 - last
    if evaluations is None:
        evaluations = min(_EVALUATIONS, most)
    if evaluations > most or most < 1:
        raise SettingsError(
            f"--evaluations {evaluations} is more than the {most} noisy timesteps of this model",
            f"Use --evaluations 1 to {most}." if most else "Use a model with more timesteps.",
        )
    t = np.floor(np.linspace(T - 1, last, evaluations + 1) + 0.5).astype(int).tolist()
    return list(zip(t[:-1], t[1:], strict=True))


def _snr(alpha_bar: float) -> float:
    return alpha_bar / (1 - alpha_bar)


def _posterior(bounds: NDArray[np.float64]) -> ClassPosterior:
    likelihoods = np.exp(bounds - bounds.max())
    return ClassPosterior(tuple((likelihoods / likelihoods.sum()).tolist()), tuple(bounds.tolist()))
