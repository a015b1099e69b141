"""Where the disk is full the file is named, and the same command works once there is room."""

import os
import subprocess
import sys

import pytest

QUICK = ["--steps", 1, "--seed", 0, "-q"]
# The largest file that finds room, the file that does not, and the command.
LINES = {
    "npz": (1500, "set.npz", ["sample", "-c", "RUN", "-n", 40, "--format", "npz", "-o", "set.npz", *QUICK]),
    "csv": (1500, "set.csv", ["sample", "-c", "RUN", "-n", 40, "--format", "csv", "-o", "set.csv", *QUICK]),
    "idx": (1500, "set/MNIST/raw/", ["sample", "-c", "RUN", "-n", 40, "--format", "idx", "-o", "set", *QUICK]),
    "a sheet": (1500, "sheet.png", ["sample", "-c", "RUN", "-n", 40, "-o", "sheet.png", *QUICK]),
    "a film": (3000, "f.png", ["sample", "-c", "RUN", "-d", 1, "-n", 9, "-o", "out/", "--film", "f.png", *QUICK]),
    "a grid": (1500, "grid.png", ["grid", "RUN", "-n", 40, "-o", "grid.png", *QUICK]),
    "a morph": (1500, "m.gif", ["interpolate", "-c", "RUN", "--from", 1, "--to", 7, "-o", "m.gif", *QUICK]),
    "a report": (1500, "report.html", ["report", "RUN", "-o", "report.html", "-q"]),
    "a plot": (
        16000,
        "p.png",
        ["evaluate", "RUN", "-n", 10, "-o", "s.json", "--by", "steps=1", "--plot", "p.png", "-q"],
    ),
    "a training": (1500, "run/", ["train", "--config", "TINY", "--max-steps", 1, "--run-dir", "run", "-q"]),
    "a run elsewhere": (1500, "run/", ["resume", "RUN", "--run-dir", "run", "--max-steps", 46, "-q"]),
}


def files(folder):
    return {path for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("kind", LINES)
def test_a_full_disk_leaves_nothing_and_is_no_obstacle_afterwards(forks, tiny_run, tiny_toml, tmp_path, kind):
    room, named, line = LINES[kind]
    line = [{"RUN": tiny_run, "TINY": tiny_toml}.get(word, word) for word in line]
    before = files(tiny_run)
    code, fork = forks.run(*line, cwd=tmp_path, file_bytes=room)
    message = fork.err.decode()
    assert code == 5, message
    assert "Traceback" not in message
    assert f"error: {named}" in message
    assert "File too large" in message
    assert "mnistdiff-tmp" not in message
    assert files(tmp_path) == set()
    code, fork = forks.run(*line, cwd=tmp_path)
    assert code == 0, fork.err
    assert files(tmp_path)
    assert files(tiny_run) == before


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
@pytest.mark.parametrize("line", [["inspect", "RUN"], ["inspect", "RUN", "--json"], ["report", "RUN", "-o", "-", "-q"]])
def test_a_full_disk_behind_standard_output_is_named(environment, tiny_run, tmp_path, line):
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "mnistdiff", *[str(tiny_run) if word == "RUN" else word for word in line]],
            cwd=tmp_path,
            env=environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )
    message = done.stderr.decode()
    assert done.returncode == 5, message
    assert "standard output: No space left on device" in message
    assert "Exception" not in message


def test_tensorboard_on_a_full_disk_is_one_sentence(forks, tiny_toml, tmp_path):
    smaller = tmp_path / "smaller.toml"  # so that the events outgrow the states
    smaller.write_text(tiny_toml.read_text().replace("[8]", "[4]").replace("embedding = 16", "embedding = 4"))
    line = ["train", "--config", smaller, "--log", "tensorboard", "--log-every", 1, "--max-steps", 1500]
    quick = ["--batch-size", 8, "--run-dir", "run", "-q"]
    code, fork = forks.run(*line, *quick, cwd=tmp_path, file_bytes=80_000)
    message = fork.err.decode()
    assert code == 5, message
    assert "error: run/tensorboard: File too large" in message
    assert "Traceback" not in message
