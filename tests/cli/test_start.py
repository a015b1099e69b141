"""``train --from``: a training that starts from the weights of a model."""

import json

import numpy as np
import pytest
from PIL import Image

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


@pytest.fixture
def pictures(tmp_path):
    """A folder with ten pictures of each of the classes 1, 4 and x: the digit 1 and 4 lacks all others."""
    random = np.random.default_rng(0)
    for name in ("1", "4", "x"):
        (tmp_path / "hand" / name).mkdir(parents=True)
        for number in range(10):
            image = np.pad(random.integers(100, 256, (12, 12), dtype=np.uint8), 8)
            Image.fromarray(image).save(tmp_path / "hand" / name / f"{number}.png")
    return tmp_path / "hand"


def test_pictures_of_some_known_classes_and_a_new_one(forked, tiny_run, pictures, tmp_path):
    line = ("train", "--from", tiny_run, "--dataset", pictures, "--preset", "finetune", "--max-steps", 2)
    done = forked(*line, "--lr", "1e-9", "--muon-lr", "1e-9", "--processes", 1, "--run-dir", "run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    talk = done.stderr.decode()
    assert "new classes: x" in talk
    assert "classes without pictures here: 0, 2, 3, 5, 6, 7, 8, 9" in talk

    model, state = read_checkpoint(RunDir(tiny_run).best()), read_checkpoint(tmp_path / "run" / LATEST)
    before, after = model.weights("ema")["embed_label.weight"], state.weights("ema")["embed_label.weight"]
    assert np.abs(after[[*range(10), 11]] - before).max() < 1e-6
    assert state.metadata.settings.spec.class_names == (*"0123456789", "x")
    assert state.metadata.settings.spec.class_counts == (0, 10, 0, 0, 10, 0, 0, 0, 0, 0, 10)

    drawn = forked("sample", "--class", "9,x", "--checkpoint", "run", "--seed", 1, "--steps", 1, "-q", cwd=tmp_path)
    assert drawn.returncode == 0, drawn.stderr
    assert len(drawn.stdout.splitlines()) == 2
    more = forked("resume", "run", "--max-steps", 3, "--processes", 1, "-q", cwd=tmp_path)
    assert more.returncode == 0, more.stderr
    line = ("distill", "run", "--teacher-steps", 4, "--max-steps", 1, "--processes", 1, "--run-dir", "two", "-q")
    student = forked(*line, cwd=tmp_path)
    assert student.returncode == 0, student.stderr
    assert read_checkpoint(tmp_path / "two" / LATEST).metadata.settings.spec.num_classes == 11


def test_a_start_that_does_not_fit_is_refused_before_pictures_are_read(cli, tiny_run, pictures, tmp_path):
    for options, named in (
        (["--from", tiny_run, "--dataset", pictures, "--image-size", "32"], "--image-size"),
        (["--from", "bundled-2", "--dataset", pictures], "teacher"),
        (["--preset", "finetune", "--dataset", pictures], "--from"),
    ):
        done = cli("train", *options, "--run-dir", "run", cwd=tmp_path)
        assert done.returncode == 2, done.stderr
        assert named in done.stderr.decode()


def test_the_bundled_model_to_start_from_is_the_teacher(cli, tmp_path):
    done = cli("train", "--from", "bundled", "--preset", "finetune", "--dry-run", "--json", cwd=tmp_path)
    settings = {name: each["value"] for name, each in json.loads(done.stdout).items()}
    assert (settings["distillation"], settings["prediction"]) == (None, "v_prediction")
    assert (settings["dataset"], settings["channels"]) == ("mnist", [16, 48, 96])


def test_held_out_images_are_measured_in_metrics_report_and_inspect(forked, tiny_toml, tmp_path):
    line = ("--config", tiny_toml, "--holdout", 0.02, "--augment", "shift", "--log-every", 1, "--batch-size", 1024)
    done = forked("train", *line, "--max-steps", 4, "--run-dir", "run", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    held_out = json.loads(done.stdout)["held_out"]
    assert (held_out["num_images"], held_out["step"]) == (100, 4)
    records = [json.loads(text) for text in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    measured = {each["step"]: each["held_out_loss"] for each in records if "held_out_loss" in each}
    assert measured.keys() == {2, 4}
    assert measured[4] == held_out["loss"]
    shown = json.loads(forked("inspect", "run", "--json", cwd=tmp_path).stdout)
    assert shown["held_out"] == held_out
    assert shown["num_train_images"] == 4900
    drawn = forked("sample", "-d", 3, "--checkpoint", "run", "--seed", 1, "--steps", 1, "-q", cwd=tmp_path)
    assert drawn.returncode == 0, drawn.stderr
    report = forked("report", "run", "-o", "report.html", cwd=tmp_path)
    assert report.returncode == 0, report.stderr


def test_a_loss_that_does_not_improve_is_said(forked, tiny_toml, tmp_path):
    line = ("--config", tiny_toml, "--holdout", 0.02, "--log-every", 1, "--batch-size", 1024, "--lr", "1e-15")
    done = forked("train", *line, "--max-steps", 6, "--run-dir", "run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr.decode().count("held-out loss has not improved") == 2


@pytest.mark.parametrize(("option", "value"), [("--holdout", "0.6"), ("--holdout", "-1"), ("--augment", "turn")])
def test_a_wrong_share_or_augmentation_is_refused(cli, option, value, tmp_path):
    done = cli("train", option, value, cwd=tmp_path)
    assert done.returncode == 2
    assert option in done.stderr.decode()
