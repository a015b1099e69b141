"""Distillation: where a student of a known teacher lands, and that its run is one as any other."""

import numpy as np
import pytest
import torch
from torch import nn

from mnistdiff.distillation import Distillation
from mnistdiff.engine.diffusion.schedule import NoiseSchedule
from mnistdiff.engine.network.build import Network
from mnistdiff.engine.training.distillation import DistillationLoss, path_number
from mnistdiff.engine.training.loop import train_steps
from mnistdiff.engine.training.objective import Draws
from mnistdiff.engine.training.state import TrainState
from mnistdiff.sample_settings import SampleSettings
from mnistdiff.setting_types import NETWORKS
from mnistdiff.settings import TrainSettings

CPU = torch.device("cpu")
MEAN, DEVIATION = 0.1, 0.15  # of all pixels, independent: few are beyond [-1, 1], where predictions are clipped
SHAPE = (16, 1, 28, 28)


class Affine(Network):
    """A prediction that is affine in x_t, with a factor and an offset for each timestep."""

    def __init__(self, settings):
        super().__init__()
        self.factor = nn.Parameter(torch.zeros(settings.timesteps))
        self.offset = nn.Parameter(torch.zeros(settings.timesteps))

    def forward(self, x_t, t, labels):
        return self.factor[t, None, None, None] * x_t + self.offset[t, None, None, None]


@pytest.fixture
def affine(monkeypatch):
    monkeypatch.setattr(NETWORKS, "_names", [*NETWORKS.names])
    monkeypatch.setattr(NETWORKS, "_entries", dict(NETWORKS))
    NETWORKS.register("affine")(Affine)


def settings_of(steps, teacher_steps=40, **changes):
    sampling = SampleSettings(sampler="dpmpp_2m", steps=teacher_steps, guidance=1)
    distillation = Distillation(teacher="0" * 64, prediction="v_prediction", sampling=sampling, steps=steps)
    fields = {"network": "affine", "prediction": "v_prediction", "beta_schedule": "cosine", "timesteps": 200}
    return TrainSettings(**fields, batch_size=16, distillation=distillation, **changes)


def optimal_weights(settings):
    """The best prediction of v for independent normal pixels: x_0 and eps given x_t are affine in x_t."""
    schedule = NoiseSchedule.from_settings(settings)
    alpha, sigma = schedule.alphas, schedule.sigmas
    variance = alpha**2 * DEVIATION**2 + sigma**2
    # v = alpha eps - sigma x_0; the mean of x_t is alpha MEAN, and cov(v, x_t) = alpha sigma (1 - DEVIATION^2).
    factor = alpha * sigma * (1 - DEVIATION**2) / variance
    offset = -sigma * MEAN - factor * alpha * MEAN
    return {"factor": factor.astype(np.float32), "offset": offset.astype(np.float32)}


def images():
    return np.zeros((64, 28, 28), np.uint8), np.zeros(64, np.uint8)


@pytest.mark.parametrize("steps", [1, 4])
def test_a_student_of_a_known_teacher_lands_where_the_flow_lands(affine, steps):
    """The flow of a normal distribution is affine: x_T, standard normal, goes to MEAN + DEVIATION x_T."""
    settings = settings_of(steps, lr=0.01, lr_schedule="linear", weight_decay=0, grad_clip=0, ema_decay=0)
    weights = optimal_weights(settings)
    objective = DistillationLoss(settings, CPU, teacher=weights)
    state = TrainState.initial(settings, CPU, objective, weights=weights)
    losses = [step.loss for step in train_steps(state, *images(), settings, objective, total_steps=300)]
    x_t = torch.from_numpy(np.random.default_rng(1).standard_normal(SHAPE, dtype=np.float32))
    schedule = NoiseSchedule.from_settings(settings)
    landed = x_t
    for t, t_prev in schedule.inference_timesteps(steps, "trailing"):
        v = state.model(landed, torch.full((len(x_t),), t), None).detach()
        x_0 = schedule.alpha(t) * landed - schedule.sigma(t) * v
        eps = schedule.sigma(t) * landed + schedule.alpha(t) * v
        landed = schedule.alpha(t_prev) * x_0 + schedule.sigma(t_prev) * eps
    assert (landed - (MEAN + DEVIATION * x_t)).abs().mean() < 0.01
    assert losses[-1] < losses[0] / 10
    teacher = {name.removeprefix("teacher."): tensor.numpy() for name, tensor in objective.tensors().items()}
    assert all(np.array_equal(teacher[name], array) for name, array in weights.items())


def test_paths_are_those_that_the_teacher_samples(affine):
    """The first and the last state of a path, by an integration of the flow of its own."""
    settings = settings_of(2, teacher_steps=100)
    objective = DistillationLoss(settings, CPU, teacher=optimal_weights(settings))
    seen = []

    def student(x_t, t, labels):
        seen.append((x_t, labels))
        return torch.zeros_like(x_t).requires_grad_()

    draws = Draws.at_step(0, SHAPE, settings)
    objective.loss(student, torch.zeros(SHAPE), torch.zeros(16), draws)
    noise, labels = seen[0]
    assert abs(noise.mean()) < 0.02
    assert abs(noise.std() - 1) < 0.02
    assert len(labels.unique()) > 4
    [[_, middle], [_, _]] = NoiseSchedule.from_settings(settings).inference_timesteps(2, "trailing")
    schedule = NoiseSchedule.from_settings(settings)
    states = objective._paths(draws, images=16)[2].float()
    assert (states[-1] - (MEAN + DEVIATION * noise)).abs().max() < 0.02
    deviation = float(np.hypot(schedule.alpha(middle) * DEVIATION, schedule.sigma(middle)))
    assert (states[0] - (schedule.alpha(middle) * MEAN + deviation * noise)).abs().max() < 0.05
    again = DistillationLoss(settings, CPU, teacher=optimal_weights(settings))
    assert torch.equal(
        again._paths(draws.of(slice(8, 16)), images=8)[2], objective._paths(draws.of(slice(8, 16)), images=8)[2]
    )


def test_every_fifth_step_has_a_new_batch_of_paths_and_each_is_used_five_times():
    numbers = [path_number(step) for step in range(5000)]
    assert numbers[::5] == list(range(1000))
    assert all(number <= step // 5 for step, number in enumerate(numbers))
    assert {numbers.count(number) for number in range(100, 900)} == {5}
    assert all(newest // 5 - number <= 64 for newest, number in enumerate(numbers))  # those that are kept


@pytest.mark.parametrize(
    ("sampling", "steps"),
    [
        ({"steps": 10}, 4),
        ({"steps": 8, "spacing": "even"}, 4),
        ({"steps": 8, "sampler": "ddpm"}, 4),
        ({"steps": 8, "sampler": "ddim", "eta": 0.5}, 4),
        ({"steps": 2}, 4),
    ],
)
def test_paths_that_a_student_cannot_learn_are_refused(sampling, steps):
    with pytest.raises(ValueError, match=r"teacher|student"):
        Distillation(teacher="0" * 64, prediction="epsilon", sampling=SampleSettings(**sampling), steps=steps)
