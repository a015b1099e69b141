"""Entries that another program registers: each trains, resumes bit-exact, samples and inspects."""

import json
import string
from functools import cache

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from mnistdiff.cli import app
from mnistdiff.engine import pipeline
from mnistdiff.engine.checkpoint.file import read_checkpoint
from mnistdiff.engine.data.datasets import DatasetSpec, LabelledImages
from mnistdiff.engine.data.image_files import Picture
from mnistdiff.engine.diffusion.samplers import SampleStep
from mnistdiff.engine.diffusion.schedule import NoiseSchedule
from mnistdiff.engine.network.build import Network
from mnistdiff.engine.runs.run_dir import RunDir
from mnistdiff.registry import Registry
from mnistdiff.setting_types import DATASETS, NETWORKS, PREDICTIONS, SAMPLERS, SCHEDULES

SMALL = {
    "preset": "tiny",
    "dataset": "mnist-5k",
    "batch_size": 16,
    "timesteps": 10,
    "channels": [8],
    "patch_size": 4,
}
loaded_once = cache(pipeline.load_training_images)


@pytest.fixture
def restored(monkeypatch):
    """Have a table forget what a test registers: ``restored(TABLE)``."""

    def restore(table: Registry) -> None:
        monkeypatch.setattr(table, "_names", [*table._names])
        monkeypatch.setattr(table, "_entries", dict(table._entries))

    return restore


@pytest.fixture
def command(tmp_path, monkeypatch, capfd):
    """Run a command line in ``tmp_path``; returns its stdout."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(pipeline, "load_training_images", loaded_once)

    def run(line: str) -> str:
        capfd.readouterr()
        code = app.run(line.split())
        out, err = capfd.readouterr()
        assert code == 0, err
        return out

    return run


def tensors(folder):
    return {name: array.tobytes() for name, array in read_checkpoint(RunDir(folder).latest).tensors.items()}


def prove(tmp_path, command, name="7", **settings):
    """A model with these settings trains, resumes bit-exactly, samples, and is inspected."""
    lines = (f"{name} = {json.dumps(value)}\n" for name, value in (SMALL | settings).items())
    (tmp_path / "mine.toml").write_text("".join(lines))
    command("train --config mine.toml --max-steps 20 --run-dir whole -q")
    command("train --config mine.toml --max-steps 9 --run-dir stopped -q")
    command("resume stopped --max-steps 20 -q")
    assert tensors(tmp_path / "stopped") == tensors(tmp_path / "whole")
    command(f"sample --class {name} --seed 1 --checkpoint whole -o seven.png -q")
    assert (tmp_path / "seven.png").stat().st_size > 0
    assert settings.items() <= json.loads(command("inspect whole --json"))["settings"].items()


def test_a_noise_schedule_a_prediction_type_and_a_sampler(tmp_path, restored, command):
    """Flow matching (Lipman et al. 2023, arXiv 2210.02747) on straight paths, which do not preserve the variance."""
    for table in (SCHEDULES, PREDICTIONS, SAMPLERS):
        restored(table)

    @SCHEDULES.register("straight")
    def straight(train):
        sigmas = np.arange(1, train.timesteps + 1) / (train.timesteps + 1)
        return NoiseSchedule(alphas=1 - sigmas, sigmas=sigmas)

    class Flow:
        def target(self, x_0, eps, alpha, sigma):
            return eps - x_0

        def x_0(self, output, x_t, alpha, sigma):
            return (x_t - sigma * output) / (alpha + sigma)

        def eps(self, output, x_t, alpha, sigma):
            return (x_t + alpha * output) / (alpha + sigma)

    def euler(predict_x_0, x_T, *, schedule, timesteps, noise):
        x_t = x_T
        for t, t_prev in timesteps:
            x_0 = predict_x_0(x_t, t)
            flow = (x_t - x_0) / schedule.sigma(t)
            x_t = x_t + (schedule.sigma(t_prev) - schedule.sigma(t)) * flow
            yield SampleStep(t, x_t, x_0)

    PREDICTIONS.add("flow", Flow())
    SAMPLERS.add("euler", lambda settings: euler)
    prove(tmp_path, command, beta_schedule="straight", prediction="flow")
    command("sample --digit 7 --seed 1 --checkpoint whole --sampler euler -o euler.png -q")
    command("sample --digit 7 --seed 1 --checkpoint whole --sampler ddim -o ddim.png -q")
    by_euler, by_ddim = (Picture.read(tmp_path / name).grey_levels().astype(int) for name in ("euler.png", "ddim.png"))
    assert np.abs(by_euler - by_ddim).max() <= 1  # on straight paths they are the same
    assert json.loads(command("reproduce euler.png --json -q"))["identical"]


def test_a_data_set_of_26_classes(tmp_path, restored, command, capfd):
    restored(DATASETS)

    def bars(split):
        """Class k is a bar k pixels from the left."""
        labels = np.arange(104, dtype=np.uint8) % 26
        images = np.zeros((104, 28, 28), np.uint8)
        images[np.arange(104), 4:24, labels] = images[np.arange(104), 4:24, labels + 1] = 255
        return LabelledImages(images, labels)

    names = tuple(string.ascii_lowercase)
    DATASETS.add("bars", DatasetSpec("bars", "bars", class_names=names, class_counts=(4,) * 26, load=bars))
    prove(tmp_path, command, name="z", dataset="bars")
    assert read_checkpoint(RunDir(tmp_path / "whole").latest).tensors["model.embed_label.weight"].shape[0] == 27

    said = json.loads(command("sample --checkpoint whole -o sheet.png --gif sheet.gif --json").splitlines()[0])
    assert [(image["label"], image["class"]) for image in said["images"]] == [*enumerate(names)]
    command("grid whole -n 2 -o grid.png")
    assert Picture.read(tmp_path / "grid.png").shape()[0] > 26 * 2 * 28
    assert Picture.read(tmp_path / "whole" / "samples" / "epoch_0001.png").shape()[0] > 26 * 2 * 28
    assert json.loads(command("reproduce sheet.png --json -q"))["identical"]
    command("interpolate --from b --to z --frames 2 --checkpoint whole -o between.png")
    Image.fromarray(bars("train").images[13]).save("n.png")
    assert len(json.loads(command("classify n.png --checkpoint whole --json"))["probabilities"]) == 26

    assert app.run(["sample", "--digit", "7", "--checkpoint", "whole"]) == 2
    assert app.run(["evaluate", "whole", "-n", "10"]) == 2
    assert "bars" in capfd.readouterr().err


def test_prediction_of_the_clean_image(tmp_path, command):
    prove(tmp_path, command, prediction="sample")


def test_a_network(tmp_path, restored, command, capfd):
    restored(NETWORKS)

    @NETWORKS.register("perceptron")
    class Perceptron(Network):
        def __init__(self, settings):
            super().__init__()
            self.embed_label = nn.Embedding(settings.spec.num_classes + 1, 8)
            self.layers = nn.Sequential(nn.Linear(28 * 28 + 8 + 1, 32), nn.SiLU(), nn.Linear(32, 28 * 28))

        def forward(self, x_t, t, labels):
            inputs = torch.cat([x_t.flatten(1), self.embed_label(labels), t[:, None] / 10], dim=1)
            return self.layers(inputs).view_as(x_t)

    prove(tmp_path, command, network="perceptron")
    assert app.run(["sample", "--checkpoint", "whole", "--backend", "onnx"]) == 2
    assert "mnistdiff export" not in capfd.readouterr().err  # it does not know this network
    restored(NETWORKS)
    NETWORKS._names.remove("perceptron")
    assert json.loads(command("inspect whole --json"))["settings"]["network"] == "perceptron"
    assert app.run(["sample", "--checkpoint", "whole"]) == 3
    assert "network 'perceptron'" in capfd.readouterr().err
