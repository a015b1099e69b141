"""The predictions at one timestep: independent formulas, the loss of training, the step of a sampler."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import mnistdiff
from mnistdiff.engine.checkpoint.pretrained import PRETRAINED
from mnistdiff.engine.inference.denoising import denoise
from mnistdiff.engine.inference.model import DiffusionModel, load_model
from mnistdiff.engine.inference.sampling import guided_x_0
from mnistdiff.engine.randomness import Stream, generator
from mnistdiff.engine.training.objective import DiffusionLoss, Draws
from mnistdiff.errors import DivergedError, NeedsTeacherError, NoDigitError, SettingsError
from mnistdiff.sample_settings import SampleSettings
from mnistdiff.setting_types import PREDICTIONS
from mnistdiff.settings import TrainSettings

T = 500
IMAGE = np.random.default_rng(0).integers(0, 256, (28, 28), dtype=np.uint8)


@pytest.fixture(scope="module")
def model():
    return mnistdiff.load()


def network(x_t, t, labels):
    """Some function of its three arguments."""
    return (np.sin(3 * x_t) + labels[:, None, None, None] / 20 + t / 900).astype(np.float32)


def cosine(t):
    """alpha and sigma of Nichol & Dhariwal, Eq. 17, whose betas are clipped where nearly all is noise."""
    f = np.cos((np.arange(T + 1) / T + 0.008) / 1.008 * np.pi / 2) ** 2
    alpha_bar = np.prod([1 - min(1 - f[s + 1] / f[s], 0.999) for s in range(t + 1)])
    return np.sqrt(alpha_bar), np.sqrt(1 - alpha_bar)


@pytest.mark.parametrize("t", [0, 1, 250, T - 1])
@pytest.mark.parametrize("kind", PREDICTIONS.names)
def test_all_is_as_the_papers_say(kind, t):
    settings = TrainSettings(preset="fast", beta_schedule="cosine", prediction=kind, timesteps=T)
    found = denoise(DiffusionModel(network, settings), IMAGE, 7, t, seed=5, guidance=2.5)
    alpha, sigma = cosine(t)
    assert (found.alpha, found.sigma) == (pytest.approx(alpha, rel=1e-9), pytest.approx(sigma, rel=1e-9))
    x_0 = IMAGE / 127.5 - 1
    eps = generator(5, Stream.SAMPLING_NOISE).standard_normal((1, 28, 28), dtype=np.float32)[0]
    np.testing.assert_array_equal(found.eps, eps)
    np.testing.assert_allclose(found.x_t, alpha * x_0 + sigma * eps, atol=1e-6)  # q(x_t | x_0)

    def form(predicted):
        return {"epsilon": predicted.eps, "v_prediction": predicted.v, "sample": predicted.x_0}[kind]

    for predicted, label in ((found.conditional, 7), (found.unconditional, 10)):
        output = network(found.x_t[None, None], t, np.array([label]))[0, 0]
        np.testing.assert_allclose(form(predicted), output, atol=1e-6)
    for predicted in (found.conditional, found.unconditional, found.guided):
        scale = np.abs(predicted.x_0).max() + np.abs(predicted.eps).max()  # one may be large at either end
        np.testing.assert_allclose(alpha * predicted.x_0 + sigma * predicted.eps, found.x_t, atol=1e-9 * scale)
        np.testing.assert_allclose(alpha * predicted.eps - sigma * predicted.x_0, predicted.v, atol=1e-9 * scale)
    for name in ("eps", "x_0", "v"):  # Ho & Salimans, Eq. 6: (1 + w) eps(x, c) - w eps(x), w = 1.5
        cond, uncond, both = (getattr(each, name) for each in (found.conditional, found.unconditional, found.guided))
        np.testing.assert_allclose(both, 2.5 * cond - 1.5 * uncond, atol=1e-9 * np.abs(both).max())


@pytest.mark.parametrize("kind", PREDICTIONS.names)
@pytest.mark.parametrize("hidden", [False, True])
def test_the_loss_is_that_of_the_training_objective(kind, hidden):
    settings = TrainSettings(preset="fast", beta_schedule="cosine", prediction=kind, timesteps=T)
    for t in (3, 200, 480):
        found = denoise(DiffusionModel(network, settings), IMAGE, 3, t, seed=8, guidance=1)
        eps = torch.from_numpy(found.eps)[None, None]
        draws = Draws(step=0, first=0, t=torch.tensor([t]), eps=eps, drop=torch.tensor([hidden]))
        expected = DiffusionLoss(settings, torch.device("cpu")).loss(
            lambda x, t, label: torch.from_numpy(network(x.numpy(), int(t), label.numpy())),
            torch.from_numpy(IMAGE / np.float32(127.5) - 1)[None, None],
            torch.tensor([3]),
            draws,
        )
        assert (found.unconditional_loss if hidden else found.loss) == pytest.approx(float(expected), rel=1e-5)


def test_it_is_what_a_sampler_computes_and_more_noise_is_harder(model):
    nine = model.sample(9, seed=3)[0]
    clean, early, late = (model.denoise(nine, 9, t, seed=1, guidance=3) for t in (0, 150, 499))
    teacher = model.teacher
    predict = guided_x_0(teacher, teacher.schedule, [9], SampleSettings(guidance=3))
    np.testing.assert_allclose(predict(early.x_t[None, None], 150)[0, 0], early.guided.x_0.clip(-1, 1), atol=1e-3)
    misses = [np.abs(each.conditional.x_0.clip(-1, 1) - (nine / 127.5 - 1)).mean() for each in (clean, early, late)]
    assert misses == sorted(misses)
    assert misses[1] < 0.1 < misses[2]
    assert late.loss < late.unconditional_loss  # of noise alone, the label tells something
    assert np.array_equal(early.image, nine)


def test_arguments_are_those_of_the_other_methods(model, tmp_path):
    page = np.full((90, 70), 230, np.uint8)
    page[20:70, 30:38] = 20
    one, again = model.denoise(page, "1", 9, seed=0), model.denoise(page, 1, 9, seed=0)
    assert np.array_equal(one.image, model.preprocess(page).image)
    assert np.array_equal(one.guided.x_0, again.guided.x_0)
    settings = model.teacher.sample_settings()
    assert [model.denoise(page, 1, t, seed=0).guidance for t in (10, 300)] == [
        settings.guidance_at(t, T) for t in (10, 300)
    ]
    for wrong in ({"t": -1}, {"t": T}, {"label": 10}, {"guidance": -1}, {"seed": -1}):
        with pytest.raises(SettingsError, match=rf"`{next(iter(wrong))}`"):
            model.denoise(**{"image": page, "label": 1, "t": 0} | wrong)
    with pytest.raises(NoDigitError):
        model.denoise(np.zeros((90, 70), np.uint8), 1, 0)
    with pytest.raises(NeedsTeacherError, match="denoise"):
        replace(model, teacher_file=None).denoise(page, 1, 0)


def test_a_prediction_that_is_not_finite_is_an_error():
    settings = load_model(PRETRAINED, weights="ema", device="cpu").settings
    with pytest.raises(DivergedError):
        denoise(DiffusionModel(lambda x, t, labels: x * np.nan, settings), IMAGE, 0, 0, seed=0, guidance=1)
