"""Settings by file, variable and flag, through the program."""

import json

import pytest
from forks import same_content
from trainings import few_images

from mnistdiff.engine.data.image_files import Picture
from mnistdiff.engine.outputs.provenance import Provenance


def results(done):
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


def settings_of_a_run(invoke, folder, *flags):
    """A ``settings.json`` as a run of these flags leaves it."""
    machine = {"device", "backend", "data_dir", "run_dir", "log", "max_minutes"}
    values = results(invoke("train", *flags, "--dry-run", "--json"))
    file = folder / "settings.json"
    file.write_text(json.dumps({name: each["value"] for name, each in values.items() if name not in machine}))
    return file


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["--max-minutes", 15], {"max_minutes": (15, "command line"), "max_steps": (None, "command line")}),
        (["--epochs", 3], {"epochs": (3, "command line"), "max_steps": (None, "command line")}),
        (["--max-steps", 7], {"epochs": (1000, "settings.json"), "max_steps": (7, "command line")}),
        (["--preset", "tiny"], {"lr": (0.003, "preset tiny"), "max_steps": (1500, "preset tiny")}),
        (["--preset", "base", "--seed", 0], {"max_steps": (None, "preset base"), "seed": (0, "command line")}),
        (["--preset", "fast"], {"preset": ("fast", "command line"), "lr": (0.002, "settings.json")}),
    ],
    ids=str,
)
def test_a_flag_overrides_the_settings_of_a_run(invoke, tmp_path, flags, expected):
    settings_of_a_run(invoke, tmp_path, "--preset", "fast")
    done = invoke("train", "--config", "settings.json", *flags, "--dry-run", "--json")
    values = results(done)
    assert {name: (values[name]["value"], values[name]["origin"]) for name in expected} == expected
    assert values["max_minutes"]["origin"] != "settings.json"


@pytest.mark.parametrize("null", ["max_steps", "lr", "preset"])
def test_a_null_in_a_file_is_no_value(invoke, tmp_path, null):
    (tmp_path / "a.json").write_text(json.dumps({null: None}))
    with_null = results(invoke("train", "--config", "a.json", "--max-minutes", 15, "--dry-run", "--json"))
    assert with_null == results(invoke("train", "--max-minutes", 15, "--dry-run", "--json"))


def test_a_variable_gives_way_to_a_flag_it_conflicts_with(invoke, monkeypatch):
    monkeypatch.setenv("MNISTDIFF_MAX_STEPS", "7")
    values = results(invoke("train", "--max-minutes", 15, "--dry-run", "--json"))
    assert values["max_steps"] == {"value": None, "origin": "command line"}
    monkeypatch.setenv("MNISTDIFF_MAX_MINUTES", "3")
    done = invoke("train", "--dry-run")
    assert done.returncode == 2
    assert b"MNISTDIFF_MAX_STEPS" in done.stderr
    assert b"MNISTDIFF_MAX_MINUTES" in done.stderr
    assert results(invoke("train", "--max-steps", 5, "--dry-run", "--json"))["max_steps"]["value"] == 5


@pytest.mark.parametrize("by", ["flag", "variable"])
def test_replacing_the_preset_of_a_file_is_results(invoke, tiny_toml, tmp_path, monkeypatch, by):
    settings_of_a_run(invoke, tmp_path, "--preset", "fast")
    if by == "variable":
        monkeypatch.setenv("MNISTDIFF_PRESET", "tiny")
    line = ["train", "--config", "settings.json", *(["--preset", "tiny"] if by == "flag" else [])]
    assert b"preset tiny" in invoke(*line, "--dry-run").stderr
    assert b"preset fast of settings.json" in invoke(*line, "--dry-run").stderr
    assert invoke(*line, "--dry-run", "-q").stderr == b""
    if by == "variable":
        return
    small = ["--dataset", "mnist-5k", "--max-steps", 1, "--batch-size", 2]
    done = results(invoke(*line, *small, "--json"))
    assert done["run"] == "runs/001-tiny"
    assert any("preset fast of settings.json" in notice for notice in done["notices"])


def test_the_settings_file_of_a_finished_run_repeats_it(invoke, tiny_run, tmp_path):
    results(invoke("train", "--config", tiny_run / "settings.json", "--run-dir", "again", "--json"))
    assert same_content(tmp_path / "again") == same_content(tiny_run)


QUICK = ["--batch-size", 10, "--sample-every", 0]  # two steps an epoch of few images


@pytest.fixture
def of_few_images(invoke, monkeypatch):
    """``invoke``, with fewer images in mnist-5k."""
    monkeypatch.setattr("mnistdiff.engine.data.mnist_5k.load_mnist_5k", few_images)
    return invoke


@pytest.mark.parametrize("layer", ["file", "variable"])
def test_steps_asked_for_are_not_cut_by_epochs_from_a_weaker_layer(
    of_few_images, tiny_toml, tmp_path, monkeypatch, layer
):
    file = tmp_path / "a.toml"
    file.write_text(tiny_toml.read_text() + ("epochs = 1\n" if layer == "file" else ""))
    if layer == "variable":
        monkeypatch.setenv("MNISTDIFF_EPOCHS", "1")
    done = results(of_few_images("train", "--config", file, *QUICK, "--max-steps", 3, "--run-dir", "r", "--json"))
    assert (done["step"], done["total_steps"], done["complete"]) == (3, 3, True)
    if layer == "file":  # in one layer, what comes first
        assert (
            results(of_few_images("train", "--config", file, *QUICK, "--epochs", 1, "--max-steps", 3, "--json"))["step"]
            == 2
        )


def test_steps_asked_for_on_resuming_are_not_cut_by_the_epochs_of_the_run(of_few_images, tiny_toml):
    line = ["train", "--config", tiny_toml, *QUICK, "--epochs", 1, "--run-dir", "r", "--json"]
    assert results(of_few_images(*line))["step"] == 2
    done = results(of_few_images("resume", "r", "--max-steps", 3, "--json"))
    assert (done["step"], done["total_steps"], done["complete"]) == (3, 3, True)


def test_after_one_epoch_of_few_images_a_model_is_guided_more(of_few_images, tiny_toml, tmp_path):
    """By the images that it was trained on, whether it was planned in epochs or steps, or stopped."""
    results(of_few_images("train", "--config", tiny_toml, *QUICK, "--epochs", 1, "--run-dir", "r", "--json"))
    results(of_few_images("sample", "-c", "r", "-d", 7, "-o", "seven.png", "--json"))
    assert Provenance.of(Picture.read(tmp_path / "seven.png")).settings.guidance == 1.5


@pytest.mark.parametrize("text", ['backend = "onnx"', "guidance = 2", 'sampler = "ddim"'])
def test_what_means_nothing_to_a_training_is_refused(invoke, tmp_path, text):
    (tmp_path / "a.toml").write_text(text)
    done = invoke("train", "--config", "a.toml", "--dry-run")
    assert (done.returncode, done.stdout) == (2, b"")
    assert f"a.toml: '{text.split()[0]}'".encode() in done.stderr
    assert b"sampling" in done.stderr


@pytest.mark.parametrize(
    ("variable", "named"),
    [("MNISTDIFF_EPOCH", b"MNISTDIFF_EPOCHS"), ("MNISTDIFF_GUIDANCE", b"MNISTDIFF_GUIDANCE"), ("MNISTDIFF_X", b"")],
)
def test_a_variable_that_means_nothing_is_results(invoke, monkeypatch, variable, named):
    monkeypatch.setenv(variable, "3")
    done = invoke("train", "--dry-run", "-q")
    assert done.returncode == 0
    assert b"warning: " + variable.encode() in done.stderr
    assert named in done.stderr


@pytest.mark.parametrize("text", ["x = 0x" + "f" * 6000, 'run_dir = "a\\u0000b"', 'run_dir = "~no-such-user/x"'])
def test_a_settings_file_that_broke_the_program_is_refused(cli, tmp_path, text):
    (tmp_path / "a.toml").write_text(text.replace("x =", "epochs ="))
    done = cli("train", "--config", "a.toml", "--dry-run", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"Traceback" not in done.stderr
    assert len(done.stderr) < 400


def test_a_settings_file_may_come_through_a_pipe_in_any_unicode(shell, tmp_path):
    (tmp_path / "a.toml").write_text('preset = "tiny"\nseed = 7\n')
    for line in (
        "mnistdiff train --dry-run --config <(cat a.toml)",
        "mnistdiff train --dry-run --config <(iconv -t UTF-16 a.toml)",
        "mnistdiff train --dry-run --config <(sleep 1; sed 's/$/\\r/' a.toml)",
        "cat a.toml | mnistdiff train --dry-run --config /dev/stdin",
    ):
        done = shell(line, tmp_path)
        assert done.returncode == 0, done.stderr
        assert b"seed              7 " in done.stdout


def test_a_flag_that_means_nothing_beside_the_settings_is_refused(invoke, tiny_toml, monkeypatch):
    for line, fragments in (
        (["--muon-lr", 0.1], [b"--muon-lr", b"--optimizer adamw"]),
        (["--muon-lr", 0.1, "--preset", "fast", "--optimizer", "adamw"], [b"--muon-lr", b"--optimizer adamw"]),
        (["--config", tiny_toml, "--data-dir", "x"], [b"--data-dir", b"--dataset mnist-5k"]),
    ):
        done = invoke("train", *line, "--dry-run")
        assert (done.returncode, done.stdout) == (2, b"")
        assert [each for each in fragments if each not in done.stderr] == []
    assert invoke("train", "--muon-lr", 0.1, "--preset", "fast", "--dry-run").returncode == 0
    monkeypatch.setenv("MNISTDIFF_MUON_LR", "0.1")  # which stands for many trainings
    assert invoke("train", "--dry-run").returncode == 0
