"""What a network predicts from one noisy image: its noise, the clean image, the velocity, and the loss."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from mnistdiff.engine.data.transforms import from_uint8
from mnistdiff.engine.diffusion.guidance import guided
from mnistdiff.engine.diffusion.predictions import FloatArray, diffuse, require_finite
from mnistdiff.engine.inference.model import DiffusionModel
from mnistdiff.engine.randomness import sampling_noise
from mnistdiff.setting_types import PREDICTIONS


@dataclass(frozen=True)
class Predicted:
    """One prediction in its three forms, each of which gives the others; float64 (H, W).

    Attributes:
        eps: the noise.
        x_0: the clean image, [-1, 1] where the prediction is right; not clipped, as samplers do.
        v: the velocity alpha eps - sigma x_0.
    """

    eps: FloatArray
    x_0: FloatArray
    v: FloatArray

    @classmethod
    def of(cls, output: FloatArray, x_t: FloatArray, alpha: float, sigma: float, *, prediction: str) -> Self:
        """All forms of what a network of this prediction type returned for ``x_t``."""
        kind = PREDICTIONS[prediction]
        eps, x_0 = kind.eps(output, x_t, alpha, sigma), kind.x_0(output, x_t, alpha, sigma)
        return cls(eps, x_0, PREDICTIONS["v_prediction"].target(x_0, eps, alpha, sigma))


@dataclass(frozen=True)
class Denoised:
    """An image with noise at one timestep, and what a model predicts from it.

    Attributes:
        image: the clean image, grey levels, uint8 (H, W).
        label: given to the network.
        seed: of the noise: that of x_T when a sample has this seed.
        t: the timestep, 0 ... T - 1.
        alpha: coefficient of the image at t.
        sigma: coefficient of the noise at t.
        guidance: the guidance scale.
        eps: the noise, float32 (H, W).
        x_t: the noisy image alpha x_0 + sigma eps that the network sees, float32 (H, W).
        conditional: the prediction given the label.
        unconditional: the prediction without a label.
        guided: both, combined by the guidance scale (Ho & Salimans 2022, Eq. 6).
        loss: mean squared error, given the label, of what the network was trained to predict (Ho et al. 2020, Eq. 14).
        unconditional_loss: the same without a label.
    """

    image: NDArray[np.uint8]
    label: int
    seed: int
    t: int
    alpha: float
    sigma: float
    guidance: float
    eps: NDArray[np.float32]
    x_t: NDArray[np.float32]
    conditional: Predicted
    unconditional: Predicted
    guided: Predicted
    loss: float
    unconditional_loss: float


def denoise(
    model: DiffusionModel, image: NDArray[np.uint8], label: int, t: int, *, seed: int, guidance: float
) -> Denoised:
    """Add noise to an image, and evaluate the network with and without its label.

    Args:
        model: no distilled one, whose predictions are steps.
        image: grey levels, shape (H, W), bright on black.
        label: 0 ... C - 1.
        t: 0 ... T - 1.
        seed: of the noise.
        guidance: scale; 0 is unconditional, 1 conditional.

    Raises:
        NeedsTeacherError: for a distilled model.
        DivergedError: if a prediction is not finite.
    """
    model.require_able("`denoise`")
    dataset, kind = model.settings.spec, model.settings.prediction
    alpha, sigma = model.schedule.alpha(t), model.schedule.sigma(t)
    x_0, [[eps]] = from_uint8(image), sampling_noise([seed], 0, dataset.image_shape)
    x_t = diffuse(x_0, eps, alpha, sigma).astype(np.float32)
    both = np.tile(x_t, (2, 1, 1, 1))  # (2, 1, H, W)
    outputs = model.denoiser(both, t, np.array([label, dataset.null_label], np.int64)).astype(np.float64)
    require_finite(outputs)
    cond, uncond = outputs[:, 0]
    # At one x_t, each form of a prediction is linear in the others: to guide one is to guide all.
    conditional, unconditional, both_guided = (
        Predicted.of(output, x_t, alpha, sigma, prediction=kind)
        for output in (cond, uncond, guided(uncond, cond, guidance))
    )
    target = PREDICTIONS[kind].target(x_0, eps, alpha, sigma)
    loss, unconditional_loss = (float(((output - target) ** 2).mean()) for output in (cond, uncond))
    return Denoised(
        image,
        label,
        seed,
        t,
        alpha,
        sigma,
        guidance,
        eps,
        x_t,
        conditional,
        unconditional,
        both_guided,
        loss,
        unconditional_loss,
    )
