import json
import os
import re
import shutil

from PIL import Image

from mnistdiff.machine_settings import MachineSettings
from mnistdiff.settings import TrainSettings

LATEST, WEIGHTS = "diffusion_checkpoint.safetensors", "conditional_diffusion_mnist.safetensors"


def same_content(folder):
    """What two trainings of the same settings agree in: all but the speed."""
    files = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    lines = map(json.loads, files.pop("metrics.jsonl").splitlines())
    return files, [{name: value for name, value in line.items() if name != "images_per_second"} for line in lines]


def origins(done):
    assert (done.returncode, done.stderr) == (0, b"")
    return {words[0]: (words[1], " ".join(words[2:])) for words in map(str.split, done.stdout.decode().splitlines())}


def test_a_dry_run_tells_every_setting_and_where_it_came_from(invoke, monkeypatch, tmp_path):
    monkeypatch.delenv("MNISTDIFF_DEVICE")
    monkeypatch.setenv("MNISTDIFF_EPOCHS", "5")
    monkeypatch.setenv("MNISTDIFF_SEED", "9")
    (tmp_path / "my.toml").write_text('preset = "tiny"\nbatch_size = 64\nepochs = 7\nup_blocks = [3]\nrun_dir = "x"\n')
    line = ["train", "--config", "my.toml", "--seed", 3, "--dry-run"]
    result = origins(invoke(*line))
    assert [*result] == [*TrainSettings.model_fields, *MachineSettings.model_fields]
    assert result["seed"] == ("3", "command line")
    assert result["epochs"] == ("5", "MNISTDIFF_EPOCHS")
    assert result["batch_size"] == ("64", "my.toml")
    assert result["up_blocks"] == ("[3]", "my.toml")
    assert result["run_dir"] == ("x", "my.toml")
    assert result["lr"] == ("0.003", "preset tiny")
    assert result["device"] == ("auto", "default")

    as_json = json.loads(invoke(*line, "--json").stdout)
    assert [*as_json] == [*result]
    assert as_json["epochs"] == {"value": 5, "origin": "MNISTDIFF_EPOCHS"}
    assert as_json["channels"] == {"value": [8, 24], "origin": "preset tiny"}
    assert as_json["max_steps"] == {"value": None, "origin": "MNISTDIFF_EPOCHS"}  # which end the run
    assert [path.name for path in tmp_path.iterdir()] == ["my.toml"]


def test_a_run_leaves_the_files_that_its_folder_promises(tiny_run):
    found = {str(path.relative_to(tiny_run)) for path in tiny_run.rglob("*") if path.is_file()} - {".lock"}
    kept = "checkpoints/diffusion_checkpoint_epoch_0001.safetensors"
    states = {LATEST, "diffusion_checkpoint_previous.safetensors", kept}
    assert found == {"settings.json", "metrics.jsonl", "loss.png", "samples/epoch_0001.png", *states, WEIGHTS}
    settings = TrainSettings.model_validate_json((tiny_run / "settings.json").read_text())
    assert (settings.preset, settings.dataset, settings.max_steps) == ("tiny", "mnist-5k", 45)
    records = [json.loads(line) for line in (tiny_run / "metrics.jsonl").read_text().splitlines()]
    assert [(record["kind"], record["step"], record["epoch"]) for record in records] == [
        ("epoch", 40, 1),
        ("step", 45, 2),
    ]
    assert records[1]["images_seen"] == 5000 + 5 * 128


def test_stdout_is_the_file_to_draw_from_and_stderr_plain_talk(invoke, tiny_toml, tmp_path):
    done = invoke("train", "--config", tiny_toml, "--batch-size", 8, "--max-steps", 22, "--run-dir", "my run")
    assert (done.returncode, done.stdout) == (0, f"my run/{WEIGHTS}\n".encode())
    talk = done.stderr.decode()
    assert re.search(r"training my run: 22 steps \(cpu, [\d,]+ parameters, 5,000 images\)", talk)
    assert "22 steps will take about" in talk
    assert "done at step 22 of 22" in talk
    assert "mnistdiff sample --digit 7 --n 16 --checkpoint 'my run'" in talk
    assert "\x1b" not in talk
    assert "\r" not in talk


def test_quiet_leaves_the_result_alone(invoke, tiny_toml):
    done = invoke("train", "--config", tiny_toml, "--batch-size", 2, "--max-steps", 1, "--run-dir", "run", "--quiet")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"run/{WEIGHTS}\n".encode(), b"")


def test_json_tells_the_end_of_a_training(invoke, tiny_toml):
    line = ["train", "--config", tiny_toml, "--batch-size", 2, "--max-steps", 3, "--run-dir", "run", "--json"]
    done = invoke(*line)
    assert (done.returncode, done.stderr) == (0, b"")
    result = json.loads(done.stdout)
    assert 0 < result.pop("loss") < 3
    assert result == {
        "run": "run",
        "checkpoint": f"run/{WEIGHTS}",
        "complete": True,
        "step": 3,
        "total_steps": 3,
        "epoch": 0,
        "held_out": None,
        "notices": [],
    }


def test_without_a_name_runs_are_numbered(invoke, tiny_toml, tmp_path):
    line = ["train", "--config", tiny_toml, "--batch-size", 2, "--max-steps", 1, "--quiet"]
    assert [invoke(*line).stdout.decode() for _ in range(2)] == [
        f"runs/001-tiny/{WEIGHTS}\n",
        f"runs/002-tiny/{WEIGHTS}\n",
    ]
    assert b"runs/002-tiny" in invoke("inspect").stdout
    os.utime(tmp_path / "runs" / "001-tiny" / LATEST)
    assert b"runs/001-tiny" in invoke("inspect").stdout


def test_a_run_told_by_its_settings_file_and_interrupted_is_the_same_in_another_process(invoke, tiny_run, tmp_path):
    """The shared run was trained by a process of its own, in one go."""
    first = invoke("train", "--config", tiny_run / "settings.json", "--max-steps", 17, "--run-dir", "again")
    assert first.returncode == 0, first.stderr.decode()
    then = invoke("resume", "again", "--max-steps", 45)
    assert then.returncode == 0, then.stderr.decode()
    assert b"resuming again at step 17 of 45" in then.stderr
    (files, metrics), (expected_files, expected_metrics) = map(same_content, (tmp_path / "again", tiny_run))
    assert files.keys() == expected_files.keys()
    assert [name for name in files if files[name] != expected_files[name]] == []
    assert metrics == expected_metrics


def test_a_preview_is_the_grid_of_the_checkpoint_of_its_epoch(invoke, tiny_run, tmp_path):
    kept = tiny_run / "checkpoints" / "diffusion_checkpoint_epoch_0001.safetensors"
    done = invoke("grid", kept, "-o", "sheet.png")
    assert (done.returncode, done.stdout) == (0, b"sheet.png\n")
    drawn, preview = (Image.open(path) for path in (tmp_path / "sheet.png", tiny_run / "samples" / "epoch_0001.png"))
    assert drawn.tobytes() == preview.tobytes()


def test_a_finished_run_says_so_when_resumed(invoke, run_copy, tiny_run):
    done = invoke("resume")
    assert (done.returncode, done.stdout) == (0, f"run/{WEIGHTS}\n".encode())
    assert b"run is complete" in done.stderr
    assert same_content(run_copy) == same_content(tiny_run)


def test_a_state_in_no_run_goes_on_in_a_run_of_its_own(invoke, tiny_run, tmp_path):
    shutil.copy(tiny_run / LATEST, tmp_path / "found.safetensors")
    done = invoke("resume", "found.safetensors", "--max-steps", 46)
    assert (done.returncode, done.stdout) == (0, f"runs/001-tiny/{WEIGHTS}\n".encode())
    assert json.loads(invoke("inspect", "--json").stdout)["step"] == 46


def test_the_name_of_a_run_cannot_steer_the_terminal(invoke, tiny_toml, tmp_path):
    name = "evil\x1b[31m\r"
    done = invoke("train", "--config", tiny_toml, "--batch-size", 2, "--max-steps", 1, "--run-dir", name)
    assert done.returncode == 0
    assert (tmp_path / name / WEIGHTS).exists()
    again = invoke("train", "--config", tiny_toml, "--run-dir", name)
    assert again.returncode == 2
    for talk in (done.stderr, again.stderr):
        assert b"evil\\x1b[31m\\r" in talk
        assert b"\x1b" not in talk
        assert b"\r" not in talk
