import math

import numpy as np
import pytest
import torch

from mnistdiff.engine.randomness import Stream, generator
from mnistdiff.engine.training.objective import DiffusionLoss, Draws, drop_labels, spread_timesteps
from mnistdiff.settings import TrainSettings

KINDS = ["epsilon", "v_prediction"]
SHAPE = (12, 1, 28, 28)


def setting(**values):
    return TrainSettings(timesteps=200, **values)


def objective(settings):
    return DiffusionLoss(settings, torch.device("cpu"))


def images():
    return torch.rand(SHAPE, generator=torch.Generator().manual_seed(0)) * 2 - 1


def fields(draws):
    return draws.t, draws.eps, draws.drop


@pytest.mark.parametrize("kind", KINDS)
def test_noisy_image_and_target_are_those_of_the_papers_image_by_image(kind):
    settings = setting(prediction=kind)
    x_0, draws = images(), Draws.at_step(0, SHAPE, settings)
    x_t, target = objective(settings).q_sample(x_0, draws), objective(settings).target(x_0, draws)
    betas = np.linspace(settings.beta_start, settings.beta_end, settings.timesteps)
    for k, t in enumerate(draws.t.tolist()):
        alpha_bar = math.prod(1 - betas[: t + 1])
        image, eps = x_0[k].double(), draws.eps[k].double()
        noisy = math.sqrt(alpha_bar) * image + math.sqrt(1 - alpha_bar) * eps
        v = math.sqrt(alpha_bar) * eps - math.sqrt(1 - alpha_bar) * image
        torch.testing.assert_close(x_t[k].double(), noisy, rtol=0, atol=1e-6)
        torch.testing.assert_close(target[k].double(), eps if kind == "epsilon" else v, rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_the_loss_is_the_mean_square_of_what_is_missed(kind):
    settings = setting(prediction=kind)
    x_0, labels, draws = images(), torch.arange(12) % 10, Draws.at_step(0, SHAPE, settings)
    target = objective(settings).target(x_0, draws)

    def loss(predict):
        return objective(settings).loss(predict, x_0, labels, draws).item()

    assert loss(lambda x_t, t, y: target) == 0
    assert loss(lambda x_t, t, y: target + 0.5) == pytest.approx(0.25, rel=1e-5)
    assert loss(lambda x_t, t, y: 0 * x_t) == pytest.approx(target.square().mean().item(), rel=1e-5)


def test_the_network_sees_the_noisy_image_its_timestep_and_its_label_or_none():
    settings = setting(label_dropout=0.5)
    x_0, labels, draws = images(), torch.arange(12) % 10, Draws.at_step(3, SHAPE, settings)
    seen = []
    objective(settings).loss(lambda *arguments: seen.append(arguments) or arguments[0], x_0, labels, draws)
    [(x_t, t, y)] = seen
    torch.testing.assert_close(x_t, objective(settings).q_sample(x_0, draws))
    assert torch.equal(t, draws.t)
    assert [int(label) for label in y] == [10 if hidden else k % 10 for k, hidden in enumerate(draws.drop.tolist())]


def test_the_draws_of_a_step_are_the_same_whenever_they_are_asked_for():
    first = [Draws.at_step(step, SHAPE, setting()) for step in range(5)]
    for step in (4, 0, 3, 1, 2):
        again = Draws.at_step(step, SHAPE, setting())
        assert all(torch.equal(a, b) for a, b in zip(fields(again), fields(first[step]), strict=True))


def test_each_step_and_each_seed_draws_numbers_of_its_own():
    draws = [
        Draws.at_step(step, SHAPE, setting(seed=seed, label_dropout=0.5)) for step in range(4) for seed in range(4)
    ]
    for field in zip(*map(fields, draws), strict=True):
        assert len({value.numpy().tobytes() for value in field}) == 16


def test_each_image_of_a_batch_has_its_own_timestep_noise_and_chance_of_losing_its_label():
    draws = Draws.at_step(0, (5000, 1, 1, 1), setting(label_dropout=0.3))
    assert sorted(set(draws.t.tolist())) == list(range(200))
    assert np.bincount(draws.t).max() < 60  # 25 expected
    assert len(draws.eps.unique()) == 5000
    assert draws.drop.float().mean().item() == pytest.approx(0.3, abs=0.03)  # 4.6 standard errors
    together = np.corrcoef([value.flatten().double().numpy() for value in fields(draws)])
    assert np.abs(together - np.eye(3)).max() < 0.06


def test_noise_is_standard_normal():
    eps = Draws.at_step(0, (256, 1, 28, 28), setting()).eps.double()
    assert abs(eps.mean()) < 0.01
    assert abs(eps.std() - 1) < 0.01


def test_a_dropout_of_zero_hides_no_label_and_of_one_all():
    labels = torch.arange(10).repeat(100)
    for share, expected in ((0.0, labels), (1.0, torch.full_like(labels, 10))):
        drop = Draws.at_step(0, (1000, 1, 1, 1), setting(label_dropout=share)).drop
        assert torch.equal(drop_labels(labels, drop, 10), expected)


def test_a_smaller_last_batch_has_draws_of_its_own_size():
    draws = Draws.at_step(9, (3, 1, 28, 28), setting())
    assert [tuple(value.shape) for value in fields(draws)] == [(3,), (3, 1, 28, 28), (3,)]
    assert draws.eps.dtype == torch.float32


def test_timesteps_noise_and_dropout_come_from_streams_of_their_own():
    """A stream used twice would tie them together: the images that lose their label would all be noisy ones."""
    train = TrainSettings(seed=4, label_dropout=0.5)
    draws = Draws.at_step(9, (64, 1, 28, 28), train)
    assert torch.equal(draws.drop, torch.from_numpy(generator(4, Stream.LABEL_DROPOUT, 9).random(64) < 0.5))
    u = (np.arange(64) / 64 + generator(4, Stream.TIMESTEPS, 9).random()) % 1
    np.testing.assert_array_equal(draws.t, np.floor(u * train.timesteps))
    noise = generator(4, Stream.TRAINING_NOISE, 9).standard_normal((64, 1, 28, 28), dtype=np.float32)
    np.testing.assert_array_equal(draws.eps, noise)


def test_a_batch_has_one_timestep_in_each_of_as_many_parts_of_the_schedule():
    t = np.sort(spread_timesteps(50, 0.372, setting()))  # T = 200: parts of 4 timesteps
    assert (np.diff(t) == 4).all()


@pytest.mark.parametrize("position", [0, 5])
def test_a_single_image_draws_its_timestep_uniformly(position):
    t = [spread_timesteps(8, offset, setting())[position] for offset in (np.arange(2000) + 0.5) / 2000]
    assert (np.bincount(t, minlength=200) == 10).all()


@pytest.mark.parametrize("scale", [0.0, 0.5, 1.0, 1.3])
def test_mode_scale_draws_the_middle_more_often_and_the_ends_less_by_the_derivative_of_the_map(scale):
    t = spread_timesteps(2_000_000, 0.25, setting(mode_scale=scale))
    share = np.bincount(t, minlength=200) * 200 / len(t)  # relative to uniform
    assert share[100] == pytest.approx(1 / (1 - (np.pi / 2 - 1) * scale), rel=0.02)
    assert [share[0], share[199]] == pytest.approx([1 / (1 + scale)] * 2, rel=0.02)
    np.testing.assert_allclose(share, share[::-1], rtol=0.02)
    assert share.min() > 0.3


@pytest.mark.parametrize("shift", [0.5, 2.0, 4.0])
def test_a_shift_moves_the_middle_of_the_schedule_and_its_inverse_moves_it_back(shift):
    t = spread_timesteps(100_001, 0.25, setting(timestep_shift=shift))
    assert np.median(t) == pytest.approx(200 * shift / (1 + shift), abs=1)
    assert (t.min(), t.max()) == (0, 199)
    back = 200 - 1 - spread_timesteps(100_001, 0.25, setting(timestep_shift=1 / shift))
    assert np.abs(np.bincount(t, minlength=200) - np.bincount(back, minlength=200)).max() <= 3


def test_without_a_shift_and_a_mode_every_timestep_is_as_likely():
    assert (np.bincount(spread_timesteps(20_000, 0.00001, setting()), minlength=200) == 100).all()
