"""The diffusion model as a classifier."""

from dataclasses import replace

import numpy as np
import pytest

from mnistdiff.engine.checkpoint.pretrained import PRETRAINED
from mnistdiff.engine.diffusion.predictions import eps_from_x_0
from mnistdiff.engine.diffusion.schedule import NoiseSchedule
from mnistdiff.engine.evaluation.reference_stats import RealImages
from mnistdiff.engine.inference import diffusion_classifier
from mnistdiff.engine.inference.diffusion_classifier import ClassPosterior, class_posteriors, noisy_timesteps
from mnistdiff.engine.inference.model import DiffusionModel, load_model
from mnistdiff.engine.inference.sampling import sample, specs_for_labels
from mnistdiff.engine.progress import collect
from mnistdiff.errors import DivergedError, SettingsError
from mnistdiff.sample_settings import SampleSettings
from mnistdiff.setting_types import PREDICTIONS
from mnistdiff.settings import TrainSettings

PAPER = TrainSettings(preset="fast", beta_schedule="cosine", prediction="v_prediction")


@pytest.fixture(scope="module")
def model():
    return load_model(PRETRAINED, weights="ema", device="cpu")


def posteriors(model, images, *, evaluations=12, seed=0):
    events = list(class_posteriors(model, images, evaluations=evaluations, seed=seed))
    assert [event.done for event in events] == list(range(1, events[-1].total + 1))
    return [posterior for event in events for posterior in event.results]


def of_gaussian_digits(means, deviation, settings):
    """The best possible network for digits whose pixels are N(mean of the digit, deviation^2)."""
    schedule = NoiseSchedule.from_settings(settings)

    def denoise(x_t, t, labels):
        alpha, sigma = schedule.alpha(t), schedule.sigma(t)
        mean = means[labels][:, None, None, None]
        x_0 = mean + deviation**2 * alpha / (alpha**2 * deviation**2 + sigma**2) * (x_t - alpha * mean)
        eps = eps_from_x_0(x_0, x_t, alpha, sigma)
        return PREDICTIONS[settings.prediction].target(x_0, eps, alpha, sigma).astype(np.float32)

    return DiffusionModel(denoise, settings)


@pytest.mark.parametrize("prediction", PREDICTIONS.names)
def test_where_the_posterior_is_known_it_is_found(prediction):
    """Digits of one grey each, hardly apart: p(digit | image) is a softmax of squared distances."""
    settings = PAPER.model_copy(update={"prediction": prediction})
    means, deviation = np.linspace(-0.05, 0.05, 10), 0.3
    model = of_gaussian_digits(means, deviation, settings)
    images = []
    for grey in (-0.03, 0.0, 0.012, 0.05):
        pixels = np.random.default_rng(1).normal(0, deviation, (28, 28))
        pixels += grey - pixels.mean()
        images.append(np.rint(np.clip(pixels + 1, 0, 2) * 127.5).astype(np.uint8))
    found = np.array([p.probabilities for p in posteriors(model, images, evaluations=374)])
    for image, probabilities in zip(images, found, strict=True):
        x = image / 127.5 - 1
        exact = -((x[None] - means[:, None, None]) ** 2).sum(axis=(1, 2)) / (2 * deviation**2)
        exact = np.exp(exact - exact.max())
        # The cleanest quarter of the timesteps is left out, and with it some certainty.
        assert np.argmax(probabilities) == np.argmax(exact)
        assert abs((probabilities @ means) - (exact / exact.sum() @ means)) < 0.01


def test_it_classifies_its_own_samples(model):
    samples = collect(sample(model, specs_for_labels(range(10), 1, 40), SampleSettings()))
    found = posteriors(model, [each.pixels for each in samples], evaluations=8)
    assert sum(p.label == s.label for p, s in zip(found, samples, strict=True)) >= 9
    for posterior in found:
        assert sum(posterior.probabilities) == pytest.approx(1)
        assert posterior.probabilities[posterior.label] == max(posterior.probabilities)
        assert np.argmax(posterior.bounds) == posterior.label
    unlabelled = replace(model, denoiser=lambda x_t, t, labels: model.denoiser(x_t, t, np.full_like(labels, 10)))
    assert max(posteriors(unlabelled, [samples[0].pixels])[0].probabilities) == pytest.approx(0.1, abs=1e-3)


def test_a_posterior_does_not_depend_on_the_images_beside_it(model):
    random = np.random.default_rng(0)
    images = [random.integers(0, 256, (28, 28), dtype=np.uint8) for _ in range(7)]
    together = posteriors(model, images, evaluations=3, seed=3)
    assert len(together) == 7
    assert [posteriors(model, [image], evaluations=3, seed=3)[0] for image in images] == together
    assert posteriors(model, images[:1], evaluations=3, seed=4)[0] != together[0]


@pytest.mark.parametrize("T", [8, 10, 500])
def test_timesteps_go_from_noise_to_the_cleanest_quarter(T):
    schedule = NoiseSchedule.cosine(T)
    most = T - 1 - round(T / 4)
    for evaluations in range(1, most + 1):
        timesteps = noisy_timesteps(schedule, evaluations)
        assert len(timesteps) == evaluations
        assert timesteps[0][0] == T - 1
        assert timesteps[-1][1] == round(T / 4)
        assert [t for t, _ in timesteps[1:]] == [t_prev for _, t_prev in timesteps[:-1]]
        assert all(t > t_prev for t, t_prev in timesteps)
    assert noisy_timesteps(schedule, None) == noisy_timesteps(schedule, min(32, most))
    with pytest.raises(SettingsError, match=f"`evaluations` {most + 1} is more than the {most}"):
        noisy_timesteps(schedule, most + 1)


def test_a_model_of_hardly_any_timesteps_cannot_classify():
    with pytest.raises(SettingsError, match="noisy timesteps of this model"):
        noisy_timesteps(NoiseSchedule.cosine(1), None)


@pytest.mark.soak
def test_the_soak_classifies_the_test_images_of_mnist(model, real_data_dir, monkeypatch, capsys):
    """And the cleanest quarter of the timesteps, with its large weights, does harm."""
    real = RealImages.load(real_data_dir)
    images, labels = list(real.test.images[:300]), real.test.labels[:300]

    def share_right():
        found = posteriors(model, images, evaluations=32)
        return np.mean([p.label == label for p, label in zip(found, labels, strict=True)])

    accuracy = share_right()
    monkeypatch.setattr(diffusion_classifier, "_CLEAN_SHARE", 0.0)
    all_timesteps = share_right()
    with capsys.disabled():
        print(f"\nof 300 test images {accuracy:.1%} are classified right; by all timesteps {all_timesteps:.1%}")  # noqa: T201
    assert all_timesteps < accuracy > 0.97


@pytest.mark.parametrize(
    ("largest", "undecided"), [(0.1, True), (0.19, True), (0.21, False), (0.5, False), (1.0, False)]
)
def test_a_model_is_undecided_where_no_digit_is_twice_as_probable_as_a_guess(largest, undecided):
    probabilities = (largest, *[(1 - largest) / 9] * 9)
    assert ClassPosterior(probabilities, (0.0,) * 10).is_undecided == undecided


def test_a_model_that_ignores_its_label_is_undecided():
    model = DiffusionModel(lambda x_t, t, labels: np.zeros_like(x_t), TrainSettings(timesteps=20))
    assert [posterior.is_undecided for posterior in posteriors(model, [np.zeros((28, 28), np.uint8)] * 2)] == [
        True,
        True,
    ]


def test_a_prediction_that_is_not_finite_is_an_error():
    model = DiffusionModel(lambda x_t, t, labels: np.full_like(x_t, np.nan), TrainSettings(timesteps=20))
    with pytest.raises(DivergedError, match="not finite"):
        posteriors(model, [np.zeros((28, 28), np.uint8)])
