"""Which model a command uses: never one that is not fully trained without a warning; every JSON result names it."""

import json
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import trainings
from PIL import Image

from mnistdiff.cli.registry import COMMANDS, load
from mnistdiff.engine.checkpoint.model_info import ModelInfo
from mnistdiff.engine.checkpoint.pretrained import PRETRAINED, bundled_models

STEP, TOTAL = 3, trainings.STEPS
NAMES = [*bundled_models()]
BUNDLED = {name: (name, ModelInfo.read(path).step) for name, path in bundled_models().items()}
LINES = {
    "sample": "sample -d 7,8 --seed 1",
    "sample, a sheet": "sample -d 7,8 --seed 1 -o sheet.png",
    "sample, a number": "sample --digits 20 --seed 1 -o year.png",
    "sample, films": "sample -d 7 --seed 1 -o seven.png --gif seven.gif --film film.png",
    "sample, npz": "sample -d 7 --seed 1 --format npz",
    "sample, csv": "sample -d 7 --seed 1 --format csv",
    "sample, idx": "sample -d 7 -n 7 --seed 1 --format idx",
    "grid": "grid -d 7 -n 2",
    "grid, a sweep": "grid -d 7 -n 1 --sweep guidance=1,2 -o sweep.png",
    "grid, over time": "grid --over-time",
    "interpolate": "interpolate --from 3 --to 8 --frames 2 --seed 1",
    "interpolate, a strip": "interpolate --from 3 --to 8 --frames 2 --seed 1 --film strip.png",
    "edit": "edit seven.png -d 1 --seed 1",
    "inpaint": "inpaint seven.png --mask left -d 1 --seed 1 --rounds 1",
    "classify": "classify seven.png seven.png --evaluations 1",
    "evaluate": "evaluate -n 10",
    "evaluate, a sweep": "evaluate -n 10 --by guidance=1,2",
    "reproduce": "reproduce drawn.png",
    "report": "report",
    "export": "export",
    "export, a page": "export --html x.html",
    "resume": f"resume --max-steps {STEP}",
    "inspect": "inspect",
}
PLAIN = [what for what in LINES if "," not in what]  # each command once: where the model comes from is the same for all
NO_WARNING = {"resume", "inspect"}  # they are about the progress of a run
ARGUMENTS = {"grid", "evaluate", "report", "export", "resume", "inspect"}  # where the model is no option


@pytest.fixture(scope="session")
def stopped_run(tmp_path_factory):
    """A run that was stopped after 3 of 8 steps, with a preview. Not to be changed."""
    folder = tmp_path_factory.mktemp("stopped") / "runs" / "007-fast"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mnistdiff.engine.data.mnist_5k.load_mnist_5k", trainings.few_images)
        trainings.until(STEP, lambda stop: trainings.train(folder, stop=stop))
    Image.fromarray(np.zeros((28, 28), np.uint8)).save(folder / "samples" / "epoch_0001.png")
    return folder


def seven():
    image = np.zeros((28, 28), np.uint8)
    image[5:8, 7:21] = image[5:24, 14:17] = 255
    return Image.fromarray(image)


@pytest.fixture
def here(invoke, stopped_run, tmp_path, monkeypatch):
    """A folder with the stopped run in ``runs/``, and pictures: one of a digit, one that the run has drawn."""
    monkeypatch.setattr("mnistdiff.engine.data.mnist_5k.load_mnist_5k", trainings.few_images)
    monkeypatch.setattr("mnistdiff.engine.network.export.export", lambda *_, **__: (b"onnx", 0.0))
    shutil.copytree(stopped_run, tmp_path / "runs" / "007-fast")
    seven().save(tmp_path / "seven.png")
    drawn = invoke("sample", "-d", 7, "--seed", 1, "-o", "drawn.png", "-q")
    assert drawn.returncode == 0, drawn.stderr.decode()
    return tmp_path


def warnings(done):
    return [line for line in done.stderr.decode().splitlines() if line.startswith("warning: ")]


def results(done):
    """Every object on stdout that stands for a result; a sweep holds several."""
    objects = [json.loads(line) for line in done.stdout.splitlines()]
    return [each for one in objects for each in one.get("evaluations", [one])]


def model_of(result):
    """The checkpoint and the step that a result names: of a run or a checkpoint at its top, else as its model."""
    named = result.get("model", result)
    return named.get("checkpoint") or named["path"], named["step"]


def test_every_command_with_json_is_tried():
    speaks = {name for name, entry in COMMANDS.items() if not entry.hidden}
    speaks = {name for name in speaks if "json" in {parameter.name for parameter in load(name).params}}
    tried = {line.split()[0] for line in LINES.values()} - {"inspect"} | {"inspect-checkpoint"}
    # No results of a model: a training, another kind of model, data; doctor draws from the bundled one.
    assert tried | {"train", "distill", "train-classifier", "datasets", "doctor"} == speaks


@pytest.mark.parametrize("what", LINES)
def test_a_stopped_run_found_here_is_warned_of_and_named(invoke, here, what):
    done = invoke(*LINES[what].split(), "--json", *(["--force"] if what == "sample, films" else []))
    assert done.returncode == 0, done.stderr.decode()
    found = results(done)
    assert found
    for result in found:
        checkpoint, step = model_of(result)
        assert (checkpoint.startswith("runs/007-fast/"), step) == (True, STEP)
    if what in NO_WARNING:
        return
    [warning] = [line for line in warnings(done) if "007-fast" in line]
    assert f"step {STEP} of {TOTAL}" in warning
    assert warning.endswith("checkpoint bundled")
    assert all(warning.removeprefix("warning: ") in result["notices"] for result in found)


@pytest.mark.parametrize("what", [what for what in PLAIN if what not in NO_WARNING | {"reproduce"}])
def test_a_stopped_run_that_was_named_is_warned_of_when_quiet(invoke, here, what):
    command, *rest = LINES[what].split()
    named = ["runs/007-fast"] if command in ARGUMENTS else ["--checkpoint", "runs/007-fast"]
    done = invoke(command, *named, *rest, "-q", *(["--force"] if what == "sample, films" else []))
    assert done.returncode == 0, done.stderr.decode()
    [warning] = [line for line in warnings(done) if "007-fast" in line]
    assert f"step {STEP} of {TOTAL}" in warning


@pytest.mark.parametrize("what", [what for what in PLAIN if what not in NO_WARNING | {"reproduce", "report"}])
def test_the_bundled_model_is_used_by_its_name_and_without_a_warning(invoke, here, what):
    command, *rest = LINES[what].split()
    named = ["bundled"] if command in ARGUMENTS else ["--checkpoint", "bundled"]
    done = invoke(command, *named, *rest, "--json", *(["--force"] if what == "sample, films" else []))
    assert done.returncode == 0, done.stderr.decode()
    sampling = command in {"sample", "grid", "interpolate", "evaluate"}
    assert {model_of(result) for result in results(done)} == {BUNDLED[NAMES[0 if sampling else -1]]}
    assert not [line for line in warnings(done) if "real images" not in line]


def test_something_called_bundled_goes_before_the_name_and_the_hint_still_holds(invoke, here):
    shutil.copytree(here / "runs" / "007-fast", here / "bundled")
    done = invoke("sample", "--checkpoint", "bundled", "-d", 7, "--json", "--seed", 2)
    [result] = results(done)
    assert model_of(result) == ("bundled/diffusion_checkpoint.safetensors", STEP)
    assert warnings(done)[0].endswith(f"checkpoint {PRETRAINED}")
    again = invoke("sample", "--checkpoint", PRETRAINED, "-d", 7, "--json", "--seed", 3)
    assert model_of(results(again)[0]) == BUNDLED[NAMES[-1]]


def test_a_run_in_training_is_unfinished_and_a_finished_one_of_few_images_hardly_trained(invoke, here):
    seen = []
    for event in trainings.train(here / "runs" / "008-fast"):
        if getattr(event, "step", 0) == 5 and not seen:
            seen = warnings(invoke("sample", "-d", 7, "--seed", 5, "-q"))
    assert len(seen) == 1
    assert "runs/008-fast" in seen[0]
    assert f"of {TOTAL}" in seen[0]
    [after] = warnings(invoke("sample", "-d", 7, "--seed", 6, "-q"))
    assert f"hardly trained (step {TOTAL} of {TOTAL}" in after


def test_a_run_of_few_epochs_of_few_images_is_guided_as_a_short_training(invoke, here):
    """Not only one of few planned steps: what counts is what the model was trained on."""
    settings = trainings.SETTINGS.model_copy(update={"epochs": 1, "max_steps": None})
    trainings.finish(trainings.train(here / "short", settings))
    invoke("sample", "-c", "short", "-d", 7, "--seed", 1, "-o", "short.png", "-q")
    done = invoke("reproduce", "short.png", "--checkpoint", "short", "--json")
    [result] = results(done)
    assert result["settings"]["guidance"] == 1.5
    assert model_of(result)[1] == 3


def test_training_itself_names_its_checkpoint_and_step(invoke, tiny_toml, tmp_path):
    done = invoke("train", "--config", tiny_toml, "--max-steps", 1, "--run-dir", "new", "--json")
    assert model_of(json.loads(done.stdout)) == ("new/conditional_diffusion_mnist.safetensors", 1)


def test_a_model_that_cannot_tell_says_so(invoke, here):
    done = invoke("classify", "seven.png", "--json", "--evaluations", 1)
    [result] = results(done)
    assert max(result["probabilities"]) < 0.2
    assert result["digit"] is None
    assert any("cannot tell" in notice for notice in result["notices"])
    assert any("cannot tell" in line for line in warnings(done))
    done = invoke("classify", "seven.png", "seven.png", "-q", "--evaluations", 1)
    assert [line.split(b"\t")[1] for line in done.stdout.splitlines()] == [b"?", b"?"]
    [warning] = [line for line in warnings(done) if "cannot tell" in line]
    assert "seven.png" in warning
    done = invoke("classify", "seven.png", "-c", "bundled", "--json")
    [result] = results(done)
    assert (result["digit"], result["notices"]) == (7, [])


@pytest.mark.skipif(sys.platform != "linux", reason="drops the privileges of root as Linux does")
def test_what_cannot_be_looked_at_is_no_run(forks, stopped_run, tmp_path):
    locked, runs = tmp_path / "locked", tmp_path / "runs"
    for folder in (locked / "inner", runs / "secret"):
        folder.mkdir(parents=True)
        (folder / "diffusion_checkpoint.safetensors").write_bytes(b"newer than the run")
    (runs / "into").symlink_to(locked / "inner")  # which cannot even be recognised as a folder
    (runs / "loop").symlink_to("loop")
    (runs / "dangling").symlink_to("nowhere")
    (runs / "file").touch()
    (tmp_path / "diffusion_checkpoint.safetensors").mkdir()  # nor is a folder a checkpoint
    for folder in (locked, runs / "secret"):
        if os.geteuid() == 0:
            os.chown(folder, 65534, 65534)
        folder.chmod(0o000 if os.geteuid() else 0o700)

    def sample(seed):
        line = ["sample", "-d", "7", "--seed", seed, "--json"]
        code, fork = forks.run(*line, cwd=tmp_path, quick=False, bound=True)
        assert code == 0, fork.err
        return model_of(json.loads(fork.out))

    assert sample(1) == BUNDLED[NAMES[0]]
    shutil.copytree(stopped_run, runs / "zz")
    assert sample(2) == ("runs/zz/diffusion_checkpoint.safetensors", STEP)
    for folder in (locked, runs / "secret"):
        folder.chmod(0o700)


@pytest.mark.parametrize("kind", ["file", "dangling link", "loop", "long name"])
def test_runs_that_is_no_folder_holds_no_run(invoke, tmp_path, kind):
    runs = tmp_path / "runs"
    match kind:
        case "file":
            runs.touch()
        case "dangling link":
            runs.symlink_to("nowhere")
        case "loop":
            runs.symlink_to("runs")
        case "long name":
            deep = tmp_path
            for _ in range(30):  # beyond PATH_MAX as an absolute path
                deep = deep / ("d" * 200)
                os.mkdir(Path("d" * 200))
                os.chdir("d" * 200)
    done = invoke("sample", "-d", 7, "--seed", 1, "--json")
    assert done.returncode == 0, done.stderr.decode()
    assert model_of(json.loads(done.stdout)) == BUNDLED[NAMES[0]]
