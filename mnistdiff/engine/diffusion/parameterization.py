"""What a network may predict, and how one follows from another.

With signal = sqrt(alpha_bar_t) and sigma = sqrt(1 - alpha_bar_t), x_t = signal x_0 + sigma eps (Ho et al. 2020, Eq. 4).
Arrays may be NumPy's or torch's; signal and sigma numbers, or arrays that broadcast.
"""

import math
from typing import Any, assert_never

from mnistdiff.settings import Prediction

Array = Any
"""A NumPy array or a torch tensor: arithmetic alone is asked of it."""


def diffuse(x_0: Array, eps: Array, signal: Array | float, sigma: Array | float) -> Array:
    """x_t: the image with noise mixed in (Ho et al. 2020, Eq. 4)."""
    return signal * x_0 + sigma * eps


def velocity(x_0: Array, eps: Array, signal: Array | float, sigma: Array | float) -> Array:
    """V = signal eps - sigma x_0 (Salimans & Ho 2022, Section 4; arXiv 2202.00512)."""
    return signal * eps - sigma * x_0


def eps_from_velocity(v: Array, x_t: Array, signal: Array | float, sigma: Array | float) -> Array:
    """Eps = signal v + sigma x_t: ``velocity`` and ``diffuse`` solved for eps."""
    return signal * v + sigma * x_t


def eps_from_prediction(prediction: Array, x_t: Array, alpha_bar: float, prediction_type: Prediction) -> Array:
    """The noise in x_t, whatever the network was trained to predict."""
    match prediction_type:
        case "epsilon":
            return prediction
        case "v_prediction":
            return eps_from_velocity(prediction, x_t, math.sqrt(alpha_bar), math.sqrt(1 - alpha_bar))
        case _:
            assert_never(prediction_type)


def prediction_target(
    x_0: Array, eps: Array, signal: Array | float, sigma: Array | float, prediction_type: Prediction
) -> Array:
    """What a network of this prediction type is trained to predict."""
    match prediction_type:
        case "epsilon":
            return eps
        case "v_prediction":
            return velocity(x_0, eps, signal, sigma)
        case _:
            assert_never(prediction_type)
