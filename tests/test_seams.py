"""Entries that another program registers: each trains, resumes to the same bits, samples and inspects."""

import json
from functools import cache

import pytest
import torch
from torch import nn

from mnistdiff.cli import app
from mnistdiff.engine import pipeline
from mnistdiff.engine.checkpoint.file import read_checkpoint
from mnistdiff.engine.network.build import Network
from mnistdiff.engine.runs.run_dir import RunDir
from mnistdiff.registry import Registry
from mnistdiff.settings import NETWORKS

SMALL = 'preset = "tiny"\ndataset = "mnist-5k"\nbatch_size = 16\ntimesteps = 10\nchannels = [8]\npatch_size = 4\n'
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

    (tmp_path / "mine.toml").write_text(SMALL + 'network = "perceptron"\n')
    command("train --config mine.toml --max-steps 20 --run-dir whole -q")
    command("train --config mine.toml --max-steps 9 --run-dir stopped -q")
    command("resume stopped --max-steps 20 -q")
    assert tensors(tmp_path / "stopped") == tensors(tmp_path / "whole")
    command("sample --digit 7 --checkpoint whole -o seven.png -q")
    assert (tmp_path / "seven.png").stat().st_size > 0
    assert json.loads(command("inspect whole --json"))["settings"]["network"] == "perceptron"
    restored(NETWORKS)
    NETWORKS._names.remove("perceptron")
    assert json.loads(command("inspect whole --json"))["settings"]["network"] == "perceptron"
    assert app.run(["sample", "--checkpoint", "whole"]) == 3
    assert "network 'perceptron'" in capfd.readouterr().err
