"""An unknown name is an error wherever a name selects code: it never selects another entry."""

import numpy as np
import pytest
import torch

from mnistdiff.engine.checkpoint.pretrained import PRETRAINED
from mnistdiff.engine.data.datasets import MNIST
from mnistdiff.engine.data.load import load_images, load_training_images
from mnistdiff.engine.diffusion.samplers import SampleStep
from mnistdiff.engine.diffusion.schedule import NoiseSchedule
from mnistdiff.engine.inference.model import load_model
from mnistdiff.engine.inference.sampling import SampleSpec, sample
from mnistdiff.engine.network.build import build_network
from mnistdiff.engine.outputs.animation import animation
from mnistdiff.engine.outputs.trajectory import Trajectory
from mnistdiff.engine.training.objective import DiffusionLoss, Draws
from mnistdiff.engine.training.optimizer import build_optimizers, learning_rate_factor
from mnistdiff.errors import CheckpointError, SettingsError
from mnistdiff.sample_settings import SampleSettings
from mnistdiff.setting_types import PREDICTIONS
from mnistdiff.settings import TrainSettings

IMAGES = np.zeros((2, 1, 28, 28), np.float32)
SETTINGS = TrainSettings(timesteps=4, beta_schedule="cosine", channels=(4,), patch_size=4, embedding=8)


def unknown(**values):
    """Settings as a program may make them that does not validate: a command line and a checkpoint cannot."""
    return SETTINGS.model_copy(update=values)


def target(settings):
    x_0 = torch.from_numpy(IMAGES)
    objective = DiffusionLoss(settings, torch.device("cpu"))
    return objective.target(x_0, Draws.at_step(0, tuple(x_0.shape), settings))


def sampled(**values):
    model = load_model(PRETRAINED, weights="ema", device="cpu")
    return list(sample(model, [SampleSpec(7, 0)], SampleSettings(steps=1).model_copy(update=values)))


CASES = {
    "prediction": lambda: PREDICTIONS["x_0"],
    "prediction in training": lambda: target(unknown(prediction="x_0")),
    "noise schedule": lambda: NoiseSchedule.from_settings(unknown(beta_schedule="sigmoid")),
    "spacing": lambda: NoiseSchedule.cosine(4).inference_timesteps(2, "leading"),
    "spacing of a drawing": lambda: sampled(spacing="leading"),
    "sampler": lambda: sampled(sampler="euler"),
    "optimizer": lambda: build_optimizers(build_network(SETTINGS), unknown(optimizer="sgd")),
    "learning rate": lambda: learning_rate_factor(0, 9, unknown(lr_schedule="step")),
    "weights": lambda: load_model(PRETRAINED, weights="best", device="cpu"),
    "backend": lambda: load_model(PRETRAINED, weights="ema", device="cpu", backend="tensorrt"),
    "data set": lambda: load_training_images(unknown(dataset="euler"), data_dir=None),
    "half of a data set": lambda: load_images(MNIST, "validation", data_dir=None),
    "animation": lambda: animation([np.zeros((4, 4), np.uint8)], "webp", {"a": "b"}, seconds=1),
    "view": lambda: Trajectory([SampleSpec(7, 0)], "eps").record(SampleStep(0, IMAGES[:1], IMAGES[:1])),
}


@pytest.mark.parametrize("what", CASES)
def test_an_unknown_word_is_never_taken_for_a_known_one(what):
    with pytest.raises((AssertionError, KeyError, CheckpointError)):
        CASES[what]()


def test_an_unknown_device_is_an_error_of_the_caller():
    with pytest.raises(SettingsError, match="tpu"):
        load_model(PRETRAINED, weights="ema", device="tpu", backend="torch")


def test_the_known_words_pass_the_same_functions():
    assert len(sampled()) == 1
    assert target(SETTINGS).shape == IMAGES.shape
    assert animation([np.zeros((4, 4), np.uint8)], "gif", {"a": "b"}, seconds=1).startswith(b"GIF")
