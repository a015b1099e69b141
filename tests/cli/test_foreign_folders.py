"""Folders that are the user's own, or were received from somebody: nothing in or behind them is touched."""

import os
import shutil

import pytest

KINDS = {
    "link to a folder": lambda path, other: path.symlink_to(other),
    "link to a file": lambda path, other: path.symlink_to(other / "mine.txt"),
    "link to nothing": lambda path, other: path.symlink_to(other / "nothing"),
    "pipe": lambda path, other: os.mkfifo(path),
}


def everything(folder):
    """Every entry below a folder, and what is in it."""
    found = {}
    for path in folder.rglob("*"):
        if path.is_symlink():
            found[path] = os.readlink(path)
        else:
            found[path] = path.read_bytes() if path.is_file() else path.stat().st_mode
    return found


@pytest.fixture
def mine(tmp_path):
    """A folder of the user, whose files have names much like ours."""
    folder = tmp_path / "mine"
    (folder / "samples").mkdir(parents=True)
    names = (".probe", ".w.mnistdiff-tmp", "a", ".lock", "samples/.x.mnistdiff-tmp", "settings.json")
    for name in names:
        (folder / name).write_text("mine")
    return folder


@pytest.mark.parametrize(
    "line",
    [
        ["train", "--config", "TINY", "--max-steps", 1, "--run-dir", "mine"],
        ["resume", "run", "--run-dir", "mine"],
        ["resume", "run/diffusion_checkpoint.safetensors", "--run-dir", "mine"],
    ],
    ids=lambda line: " ".join(map(str, line[:2])),
)
@pytest.mark.parametrize("left", ["all", ".probe", ".lock", ".w.mnistdiff-tmp", "samples/.x.mnistdiff-tmp"])
def test_a_folder_of_the_users_own_is_refused_and_left_as_it_was(invoke, tiny_toml, run_copy, mine, line, left):
    for path in list(mine.rglob("*")):
        if path.is_file() and left not in ("all", str(path.relative_to(mine))):
            path.unlink()
    before = everything(mine.parent)
    done = invoke(*[tiny_toml if word == "TINY" else word for word in line], "-q")
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"mine is not empty" in done.stderr
    assert b"mnistdiff resume" not in done.stderr
    assert everything(mine.parent) == before


def test_with_force_a_training_replaces_its_own_files_alone(invoke, tiny_toml, mine):
    before = everything(mine)
    line = ["train", "--config", tiny_toml, "--max-steps", 1, "--run-dir", "mine", "-q", "--force"]
    assert invoke(*line).returncode == 0
    after = everything(mine)
    replaced = {mine / ".lock", mine / "settings.json"}
    assert {path for path in before if after[path] != before[path]} == replaced


PLACES = [
    *("samples", "checkpoints", "tensorboard", "inference_samples", ".lock", ".lock-owner", "metrics.jsonl"),
    *("settings.json", "loss.png", "conditional_diffusion_mnist.safetensors"),
    *("diffusion_checkpoint_previous.safetensors", "samples/epoch_0001.png"),
    "checkpoints/diffusion_checkpoint_epoch_0001.safetensors",
]
OTHER_KINDS = [(place, kind) for place in ("samples", ".lock", "metrics.jsonl") for kind in list(KINDS)[1:]]


@pytest.mark.parametrize(("place", "kind"), [*((place, "link to a folder") for place in PLACES), *OTHER_KINDS])
def test_a_received_run_leads_no_training_out_of_its_folder(invoke, tiny_toml, run_copy, tmp_path, place, kind):
    other = tmp_path / "other"
    other.mkdir()
    for name in ("mine.txt", ".a.0123abcd.mnistdiff-tmp", "epoch_0001.png", "diffusion_checkpoint.safetensors"):
        (other / name).write_text("mine")
    path = run_copy / place
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    KINDS[kind](path, other)
    before = everything(tmp_path)
    for line in (
        ["resume", "run", "--max-steps", 46],
        ["resume", "run/diffusion_checkpoint.safetensors", "--max-steps", 46],
        ["train", "--config", tiny_toml, "--max-steps", 1, "--run-dir", "run", "--force"],
    ):
        done = invoke(*line, "-q")
        assert (done.returncode, done.stdout) == (5, b""), done.stderr
        assert f"run/{place} is" in done.stderr.decode()
        assert everything(tmp_path) == before


@pytest.mark.parametrize("folder", ["samples", "checkpoints", "tensorboard", "inference_samples"])
def test_no_command_writes_through_a_link_out_of_a_received_run(invoke, run_copy, tmp_path, folder):
    (tmp_path / "other").mkdir()
    shutil.rmtree(run_copy / folder, ignore_errors=True)
    (run_copy / folder).symlink_to(tmp_path / "other")
    before = everything(tmp_path)
    out, draw = f"run/{folder}/x", ["-d", 1, "--steps", 1]
    for line in (
        ["sample", *draw, "-o", f"run/{folder}/"],
        ["sample", *draw, "-o", f"{out}.png"],
        ["sample", *draw, "-o", "one.png", "--film", f"{out}.png", "--force"],
        ["sample", *draw, "--format", "npz", "-o", f"{out}.npz"],
        ["sample", "-d", 1, "-n", 2, "--format", "idx", "-o", f"run/{folder}"],
        ["grid", "-n", 1, "-o", f"{out}.png", "--force"],
        ["interpolate", "--from", 1, "--to", 2, "-o", f"{out}.gif"],
        ["report", "run", "-o", f"{out}.html"],
        ["export", "run", "-o", f"{out}.onnx"],
        ["evaluate", "run", "-n", 10, "--steps", 1, "-o", f"{out}.json"],
        ["train-classifier", "--architecture", "conv", "-o", f"{out}.safetensors"],
    ):
        done = invoke(*line, "-q")
        assert (done.returncode, done.stdout) == (5, b""), (line, done.stderr)
        assert f"run/{folder} is a link" in done.stderr.decode()
        assert everything(tmp_path) == before


def test_links_of_the_users_own_are_followed(invoke, run_copy, tmp_path):
    """To a run, and to where pictures shall go: beside a run or anywhere else."""
    (tmp_path / "link").symlink_to(run_copy)
    (tmp_path / "big").mkdir()
    (tmp_path / "pictures").symlink_to("big")
    (tmp_path / "inference_samples").symlink_to("big")
    assert invoke("resume", "link", "--max-steps", 46, "-q").returncode == 0
    for output in ("link/samples/mine.png", "pictures/", "inference_samples/"):
        done = invoke("sample", "-c", "link", "-d", 1, "--steps", 1, "-o", output, "-q")
        assert done.returncode == 0, done.stderr
    assert invoke("report", "link", "-o", "r.html", "-q").returncode == 0
