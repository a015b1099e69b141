"""``train --from``: a training that starts from the weights of a model."""

import json

import numpy as np
import pytest

from mnistdiff.engine.checkpoint.file import read_checkpoint
from mnistdiff.engine.runs.run_dir import RunDir

LATEST = "diffusion_checkpoint.safetensors"


def test_the_first_state_has_the_averaged_weights_of_the_model(forked, tiny_run, tmp_path):
    line = ("train", "--from", tiny_run, "--max-steps", 1, "--lr", "1e-9", "--run-dir", "run", "-q")
    done = forked(*line, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    model, state = read_checkpoint(RunDir(tiny_run).best()), read_checkpoint(tmp_path / "run" / LATEST)
    for name, weights in model.weights("ema").items():
        assert np.abs(state.tensors[f"model.{name}"] - weights).max() < 1e-6
    settings = state.metadata.settings
    assert settings.start == model.sha256
    assert settings.of_model == model.metadata.settings.of_model

    again = forked("train", "--config", "run/settings.json", "--run-dir", "again", cwd=tmp_path)
    assert again.returncode == 2
    assert "--from" in again.stderr.decode()
    more = forked("resume", "run", "--max-steps", 2, "-q", cwd=tmp_path)
    assert more.returncode == 0, more.stderr


@pytest.mark.parametrize("options", [["--prediction", "epsilon"], ["--timesteps", "11"], ["--beta-schedule", "linear"]])
def test_another_model_than_that_of_the_start_is_refused(cli, tiny_run, tmp_path, options):
    done = cli("train", "--from", tiny_run, *options, "--run-dir", "run", cwd=tmp_path)
    assert done.returncode == 2
    assert options[0] in done.stderr.decode()
    assert not (tmp_path / "run").exists()


def test_network_and_schedule_are_those_of_the_start_and_the_training_that_of_the_preset(cli, tiny_run, tmp_path):
    for options, optimizer in (([], "adamw"), (["--preset", "fast"], "muon")):
        done = cli("train", "--from", tiny_run, *options, "--dry-run", "--json", cwd=tmp_path)
        settings = {name: each["value"] for name, each in json.loads(done.stdout).items()}
        assert (settings["channels"], settings["timesteps"], settings["optimizer"]) == ([8], 10, optimizer)


def test_a_start_that_is_no_model_is_refused(cli, tmp_path):
    assert cli("train", "--from", "nowhere", cwd=tmp_path).returncode == 3
