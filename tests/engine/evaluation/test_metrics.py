import math
import tracemalloc
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mnistdiff.engine.evaluation.metrics import (
    Gaussian,
    confusion,
    frechet_distance,
    prdc,
)
from mnistdiff.engine.evaluation.results import PRDC

seeds = st.integers(0, 2**32 - 1)
# Few values, so that ties and repeated points abound; whole numbers, so that a reference can be exact.
lattice = st.integers(1, 3).flatmap(
    lambda D: st.tuples(
        *(arrays(np.int64, st.tuples(st.integers(4, 9), st.just(D)), elements=st.integers(-2, 3)) for _ in range(2))
    )
)


def rotation(rng, dimensions):
    return np.linalg.qr(rng.normal(size=(dimensions, dimensions)))[0]


def cloud(rng, num_points, dimensions):
    """Points of some mean, spread and correlation."""
    points = rng.normal(size=(num_points, dimensions)) * rng.uniform(0.1, 3, dimensions)
    return points @ rotation(rng, dimensions) + rng.normal(size=dimensions)


# Confusion


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=40), st.sampled_from([np.int64, np.uint8]))
def test_confusion_counts_each_pair_once(pairs, dtype):
    labels, predicted = np.array(pairs, dtype).reshape(-1, 2).T
    table = confusion(labels, predicted, 10)
    assert (table.shape, table.dtype) == ((10, 10), np.int64)
    assert all(table[row, column] == pairs.count((row, column)) for row in range(10) for column in range(10))


# The Fréchet distance


def test_fit_is_the_unbiased_estimate():
    points = cloud(np.random.default_rng(0), 30, 4).astype(np.float32)
    fit = Gaussian.fit(points)
    assert fit.mean.dtype == fit.covariance.dtype == np.float64
    np.testing.assert_allclose(fit.mean, points.mean(axis=0, dtype=np.float64))
    np.testing.assert_allclose(fit.covariance, np.cov(points.astype(np.float64), rowvar=False))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_fit_refuses_what_is_not_finite(value):
    with pytest.raises(ValueError, match="finite"):
        Gaussian.fit(np.array([[0.0, 1.0], [value, 2.0], [1.0, 1.0]]))


@given(*(st.floats(-50, 50) for _ in range(2)), *(st.floats(0, 50) for _ in range(2)))
def test_on_a_line_it_is_the_difference_of_means_and_deviations(m_1, m_2, s_1, s_2):
    a, b = (Gaussian(np.array([m]), np.array([[s * s]])) for m, s in ((m_1, s_1), (m_2, s_2)))
    assert frechet_distance(a, b) == pytest.approx((m_1 - m_2) ** 2 + (s_1 - s_2) ** 2, abs=1e-11)


@settings(deadline=None)
@given(seeds, st.integers(1, 12))
def test_with_common_axes_the_deviations_along_them_are_compared(seed, dimensions):
    rng = np.random.default_rng(seed)
    axes, (m_1, m_2), (s_1, s_2) = (
        rotation(rng, dimensions),
        rng.normal(size=(2, dimensions)),
        rng.choice([0.0, 0.3, 1.0, 7.0], (2, dimensions)),
    )
    a, b = (Gaussian(m, axes * s**2 @ axes.T) for m, s in ((m_1, s_1), (m_2, s_2)))
    expected = np.sum((m_1 - m_2) ** 2) + np.sum((s_1 - s_2) ** 2)
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-9, abs=1e-5)


@settings(deadline=None)
@given(seeds, st.integers(1, 12))
def test_it_is_the_formula_by_another_route(seed, dimensions):
    rng = np.random.default_rng(seed)
    a, b = (Gaussian.fit(cloud(rng, 4 * dimensions, dimensions)) for _ in range(2))
    # A B has the eigenvalues of A^1/2 B A^1/2, without any root of a matrix.
    overlap = np.sqrt(np.linalg.eigvals(a.covariance @ b.covariance).astype(complex)).real.sum()
    apart = np.sum((a.mean - b.mean) ** 2)
    expected = apart + np.trace(a.covariance) + np.trace(b.covariance) - 2 * overlap
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-6)


@settings(deadline=None)
@given(seeds, st.integers(2, 20), st.integers(1, 12))
def test_it_is_a_distance_that_turning_and_moving_leaves_alone(seed, num_points, dimensions):
    rng = np.random.default_rng(seed)
    x, y = (cloud(rng, num_points, dimensions) for _ in range(2))  # often fewer points than dimensions
    distance = frechet_distance(Gaussian.fit(x), Gaussian.fit(y))
    assert distance >= 0
    assert frechet_distance(Gaussian.fit(y), Gaussian.fit(x)) == pytest.approx(distance, rel=1e-9)
    turn, move = rotation(rng, dimensions), rng.normal(size=dimensions)
    moved = frechet_distance(Gaussian.fit(x @ turn + move), Gaussian.fit(y @ turn + move))
    assert moved == pytest.approx(distance, rel=1e-5)
    assert frechet_distance(Gaussian.fit(3 * x), Gaussian.fit(3 * y)) == pytest.approx(9 * distance, rel=1e-5)
    assert 0 <= frechet_distance(Gaussian.fit(x), Gaussian.fit(x)) <= 1e-11 * (1 + np.var(x) * dimensions)


def test_features_that_never_fire_leave_no_residue():
    points = np.maximum(cloud(np.random.default_rng(0), 500, 128), 0)
    points[:, ::3] = 0
    fit = Gaussian.fit(points)
    assert frechet_distance(fit, fit) < 1e-11 * np.trace(fit.covariance)


def test_rounding_below_zero_is_zero():
    almost_flat = Gaussian(np.zeros(2), np.diag([1.0, -1e-17]))
    assert frechet_distance(almost_flat, almost_flat) == pytest.approx(0, abs=1e-12)


# Precision, recall, density, coverage


def by_hand(real, fake, k):
    """The definitions in whole numbers, one pair of points at a time."""

    def squared(x, y):
        return sum((a - b) ** 2 for a, b in zip(x, y, strict=True))

    def radii(points):
        return [sorted(squared(x, y) for j, y in enumerate(points) if j != i)[k - 1] for i, x in enumerate(points)]

    def in_balls(point, centres, radii):
        return sum(squared(point, centre) <= radius for centre, radius in zip(centres, radii, strict=True))

    real, fake = real.tolist(), fake.tolist()
    real_radii, fake_radii = radii(real), radii(fake)
    return PRDC(
        precision=sum(in_balls(y, real, real_radii) > 0 for y in fake) / len(fake),
        recall=sum(in_balls(x, fake, fake_radii) > 0 for x in real) / len(real),
        density=float(Fraction(sum(in_balls(y, real, real_radii) for y in fake), k * len(fake))),
        coverage=sum(min(squared(x, y) for y in fake) <= r for x, r in zip(real, real_radii, strict=True)) / len(real),
    )


@settings(deadline=None, max_examples=100)
@given(lattice, st.integers(1, 3))
def test_it_is_what_one_counts_by_hand_ties_included(points, k):
    real, fake = points
    expected = by_hand(real, fake, k)
    assert prdc(real.astype(np.float64), fake.astype(np.float32), k=k) == expected


@settings(deadline=None)
@given(lattice, st.integers(1, 3), seeds)
def test_turning_moving_scaling_and_reordering_leave_it_alone(points, k, seed):
    rng = np.random.default_rng(seed)
    turn, move = rotation(rng, points[0].shape[1]), rng.normal(scale=3, size=points[0].shape[1])
    real, fake = (0.3 * rng.permutation(x) @ turn + move for x in points)
    expected = prdc(*(x.astype(np.float64) for x in points), k=k)
    assert prdc(real, fake, k=k) == expected


def test_the_blocks_change_nothing(monkeypatch):
    rng = np.random.default_rng(0)
    real, fake = rng.normal(size=(150, 5)), rng.normal(size=(101, 5)) * 1.2
    whole = prdc(real, fake)
    for rows in (1, 7, 100, 150, 1000):
        monkeypatch.setattr("mnistdiff.engine.evaluation.metrics._ROWS", rows)
        assert prdc(real, fake) == whole


def test_far_from_the_origin_small_distances_still_count():
    rng = np.random.default_rng(0)
    real, fake = rng.normal(size=(150, 5)), rng.normal(size=(101, 5)) * 1.2
    expected = prdc(real, fake)
    assert prdc(real + 1e8, fake + 1e8) == expected


def test_a_cloud_covers_itself():
    points = np.random.default_rng(0).normal(size=(400, 8)) + 100
    # Each ball holds its k neighbours and its own centre.
    assert prdc(points, points, k=5) == PRDC(precision=1, recall=1, density=6 / 5, coverage=1)


def test_clouds_far_apart_have_nothing_in_common():
    points = np.random.default_rng(0).normal(size=(100, 8))
    assert prdc(points, points + 1e4) == PRDC(precision=0, recall=0, density=0, coverage=0)


@pytest.mark.parametrize(("num_real", "num_fake", "k"), [(120, 120, 5), (60, 200, 1), (150, 50, 8)])
def test_equal_distributions_give_what_counting_ranks_predicts(num_real, num_fake, k):
    """Seen from a real point, all orders of the other real points and the fake ones are equally likely."""
    rng = np.random.default_rng(0)
    found = [prdc(rng.normal(size=(num_real, 3)), rng.normal(size=(num_fake, 3)), k=k) for _ in range(30)]
    # Not covered: the first k are real, each time one real fewer and one point fewer to draw.
    uncovered = math.prod((num_real - i) / (num_real + num_fake - i) for i in range(1, k + 1))
    for name, expected in (("coverage", 1 - uncovered), ("density", 1.0)):
        values = np.array([getattr(manifold, name) for manifold in found])
        assert abs(values.mean() - expected) < 4 * values.std(ddof=1) / math.sqrt(len(values)) < 0.1


def test_a_dropped_mode_costs_recall_and_coverage_and_noise_costs_precision_and_density():
    rng = np.random.default_rng(0)

    def modes(shares):
        return np.concatenate([rng.normal(6 * i, 1, (int(400 * share), 4)) for i, share in enumerate(shares)])

    real, same = modes([0.5, 0.5]), modes([0.5, 0.5])
    dropped, noisy = modes([1, 0]), same + rng.normal(scale=1.5, size=same.shape)
    equal = prdc(real, same)
    without = prdc(real, dropped)
    blurred = prdc(real, noisy)
    assert min(equal.precision, equal.recall, equal.density, equal.coverage) > 0.85
    assert without.recall < 0.5 * equal.recall
    assert without.coverage < 0.6 * equal.coverage
    assert without.precision > 0.85
    assert blurred.precision < 0.75 * equal.precision
    assert blurred.density < 0.5 * equal.density


def test_the_distances_are_never_all_in_memory():
    points = np.random.default_rng(0).normal(size=(3000, 2))
    tracemalloc.start()
    try:
        prdc(points, points)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 3000 * 3000 * 8 / 4
