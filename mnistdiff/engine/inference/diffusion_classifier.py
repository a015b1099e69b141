"""The diffusion model as a classifier: which label explains an image best.

Li et al. 2023, "Your Diffusion Model is Secretly a Zero-Shot Classifier" (arXiv 2303.16203), and Clark & Jaini 2023
(arXiv 2303.15233). The model was never trained to classify.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mnistdiff.engine.data.transforms import to_model_range
from mnistdiff.engine.diffusion.predictions import diffuse, require_finite
from mnistdiff.engine.diffusion.schedule import NoiseSchedule
from mnistdiff.engine.inference.model import DiffusionModel
from mnistdiff.engine.inference.sampling import BATCH_SIZE
from mnistdiff.engine.progress import Progress, Work
from mnistdiff.engine.randomness import sampling_noise
from mnistdiff.errors import SettingsError
from mnistdiff.setting_types import PREDICTIONS

_CLEAN_SHARE = 0.25
"""The cleanest quarter of the timesteps is left out: the network predicts texture there, which no label explains, and
the large weights of these timesteps would dominate the sum (docs/evaluation.md)."""

_EVALUATIONS = 32


@dataclass(frozen=True)
class ClassPosterior:
    """The class posterior of one image, for a uniform prior.

    Attributes:
        probabilities: of each class, their sum 1.
        bounds: the estimated part of the variational bound on log p(image | label) of each class, in nats.
    """

    probabilities: tuple[float, ...]
    bounds: tuple[float, ...]

    @property
    def label(self) -> int:
        """The most probable class."""
        return int(np.argmax(self.probabilities))

    @property
    def is_undecided(self) -> bool:
        """Whether no class is twice as probable as by chance, as with a model that was hardly trained."""
        return max(self.probabilities) < 2 / len(self.probabilities)


def class_posteriors(
    model: DiffusionModel, images: Sequence[NDArray[np.uint8]], *, evaluations: int | None = None, seed: int = 0
) -> Work[ClassPosterior, None]:
    """Classify images by how well the model predicts them from noisy versions, given each label.

    By Bayes' rule p(label | image) is proportional to p(image | label), of which the model gives a bound: the sum of
    (SNR(t_prev) - SNR(t)) / 2 * |x_0 - x_0_pred(x_t, label)|^2 over the timesteps (Kingma et al. 2021, Eq. 13;
    arXiv 2107.00630). All images and labels share the same noise (common random numbers): the posterior of an image
    depends neither on the images beside it nor on the batch size.

    Args:
        model: conditional on the label.
        images: grey levels, uint8 (H, W) each, white on black as in MNIST.
        evaluations: timesteps, at each of which every label is evaluated; by default 32, or as many as there are.
        seed: of the noise.

    Yields:
        progress in network evaluations; the last evaluation of a batch carries the posteriors of its images.

    Raises:
        SettingsError: if there are fewer noisy timesteps than evaluations, or for a distilled model.
        DivergedError: if a prediction is not finite.
    """
    model.require_able("classify")
    dataset, schedule = model.settings.spec, model.schedule
    num_classes = dataset.num_classes
    timesteps = noisy_timesteps(schedule, evaluations)
    prediction = PREDICTIONS[model.settings.prediction]
    at_once = max(1, BATCH_SIZE // num_classes)
    total, done = -(-len(images) // at_once) * len(timesteps), 0
    for start in range(0, len(images), at_once):
        x_0 = to_model_range(np.stack(images[start : start + at_once]))  # (N, 1, H, W)
        labels = np.tile(np.arange(num_classes, dtype=np.int64), len(x_0))
        bounds = np.zeros((len(x_0), num_classes))
        for number, (t, t_prev) in enumerate(timesteps, start=1):
            eps = sampling_noise([seed], number - 1, dataset.image_shape)
            alpha, sigma = schedule.alpha(t), schedule.sigma(t)
            x_t = np.repeat(diffuse(x_0, eps, alpha, sigma).astype(np.float32), num_classes, axis=0)
            x_0_pred = prediction.x_0(model.denoiser(x_t, t, labels), x_t, alpha, sigma).clip(-1.0, 1.0)
            differences = x_0.reshape(len(x_0), 1, -1) - x_0_pred.reshape(len(x_0), num_classes, -1)
            errors = (differences**2).sum(axis=2, dtype=np.float64)
            bounds -= (_snr(schedule, t_prev) - _snr(schedule, t)) / 2 * errors
            require_finite(bounds)
            done += 1
            finished = tuple(map(_posterior, bounds)) if number == len(timesteps) else ()
            yield Progress("classifying", done, total, finished)


def noisy_timesteps(schedule: NoiseSchedule, evaluations: int | None) -> list[tuple[int, int]]:
    """``evaluations`` pairs (t, t_prev), evenly spaced over the noisiest 75 % of the timesteps.

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
            f"`evaluations` {evaluations} is more than the {most} noisy timesteps of this model",
            f"Use `evaluations` 1 to {most}." if most else "Use a model with more timesteps.",
        )
    t = np.floor(np.linspace(T - 1, last, evaluations + 1) + 0.5).astype(int).tolist()
    return list(zip(t[:-1], t[1:], strict=True))


def _snr(schedule: NoiseSchedule, t: int) -> float:
    return (schedule.alpha(t) / schedule.sigma(t)) ** 2


def _posterior(bounds: NDArray[np.float64]) -> ClassPosterior:
    likelihoods = np.exp(bounds - bounds.max())
    return ClassPosterior(tuple((likelihoods / likelihoods.sum()).tolist()), tuple(bounds.tolist()))
