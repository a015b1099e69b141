"""Bits a dimension of models whose bound and likelihood are known: each pixel is a linear Gaussian chain."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from mnistdiff.engine.checkpoint.header import read_checkpoint_file
from mnistdiff.engine.checkpoint.pretrained import bundled_models
from mnistdiff.engine.data.datasets import LabelledImages
from mnistdiff.engine.diffusion.likelihood import decoder_deviation, log_probability_of_levels
from mnistdiff.engine.diffusion.predictions import eps_from_x_0
from mnistdiff.engine.diffusion.schedule import NoiseSchedule
from mnistdiff.engine.evaluation import likelihood
from mnistdiff.engine.evaluation.likelihood import measure_likelihood
from mnistdiff.engine.evaluation.real_images import RealSplit
from mnistdiff.engine.inference.model import DiffusionModel
from mnistdiff.engine.progress import finish
from mnistdiff.errors import DivergedError, NeedsTeacherError
from mnistdiff.setting_types import PREDICTIONS
from mnistdiff.settings import TrainSettings

# Means of two classes, and the deviation of their pixels: no prediction is ever clipped.
MEANS, STD = np.array([-0.2, 0.1]), 0.15
SETTINGS = TrainSettings(preset="fast", timesteps=120, beta_schedule="cosine")


def gain(schedule, t):
    """E[x_0 | x_t] = mean + gain (x_t - alpha mean), for pixels N(mean, STD^2)."""
    alpha, sigma = schedule.alpha(t), schedule.sigma(t)
    return alpha * STD**2 / ((alpha * STD) ** 2 + sigma**2)


def optimal(settings):
    """The best possible network for pixels N(mean of the class, STD^2)."""
    schedule = NoiseSchedule.from_settings(settings)

    def denoise(x_t, t, labels):
        mean = MEANS[labels][:, None, None, None]
        x_0 = mean + gain(schedule, t) * (x_t - schedule.alpha(t) * mean)
        eps = eps_from_x_0(x_0, x_t, schedule.alpha(t), schedule.sigma(t))
        target = PREDICTIONS[settings.prediction].target(x_0, eps, schedule.alpha(t), schedule.sigma(t))
        return target.astype(np.float32)

    return DiffusionModel(denoise, settings)


@pytest.fixture(scope="module")
def images():
    random = np.random.default_rng(3)
    labels = random.integers(0, 2, 60).astype(np.uint8)
    pixels = random.normal(MEANS[labels][:, None, None], STD, (60, 28, 28))
    return LabelledImages(np.rint((pixels.clip(-1, 1) + 1) * 127.5).astype(np.uint8), labels)


def measure(model, images, *, evaluations, n=60, seed=0):
    return finish(measure_likelihood(model, RealSplit("test", images), n=n, evaluations=evaluations, seed=seed))


def bits(nats):
    """Nats of one pixel, averaged over images of pixels."""
    return float(np.mean(nats)) / math.log(2)


def expected_terms(images, schedule):
    """The mean of each term over the noise, in bits a dimension.

    The error of a pixel is (1 - g alpha) (x_0 - mean) - g sigma eps.
    """
    x = images.images / 127.5 - 1
    apart = x - MEANS[images.labels][:, None, None]
    T = schedule.num_train_timesteps
    denoising = 0.0
    for t in range(1, T):
        alpha, sigma, g = schedule.alpha(t), schedule.sigma(t), gain(schedule, t)
        error = ((1 - g * alpha) * apart) ** 2 + (g * sigma) ** 2
        before = (schedule.alpha(t - 1) / schedule.sigma(t - 1)) ** 2
        denoising += bits((before - (alpha / sigma) ** 2) / 2 * error)
    last, noise = schedule.alpha(T - 1), schedule.sigma(T - 1)
    prior = bits(((last * x) ** 2 + noise**2 - 1) / 2 - math.log(noise))
    # The mean of the decoder, by quadrature over the noise.
    alpha, sigma, g = schedule.alpha(0), schedule.sigma(0), gain(schedule, 0)
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    decoder = 0.0
    for eps, weight in zip(nodes, weights / weights.sum(), strict=True):
        predicted = x - (1 - g * alpha) * apart + g * sigma * eps
        decoder -= weight * bits(log_probability_of_levels(x, predicted, decoder_deviation(schedule)))
    return {"prior": prior, "denoising": denoising, "decoder": decoder}


def exact_bits(images, schedule):
    """-log2 p of a pixel: each step of the chain takes one normal distribution to another, the decoder rounds it."""
    T = schedule.num_train_timesteps
    variance = {0: 1.0, 1: 1.0}
    centre = {0: 0.0, 1: 0.0}  # of x_t minus alpha_t times the mean of the class
    for label in (0, 1):
        centre[label] = -schedule.alpha(T - 1) * MEANS[label]  # x_T is centred on 0
        for t in range(T - 1, 0, -1):
            beta = 1 - (schedule.alpha(t) / schedule.alpha(t - 1)) ** 2
            kept = math.sqrt(1 - beta) * (schedule.sigma(t - 1) / schedule.sigma(t)) ** 2
            of_x_0 = schedule.alpha(t - 1) * beta / schedule.sigma(t) ** 2
            slope = kept + of_x_0 * gain(schedule, t)
            centre[label] *= slope
            variance[label] = slope**2 * variance[label] + beta * (schedule.sigma(t - 1) / schedule.sigma(t)) ** 2
    x = images.images / 127.5 - 1
    found = []
    for label in (0, 1):
        g = gain(schedule, 0)
        deviation = math.sqrt(g**2 * variance[label] + decoder_deviation(schedule) ** 2)
        chosen = x[images.labels == label]
        found.append(
            log_probability_of_levels(chosen, np.full_like(chosen, MEANS[label] + g * centre[label]), deviation)
        )
    return -bits(np.concatenate(found))


@pytest.mark.parametrize("prediction", PREDICTIONS.names)
@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_where_the_bound_is_known_it_is_found(images, schedule, prediction):
    settings = SETTINGS.model_copy(update={"beta_schedule": schedule, "prediction": prediction})
    report = measure(optimal(settings), images, evaluations=120)
    expected = expected_terms(images, NoiseSchedule.from_settings(settings))
    # Of 47,040 pixels with a noise of their own: the mean of eps^2 has a standard error of 0.65 %.
    assert report.terms == pytest.approx(expected, rel=0.01, abs=1e-6)
    assert report.bits_per_dim == pytest.approx(sum(expected.values()), rel=0.01)
    assert sum(report.shares.values()) == pytest.approx(1)


@pytest.mark.parametrize(("beta_schedule", "timesteps"), [("linear", 120), ("cosine", 30), ("cosine", 120)])
def test_it_is_a_bound_on_the_exact_likelihood(images, beta_schedule, timesteps):
    settings = SETTINGS.model_copy(update={"beta_schedule": beta_schedule, "timesteps": timesteps})
    schedule = NoiseSchedule.from_settings(settings)
    exact = exact_bits(images, schedule)
    assert 6 < exact < 6.5  # of N(0, STD^2), rounded: log2(STD / (2 / 255)) + log2(2 pi e) / 2 = 6.3
    bound = measure(optimal(settings), images, evaluations=timesteps).bits_per_dim
    assert exact < bound < exact + (0.6 if timesteps == 30 else 2)


@pytest.mark.parametrize("evaluations", [2, 8, 40])
def test_an_estimate_agrees_with_the_sum_over_all_timesteps(images, evaluations):
    model = optimal(SETTINGS)
    every = measure(model, images, evaluations=120)
    errors = [
        measure(model, images, evaluations=evaluations, seed=1000 * seed).terms["denoising"] - every.terms["denoising"]
        for seed in range(12)
    ]
    assert abs(np.mean(errors)) < 4 * np.std(errors, ddof=1) / math.sqrt(len(errors)) + 1e-4
    assert max(map(abs, errors)) < {2: 0.5, 8: 0.15, 40: 0.04}[evaluations]


def test_the_standard_error_is_that_of_the_mean_over_images(images):
    model = optimal(SETTINGS)
    reports = [measure(model, images[slice(k, k + 20)], evaluations=8, n=20, seed=k) for k in (0, 20, 40)]
    assert all(0 < report.standard_error < 0.1 for report in reports)
    means = [report.bits_per_dim for report in reports]
    assert np.std(means) < 4 * reports[0].standard_error
    assert measure(model, images[:1], evaluations=8).standard_error is None


def test_a_bound_depends_neither_on_the_batch_nor_on_the_chunk_nor_on_more_images(images, monkeypatch):
    model = optimal(SETTINGS)
    whole = measure(model, images, evaluations=8)
    monkeypatch.setattr(likelihood, "batch_size_for", lambda model: 7)
    monkeypatch.setattr(likelihood, "_CHUNK", 25)
    assert content(measure(model, images, evaluations=8)) == content(whole)
    assert content(measure(model, images, evaluations=8, seed=1)) != content(whole)
    assert measure(model, images, evaluations=8, n=10).num_images == 10


def test_the_network_is_evaluated_as_often_as_asked_for_without_guidance(images):
    seen = []
    model = optimal(SETTINGS)

    def recorded(x_t, t, labels):
        seen.append((len(x_t), labels))
        return model.denoiser(x_t, t, labels)

    steps = []
    work = measure_likelihood(replace(model, denoiser=recorded), RealSplit("test", images), n=60, evaluations=8, seed=0)
    report = finish(work, steps.append)
    assert 60 * 6 < sum(count for count, _ in seen) <= 60 * 8
    assert set(np.concatenate([labels for _, labels in seen]).tolist()) == {0, 1}
    assert (report.evaluations, report.timesteps, report.num_images) == (8, 120, 60)
    assert [step.done for step in steps] == sorted(step.done for step in steps)
    assert (steps[-1].done, steps[-1].total) == (60, 60)


def test_a_model_without_a_bound_and_one_that_diverged_are_refused(images):
    student = read_checkpoint_file(bundled_models()["bundled-2"]).settings
    with pytest.raises(NeedsTeacherError, match="`bits_per_dim`"):
        next(measure_likelihood(DiffusionModel(None, student), RealSplit("test", images), n=10, evaluations=2, seed=0))
    broken = DiffusionModel(lambda x_t, t, labels: x_t * np.float32("nan"), SETTINGS)
    with pytest.raises(DivergedError):
        measure(broken, images, evaluations=2, n=10)


def content(report):
    """What is written, but for the time it took."""
    return json.loads(report.model_dump_json(exclude={"seconds"}))
