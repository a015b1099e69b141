"""Metrics of predictions and features: confusion matrix, Fréchet distance, and PRDC.

PRDC is precision, recall, density and coverage. All is computed by NumPy in float64.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from mnistdiff.engine.evaluation.results import PRDC

PRDC_NEIGHBOURS = 5
"""k of precision, recall, density and coverage: there must be more images."""
# Rows of distances computed at a time: with 10,000 columns 10 MB, about the size of a cache.
_ROWS = 128
# Squared distances that differ by less than this share of the largest squared length count as equal (rounding).
_TIE = 1e-12


def confusion(labels: NDArray[np.integer], predicted: NDArray[np.integer], num_classes: int) -> NDArray[np.int64]:
    """The confusion matrix.

    Args:
        labels: class indices, shape (N,).
        predicted: class indices, shape (N,).
        num_classes: C: class indices are 0 ... C - 1.

    Returns:
        counts, shape (C, C): row = label, column = predicted class.
    """
    pairs = labels.astype(np.int64) * num_classes + predicted
    return np.bincount(pairs, minlength=num_classes**2).astype(np.int64).reshape(num_classes, num_classes)


@dataclass(frozen=True)
class Gaussian:
    """A normal distribution, fitted to features.

    Attributes:
        mean: float64, shape (D,).
        covariance: float64, symmetric, no eigenvalue below zero, shape (D, D).
    """

    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]

    @classmethod
    def fit(cls, features: NDArray[np.floating]) -> Self:
        """The normal distribution with the mean and the unbiased covariance (divided by N - 1) of features.

        Args:
            features: shape (N, D), N >= 2.

        Raises:
            ValueError: if a feature is not finite.
        """
        if not np.isfinite(features).all():
            raise ValueError("features must be finite")
        points = features.astype(np.float64)
        mean = points.mean(axis=0)
        centred = points - mean
        return cls(mean=mean, covariance=centred.T @ centred / (len(points) - 1))


def frechet_distance(a: Gaussian, b: Gaussian) -> float:
    """The squared Fréchet distance of two normal distributions; of Inception features it is the FID.

    |m_a - m_b|^2 + tr(A + B - 2 (A^1/2 B A^1/2)^1/2) (Dowson & Landau 1982, J. Multivariate Anal. 12, 450-455;
    Heusel et al. 2017, Eq. 6, arXiv 1706.08500). The trace of the outer root is the sum of the singular values of
    A^1/2 B^1/2. Computed in this form the distance is symmetric, and there is no second matrix root, which would
    turn a rounding error of 1e-16 into 1e-8 for every feature that is always 0.

    Returns:
        at least 0; 0 for a and a, within rounding.
    """
    apart = a.mean - b.mean
    overlap = np.linalg.svd(_root(a.covariance) @ _root(b.covariance), compute_uv=False).sum()
    distance = apart @ apart + np.trace(a.covariance) + np.trace(b.covariance) - 2 * overlap
    return max(0.0, float(distance))


def _root(covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    """The symmetric square root; eigenvalues below zero (by rounding) count as zero."""
    values, vectors = np.linalg.eigh(covariance)
    root: NDArray[np.float64] = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    return root


def prdc(real: NDArray[np.floating], fake: NDArray[np.floating], *, k: int = PRDC_NEIGHBOURS) -> PRDC:
    """Precision, recall, density and coverage.

    Each point stands for the ball around it up to its k-th nearest neighbour of its kind. Precision is the share of the
    fake points in at least one real ball, recall that of the real points in at least one fake ball; density is the mean
    number of real balls that contain a fake point, over k; coverage is the share of the real balls that contain a fake
    point.

    The first two are Eqs. 1 and 2 of Kynkäänniemi et al. 2019 (arXiv 1904.06991), the others are Section 3 of Naeem
    et al. 2020 (arXiv 2002.09797). The balls are closed, as in the former: a point at the radius is inside.

    Args:
        real: finite features, shape (N, D), N > k.
        fake: finite features, shape (M, D), M > k.
        k: at least 1; a point is not its own neighbour.
    """
    x, y = real.astype(np.float64), fake.astype(np.float64)
    # Far from the origin, small distances would be lost in the rounding of large squares.
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
    """Squared distance of each point to its k-th neighbour, and a little more (ties, rounding), shape (N,)."""
    slack = _TIE * np.max(np.square(points).sum(axis=1))
    # Index 0, in order of distance, is the point itself.
    kth = [np.partition(distances, k)[:, k].copy() for _, distances in _squared_distances(points, points)]
    radii: NDArray[np.float64] = np.concatenate(kth) + slack
    return radii


def _squared_distances(x: NDArray[np.float64], y: NDArray[np.float64]) -> Iterator[tuple[slice, NDArray[np.float64]]]:
    """|x_i - y_j|^2 = |x_i|^2 - 2 x_i y_j + |y_j|^2, some rows i at a time, since all together need too much memory."""
    lengths = np.square(y).sum(axis=1)
    for start in range(0, len(x), _ROWS):
        rows = slice(start, start + _ROWS)
        distances = (-2 * x[rows]) @ y.T  # (rows, M)
        distances += np.square(x[rows]).sum(axis=1)[:, None]
        distances += lengths
        yield rows, distances
