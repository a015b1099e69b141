"""What a container, a scheduler or a closed terminal takes away: the home, readers, docstrings, names in UTF-8."""

import contextlib
import json
import os
import pty
import shutil
import signal
import subprocess
import sys

import pytest

LATEST = "diffusion_checkpoint.safetensors"
posix = pytest.mark.skipif(os.name != "posix", reason="streams and users of POSIX")
NO_HOME = {"HOME": None, "XDG_CACHE_HOME": None, "XDG_CONFIG_HOME": None, "MPLCONFIGDIR": None}
UNKNOWN_USER = ["unshare", "-U", "--map-user=12345", "--map-group=12345"]


@pytest.fixture
def from_outside(program, environment, tmp_path):
    """Run the program behind other words, in ``tmp_path``: ``from_outside(words, *arguments, env=)``."""

    def run(words, *arguments, env):
        line = [*words, *program, *map(str, arguments)]
        return subprocess.run(line, cwd=tmp_path, env=environment(**env), timeout=120, check=False, capture_output=True)

    return run


def test_a_user_without_a_home_draws_and_trains(from_outside, tiny_toml, tmp_path):
    """A container under a user id that no account has."""
    if shutil.which("unshare") is None or subprocess.run([*UNKNOWN_USER, "true"], capture_output=True).returncode:
        pytest.skip("no user namespace can be made here")
    train = ["train", "--config", tiny_toml, "--max-steps", 1, "--run-dir", "run", "-q"]
    for line in (["sample", "-d", 7, "--steps", 2, "-o", "seven.png", "-q"], train):
        done = from_outside(UNKNOWN_USER, *line, env=NO_HOME)
        assert (done.returncode, done.stderr) == (0, b"")
    assert (tmp_path / "run" / LATEST).is_file()


def test_no_home_is_no_cache_and_nothing_else(invoke, monkeypatch, tmp_path, run_copy):
    def unknown(*_):
        raise KeyError("uid not found")

    for name in NO_HOME:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", unknown)
    for line, code in (
        (["doctor", "--json"], 0),
        (["grid", "-n", 1, "--steps", 2, "-o", "grid.png"], 0),
        (["sample", "-c", "bundled", "-d", 7, "--seed", 1, "-o", "seven.png"], 0),
        (["classify", "seven.png", "--evaluations", 1], 0),
        (["evaluate", run_copy, "-n", 10, "--steps", 1], 0),
        (["export", run_copy, "-o", "x.onnx"], 0),
        (["sample", "-c", run_copy, "-d", 1, "--steps", 1, "-o", "one.png", "--backend", "onnx"], 2),
        (["train", "--dataset", "mnist", "--run-dir", "new"], 4),
        (["train", "--run-dir", "~/new"], 2),
    ):
        done = invoke(*line)
        assert done.returncode == code, (line, done.stderr)
        assert b"Traceback" not in done.stderr
        if line[0] == "doctor":
            assert "no home" in json.loads(done.stdout)["cache"]


@pytest.mark.skipif(sys.platform != "linux", reason="/proc, where no folder can be made")
def test_a_home_that_cannot_be_written_to_is_no_reason_to_speak(from_outside, tiny_toml, tmp_path):
    env = {**NO_HOME, "HOME": "/proc"}
    done = from_outside([], "train", "--config", tiny_toml, "--max-steps", 1, "--run-dir", "run", "-q", env=env)
    assert (done.returncode, done.stderr) == (0, b"")


@contextlib.contextmanager
def _pipe_that_nobody_reads():
    ours, theirs = os.pipe()
    os.close(ours)
    yield {"stdout": theirs, "stderr": theirs}
    os.close(theirs)


@contextlib.contextmanager
def _full_stdout():
    with open("/dev/full", "wb") as full:
        yield {"stdout": full.fileno()}


@contextlib.contextmanager
def _terminal_that_is_gone():
    ours, theirs = pty.openpty()
    os.close(ours)
    yield {"stderr": theirs}
    os.close(theirs)


@posix
@pytest.mark.parametrize(
    ("streams", "ignored", "code"),
    [
        (lambda: contextlib.nullcontext({"stdin": None, "stdout": None, "stderr": None}), [], 141),
        (_full_stdout, [], 5),
        (_pipe_that_nobody_reads, [], 141),
        (_terminal_that_is_gone, [signal.SIGHUP], 0),  # as nohup ignores it
    ],
    ids=["none", "a full stdout", "a pipe that nobody reads", "a terminal that is gone"],
)
def test_a_training_whose_output_reaches_nobody_goes_on_and_is_saved(
    forks, invoke, tiny_toml, tmp_path, streams, ignored, code
):
    line = ["train", "--config", tiny_toml, "--max-steps", 3, "--log-every", 1, "--run-dir", "run"]
    with streams() as descriptors:
        ended, fork = forks.run(*line, cwd=tmp_path, quick=False, streams=descriptors, ignored=ignored)
    assert ended == code, fork.err
    inspected = json.loads(invoke("inspect", "run", "--json").stdout)
    assert (inspected["step"], inspected["digest_valid"]) == (3, True)


@posix
@pytest.mark.parametrize(
    "line", [["sample", "-d", "12", "--json"], ["nonsense"], ["sample", "-c", "no/such", "-d", "1"]]
)
def test_an_error_that_nobody_hears_keeps_its_code_and_stays_off_stdout(from_outside, invoke, line):
    expected = invoke(*line).returncode
    done = from_outside(["bash", "-c", 'exec 2>&-; exec "$@"', "-"], *line, env={})
    assert (done.returncode, done.stdout) == (expected, b"")


@posix
def test_without_assertions_and_docstrings_the_commands_work(from_outside, tiny_run):
    env = {"PYTHONOPTIMIZE": "2"}
    for line in (["sample", "--help"], ["sample", "-d", 7, "--steps", 1, "-q", "-o", "x.png"], ["inspect", tiny_run]):
        done = from_outside([], *line, env=env)
        assert (done.returncode, done.stderr) == (0, b"")


@posix
def test_a_run_whose_name_is_not_utf_8_goes_through_every_command(invoke, run_copy, tmp_path):
    name = os.fsdecode(b"lauf\xe9")
    run = run_copy.rename(tmp_path / name)
    for line in (
        ["report", name],
        ["resume", name, "--max-steps", 46, "--log", "tensorboard"],
        ["sample", "-c", name, "-d", 1, "--steps", 1, "--seed", 1, "-o", f"{name}/out/", "--json"],
        ["grid", name, "-n", 1, "--steps", 1, "-o", f"{name}/grid.png"],
        ["reproduce", f"{name}/grid.png"],
        ["classify", f"{name}/out/digit_1_1.png", "-c", name],
        ["inspect", name],
        ["evaluate", name, "-n", 10, "--steps", 1, "-o", f"{name}/evaluation.json"],
        ["report", name, "-o", f"{name}/page.html"],
        ["train", "--config", f"{name}/settings.json", "--dry-run"],
    ):
        done = invoke(*line)
        assert done.returncode == 0, (line, done.stderr)
    assert list(run.glob("tensorboard/events*"))
    (run / "page.html").read_text(encoding="utf-8")
