"""Distilled models: they sample from noise by their own steps; all else is refused, and their teacher named."""

import json

import numpy as np
import pytest
from PIL import Image
from students import write_student

from mnistdiff.engine.checkpoint.header import read_checkpoint_file
from mnistdiff.engine.checkpoint.pretrained import PRETRAINED

STEPS = 2
BEYOND = {
    "--steps 3": "sample -d 7 --steps 3 -c two.safetensors",
    "--guidance 2.0": "sample -d 7 --guidance 2 -c two.safetensors",
    "--guidance 0.0": "sample -d 7 --guidance 0 --format npz -c two.safetensors",
    "--guidance-interval 0.2:0.4": "interpolate --from 3 --to 8 --guidance-interval 0.2:0.4 -c two.safetensors",
    "--sampler dpmpp_2m": "grid two.safetensors --sampler dpmpp_2m",
    "--eta 0.5": "sample -d 7 --sampler ddim --eta 0.5 -c two.safetensors",
    "--spacing even": "evaluate two.safetensors -n 10 --spacing even",
    "--sweep guidance=1.0,2.0": "grid two.safetensors --sweep guidance=1,2",
    "--by steps=2,3": "evaluate two.safetensors -n 10 --by steps=2,3",
    "--teacher-steps 8": "distill two.safetensors --steps 2 --teacher-steps 8 --run-dir new",
    "edit": "edit seven.png -d 1 -c two.safetensors",
    "inpaint": "inpaint seven.png --mask left -d 1 -c two.safetensors",
    "classify": "classify seven.png -c two.safetensors",
}
ABLE = {
    "own settings": "sample -d 7 --seed 1 --steps 2 --guidance 1 --sampler ddim --spacing trailing -o made.png",
    "a sheet": "sample -d 7,8 -n 2 --seed 1 -o made.png",
    "an animation": "sample -d 7 --seed 1 -o x.png --gif made.gif",
    "a film": "sample -d 7 --seed 1 -o x.png --film made.png --view x_0",
    "PyTorch": "sample -d 7 --seed 1 --backend torch -o made.png",
    "grid": "grid two.safetensors -d 7 -n 2 -o made.png",
    "a comparison": "grid two.safetensors -d 7 -n 1 --sweep weights=ema -o made.png",
    "interpolate": "interpolate --from 3 --to 8 --frames 3 --seed 1 -o made.gif",
}


@pytest.fixture(scope="session")
def two(tmp_path_factory):
    """A checkpoint of a student of two steps, and a picture of a seven beside it. Not to be changed."""
    folder = tmp_path_factory.mktemp("students")
    image = np.zeros((28, 28), np.uint8)
    image[5:8, 7:21] = image[5:24, 14:17] = 255
    Image.fromarray(image).save(folder / "seven.png")
    return write_student(folder / "two.safetensors", STEPS)


@pytest.fixture
def here(two, invoke, tmp_path):
    """A folder with these files."""
    for file in two.parent.iterdir():
        (tmp_path / file.name).hardlink_to(file)
    return tmp_path


@pytest.mark.parametrize("asked", BEYOND)
def test_what_only_the_teacher_can_do_is_refused_and_the_teacher_named(invoke, here, asked):
    before = {path.name for path in here.iterdir()}
    done = invoke(*BEYOND[asked].split())
    assert (done.returncode, done.stdout) == (2, b"")
    message, hint = done.stderr.decode().splitlines()
    assert message.startswith(f"error: {asked} ")
    assert f"{read_checkpoint_file(PRETRAINED).sha256[:12]} (bundled-teacher)" in message
    assert "bundled-teacher" in hint
    assert {path.name for path in here.iterdir()} == before


def test_a_teacher_that_is_not_bundled_is_named_by_its_digest(cli, tmp_path):
    write_student(tmp_path / "one.safetensors", 1, teacher="ab" * 32)
    done = cli("sample", "-d", 7, "-c", "one.safetensors", "--steps", 3, "--json", cwd=tmp_path)
    error = json.loads(done.stderr)["error"]
    assert (done.returncode, error["code"]) == (2, 2)
    assert "--steps 3" in error["message"]
    assert "abababababab:" in error["message"]
    assert "bundled" not in done.stderr.decode()


@pytest.mark.parametrize("what", ABLE)
def test_a_student_samples_by_its_own_steps_and_its_images_are_reproduced(invoke, here, what):
    named = [] if "two.safetensors" in ABLE[what] else ["-c", "two.safetensors"]
    done = invoke(*ABLE[what].split(), *named)
    assert done.returncode == 0, done.stderr.decode()
    assert b"sampling from two.safetensors" in done.stderr
    [made] = here.glob("made.*")
    result = json.loads(invoke("reproduce", made.name, "-c", "two.safetensors", "--json").stdout)
    assert result["identical"]
    settings = {name: result["settings"][name] for name in ("sampler", "steps", "guidance", "eta", "spacing")}
    assert settings == {"sampler": "ddim", "steps": STEPS, "guidance": 1.0, "eta": 0.0, "spacing": "trailing"}


def test_several_processes_write_the_bytes_of_one(invoke, here):
    for processes in (1, 2):
        line = f"sample -d 0-9 -n 4 --seed 1 --format npz -o {processes}.npz --processes {processes}"
        assert invoke(*line.split(), "-c", "two.safetensors").returncode == 0
    assert (here / "1.npz").read_bytes() == (here / "2.npz").read_bytes()


def test_inspect_describes_the_distillation_and_no_other_model_has_one(invoke, here):
    rows = dict(line.split("\t") for line in invoke("inspect", "two.safetensors").stdout.decode().splitlines())
    for part in (f"{STEPS} steps", "bundled-teacher", "ddim", f"{4 * STEPS}", "guidance 2"):
        assert part in rows["distilled"]
    assert "distillation" not in rows["settings"]
    record = json.loads(invoke("inspect", "two.safetensors", "--json").stdout)["settings"]["distillation"]
    assert (record["steps"], record["teacher"]) == (STEPS, read_checkpoint_file(PRETRAINED).sha256)
    assert "distil" not in invoke("inspect", PRETRAINED).stdout.decode()
    assert json.loads(invoke("inspect", PRETRAINED, "--json").stdout)["settings"]["distillation"] is None


def test_a_student_is_exported(invoke, here, monkeypatch):
    monkeypatch.setattr("mnistdiff.engine.network.export.export", lambda *_, **__: (b"onnx", 0.0))
    done = invoke("export", "two.safetensors", "-o", "two.onnx", "--json")
    assert json.loads(done.stdout)["model"]["checkpoint"] == "two.safetensors"
