"""The measures: shares with their uncertainty, the Fréchet distance, and how far two clouds of features overlap.

NumPy alone and float64 throughout, so that the numbers depend on the features and on nothing else.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from mnistdiff.engine.evaluation.report import PRDC
from mnistdiff.settings import NUM_DIGITS

# Rows of distances held at a time: with 10,000 columns, 10 MB, about what a cache holds.
_ROWS = 128
# Share of the largest squared length that may separate two squared distances which are equal but for rounding.
_TIE = 1e-12


def confusion(wanted: NDArray[np.integer], found: NDArray[np.integer]) -> NDArray[np.int64]:
    """How often each digit was taken for each.

    Args:
        wanted: the digits asked for, 0 ... 9, shape (N,).
        found: the digits seen by a judge, 0 ... 9, shape (N,).

    Returns:
        counts, shape (10, 10): row = digit asked for, column = digit seen.

    Raises:
        ValueError: if the shapes differ or a digit is out of range.
    """
    if wanted.shape != found.shape or wanted.ndim != 1:
        raise ValueError(f"wanted and found must be of one shape (N,), not {wanted.shape} and {found.shape}")
    if any(np.any((digits < 0) | (digits >= NUM_DIGITS)) for digits in (wanted, found)):
        raise ValueError(f"digits must be in 0...{NUM_DIGITS - 1}")
    pairs = wanted.astype(np.int64) * NUM_DIGITS + found
    return np.bincount(pairs, minlength=NUM_DIGITS**2).astype(np.int64).reshape(NUM_DIGITS, NUM_DIGITS)


@dataclass(frozen=True)
class Gaussian:
    """The normal distribution with the mean and the covariance of a cloud of features.

    Attributes:
        mean: float64, shape (D,).
        covariance: float64, symmetric, no eigenvalue below zero, shape (D, D).
    """

    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]

    @classmethod
    def fit(cls, features: NDArray[np.floating]) -> Self:
        """Mean and unbiased covariance (divided by N - 1).

        Args:
            features: shape (N, D), N >= 2.

        Raises:
            ValueError: if there are fewer than two rows, or a feature is not finite.
        """
        points = _checked(features, least=2)
        mean = points.mean(axis=0)
        centred = points - mean
        return cls(mean=mean, covariance=centred.T @ centred / (len(points) - 1))


def frechet_distance(a: Gaussian, b: Gaussian) -> float:
    """The squared Fréchet distance of two normal distributions; of Inception features it is the FID.

    |m_a - m_b|^2 + tr(A + B - 2 (A^1/2 B A^1/2)^1/2) (Dowson & Landau 1982, J. Multivariate Anal. 12, 450-455;
    Heusel et al. 2017, Eq. 6, arXiv 1706.08500). The trace of the outer root is the sum of the singular values of
    A^1/2 B^1/2. Computed so, it does not mind which of a and b comes first, and it takes no second root, which would
    make 1e-8 of a rounding error of 1e-16 wherever a feature never fires.

    Returns:
        at least 0; 0 for a and a, within rounding.

    Raises:
        ValueError: if a and b are of different dimensions.
    """
    if a.mean.shape != b.mean.shape:
        raise ValueError(f"the features have different sizes: {a.mean.shape} and {b.mean.shape}")
    apart = a.mean - b.mean
    overlap = np.linalg.svd(_root(a.covariance) @ _root(b.covariance), compute_uv=False).sum()
    distance = apart @ apart + np.trace(a.covariance) + np.trace(b.covariance) - 2 * overlap
    return max(0.0, float(distance))


def _root(covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    """The symmetric square root; eigenvalues that rounding has pushed below zero are zero."""
    values, vectors = np.linalg.eigh(covariance)
    root: NDArray[np.float64] = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    return root


def precision_recall_density_coverage(real: NDArray[np.floating], fake: NDArray[np.floating], *, k: int = 5) -> PRDC:
    """Precision and recall, density and coverage.

    The first two are Eqs. 1 and 2 of Kynkäänniemi et al. 2019 (arXiv 1904.06991), the others are Section 3 of Naeem
    et al. 2020 (arXiv 2002.09797). The balls are closed, as in the former: a point at the very radius is inside.

    Args:
        real: features, shape (N, D), N > k.
        fake: features, shape (M, D), M > k.
        k: which neighbour gives a ball its radius; a point is not its own neighbour.

    Raises:
        ValueError: if k < 1, a cloud has not more than k points, the sizes D differ or a feature is not finite.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, not {k}")
    x, y = _checked(real, least=k + 1), _checked(fake, least=k + 1)
    if x.shape[1] != y.shape[1]:
        raise ValueError(f"the features have different sizes: {x.shape[1]} and {y.shape[1]}")
    # Far from the origin, the small distances would be lost in the rounding of large squares.
    centre = x.mean(axis=0)
    x, y = x - centre, y - centre
    x_radii, y_radii = _radii(x, k), _radii(y, k)

    in_real_ball = np.zeros(len(y), bool)
    in_fake_ball = np.zeros(len(x), bool)
    covered = np.zeros(len(x), bool)
    pairs = 0
    for rows, distances in _squared_distances(x, y):
        inside = distances <= x_radii[rows, None]  # (rows, M)
        in_real_ball |= inside.any(axis=0)
        covered[rows] = inside.any(axis=1)
        pairs += int(np.count_nonzero(inside))
        in_fake_ball[rows] = (distances <= y_radii).any(axis=1)
    return PRDC(
        precision=float(in_real_ball.mean()),
        recall=float(in_fake_ball.mean()),
        density=pairs / (k * len(y)),
        coverage=float(covered.mean()),
    )


def _radii(points: NDArray[np.float64], k: int) -> NDArray[np.float64]:
    """Squared distance of each point to its k-th neighbour, a hair more so that ties survive rounding, shape (N,)."""
    slack = _TIE * np.max(np.square(points).sum(axis=1))
    # In order of distance, number 0 is the point itself.
    kth = [np.partition(distances, k)[:, k].copy() for _, distances in _squared_distances(points, points)]
    radii: NDArray[np.float64] = np.concatenate(kth) + slack
    return radii


def _squared_distances(x: NDArray[np.float64], y: NDArray[np.float64]) -> Iterator[tuple[slice, NDArray[np.float64]]]:
    """|x_i - y_j|^2 = |x_i|^2 - 2 x_i y_j + |y_j|^2, some rows i at a time: all of them would fill the memory."""
    lengths = np.square(y).sum(axis=1)
    for start in range(0, len(x), _ROWS):
        rows = slice(start, start + _ROWS)
        distances = (-2 * x[rows]) @ y.T  # (rows, M)
        distances += np.square(x[rows]).sum(axis=1)[:, None]
        distances += lengths
        yield rows, distances


def _checked(features: NDArray[np.floating], *, least: int) -> NDArray[np.float64]:
    """The features in float64, if they are ``least`` finite rows or more."""
    if features.ndim != 2 or len(features) < least:
        raise ValueError(f"features must have the shape (N, D) with N >= {least}, not {features.shape}")
    if not np.isfinite(features).all():
        raise ValueError("features must be finite")
    return features.astype(np.float64)
