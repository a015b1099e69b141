"""Prediction types: the training target of a network, and x_0 and eps from its output.

Throughout, x_t = alpha x_0 + sigma eps with the alpha and sigma of the noise schedule at t (Ho et al. 2020, Eq. 4;
arXiv 2006.11239). Arrays are NumPy's in sampling and torch's in training; alpha and sigma are numbers, or arrays that
broadcast.
"""

from typing import TYPE_CHECKING, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from mnistdiff.errors import DivergedError
from mnistdiff.setting_types import PREDICTIONS

if TYPE_CHECKING:
    from torch import Tensor

FloatArray = NDArray[np.floating]
Array = TypeVar("Array", FloatArray, "Tensor")


def diffuse(x_0: Array, eps: Array, alpha: Array | float, sigma: Array | float) -> Array:
    """The forward process: x_t = alpha x_0 + sigma eps (Ho et al. 2020, Eq. 4)."""
    return alpha * x_0 + sigma * eps


def x_0_from_eps(eps: Array, x_t: Array, alpha: Array | float, sigma: Array | float) -> Array:
    """``diffuse`` solved for x_0."""
    return (x_t - sigma * eps) / alpha


def eps_from_x_0(x_0: Array, x_t: Array, alpha: Array | float, sigma: Array | float) -> Array:
    """``diffuse`` solved for eps."""
    return (x_t - alpha * x_0) / sigma


def require_finite(values: FloatArray) -> None:
    """Refuse predictions of which one is not finite.

    Raises:
        DivergedError: if there is one.
    """
    if not np.isfinite(values).all():
        raise DivergedError(
            "a prediction of the model is not finite",
            "The training diverged: take an earlier checkpoint, or train again with a smaller `lr`.",
        )


class Prediction(Protocol):
    """A prediction type. All arrays have the shape of x_t; alpha and sigma are positive."""

    def target(self, x_0: Array, eps: Array, alpha: Array | float, sigma: Array | float) -> Array:
        """What the network is trained to predict."""
        ...

    def x_0(self, output: Array, x_t: Array, alpha: Array | float, sigma: Array | float) -> Array:
        """The image, from the output of the network; not clipped."""
        ...

    def eps(self, output: Array, x_t: Array, alpha: Array | float, sigma: Array | float) -> Array:
        """The noise, from the output of the network."""
        ...


class Epsilon:
    """The network predicts the noise eps (Ho et al. 2020, Eq. 14)."""

    def target(self, x_0: Array, eps: Array, alpha: Array | float, sigma: Array | float) -> Array:
        """The noise."""
        return eps

    def x_0(self, output: Array, x_t: Array, alpha: Array | float, sigma: Array | float) -> Array:
        """The image: x_0 = (x_t - sigma eps) / alpha."""
        return x_0_from_eps(output, x_t, alpha, sigma)

    def eps(self, output: Array, x_t: Array, alpha: Array | float, sigma: Array | float) -> Array:
        """The output itself."""
        return output


class Velocity:
    """The network predicts v = alpha eps - sigma x_0 (Salimans & Ho 2022, Section 4; arXiv 2202.00512)."""

    def target(self, x_0: Array, eps: Array, alpha: Array | float, sigma: Array | float) -> Array:
        """The velocity: v = alpha eps - sigma x_0."""
        return alpha * eps - sigma * x_0

    def x_0(self, output: Array, x_t: Array, alpha: Array | float, sigma: Array | float) -> Array:
        """The image: x_0 = (alpha x_t - sigma v) / (alpha^2 + sigma^2)."""
        norm = alpha**2 + sigma**2
        return (alpha / norm) * x_t - (sigma / norm) * output

    def eps(self, output: Array, x_t: Array, alpha: Array | float, sigma: Array | float) -> Array:
        """The noise: eps = (alpha v + sigma x_t) / (alpha^2 + sigma^2)."""
        norm = alpha**2 + sigma**2
        return (alpha / norm) * output + (sigma / norm) * x_t


class CleanImage:
    """The network predicts the clean image x_0 (Salimans & Ho 2022, Section 4)."""

    def target(self, x_0: Array, eps: Array, alpha: Array | float, sigma: Array | float) -> Array:
        """The clean image."""
        return x_0

    def x_0(self, output: Array, x_t: Array, alpha: Array | float, sigma: Array | float) -> Array:
        """The output itself."""
        return output

    def eps(self, output: Array, x_t: Array, alpha: Array | float, sigma: Array | float) -> Array:
        """The noise: eps = (x_t - alpha x_0) / sigma."""
        return eps_from_x_0(output, x_t, alpha, sigma)


PREDICTIONS.add("epsilon", Epsilon())
PREDICTIONS.add("v_prediction", Velocity())
PREDICTIONS.add("sample", CleanImage())
