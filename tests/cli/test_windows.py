"""The program under the rules of Windows, simulated: what is missing there, text files, open files that are kept."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mnistdiff.cli.windows import with_patterns_expanded
from mnistdiff.shell import quoted

SIMULATION = Path(__file__).parents[1] / "windows"
pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the simulation needs /proc")

# One process for many command lines, since importing torch takes longer than all of them. Ctrl-Break interrupts the
# first training without end, and the closing of the console ends the process in the second.
DRIVER = """
import json, shlex, sys
from mnistdiff.cli import app, signals
*lines, sys.argv[1:] = (shlex.split(line) for line in sys.argv[1:])
signals.unwind_on_signals()
print("codes", json.dumps([app.run(line) for line in lines]), flush=True)
app.main()
"""
LINES = (
    "train --config {toml} --max-steps 10 --run-dir run",
    "resume run --max-steps 20",
    "sample -d 7,8 --seed 1 -n 2 -c run -o drawn/",
    "sample -d 7 --seed 1 -n 9 -c run --format idx -o set",
    "grid run -d 7 -n 2 -o sheet.png",
    "grid sheet.png drawn/digit_7_1.png -o sheets.png",
    "interpolate --from 1 --to 2 --frames 3 -c run -o film.gif --seed 1",
    "sample -d 7 --seed 1 -c bundled -o seven.png",
    "edit seven.png -d 4 -c run -o four.png --seed 1",
    "classify seven.png --evaluations 2 -c run",
    "reproduce sheet.png -o again.png",
    "inspect run",
    "report run -o page.html",
    "evaluate run --n 10 --by steps=1,2 --plot curve.png -o figures.json",
    "doctor",
    "train --config run/settings.json --run-dir more --max-steps 3 --log tensorboard",
    "train --config {toml} --run-dir more --max-steps 2 --force",
    "inspect run/diffusion_checkpoint.safetensors --json",
)
REFUSED = {"inspect run/samples": 3, "train --run-dir none --dataset mnist --data-dir nowhere": 4}
ENDLESS = "train --config {toml} --batch-size 4 --log-every 1 --max-steps 1000000 --run-dir "
INTERRUPTED, CLOSED = f"{ENDLESS}interrupted", f"{ENDLESS}closed"


@pytest.fixture(scope="module")
def windows(environment):
    """The environment of a process under the simulation."""
    return lambda **changes: environment(PYTHONPATH=str(SIMULATION), **changes)


@pytest.fixture(scope="module")
def folder(windows, tiny_toml, tmp_path_factory):
    """What the command lines above leave behind; the end of the process is in ``code`` and ``stderr``."""
    folder = tmp_path_factory.mktemp("windows")
    lines = [line.format(toml=tiny_toml) for line in (*LINES, *REFUSED, INTERRUPTED, CLOSED)]
    with open(folder / "stdout", "wb") as stdout, open(folder / "stderr", "wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-c", DRIVER, *lines],
            cwd=folder,
            env=windows(CONSOLE_CLOSES_WITH=str(folder / "console is closed")),
            stdout=stdout,
            stderr=stderr,
        )
    for run, stop in (
        ("interrupted", lambda: process.send_signal(signal.SIGUSR1)),  # which stands for SIGBREAK in the simulation
        ("closed", (folder / "console is closed").touch),
    ):
        give_up = time.monotonic() + 200
        while not (folder / run / "metrics.jsonl").exists():
            assert process.poll() is None, (folder / "stderr").read_text()
            assert time.monotonic() < give_up
            time.sleep(0.01)
        stop()
    (folder / "code").write_text(str(process.wait(timeout=60)))
    [codes] = [line for line in (folder / "stdout").read_text().splitlines() if line.startswith("codes ")]
    expected = [*[0] * len(LINES), *REFUSED.values(), 143]
    assert json.loads(codes.removeprefix("codes ")) == expected, (folder / "stderr").read_text()
    assert "Traceback" not in (folder / "stderr").read_text()
    return folder


def test_a_training_is_the_same_bits_as_elsewhere_also_when_it_was_stopped(folder, forked, tiny_toml, tmp_path):
    done = forked("train", "--config", tiny_toml, "--max-steps", 20, "--run-dir", "run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr.decode()
    for name in ("diffusion_checkpoint.safetensors", "conditional_diffusion_mnist.safetensors"):
        assert (folder / "run" / name).read_bytes() == (tmp_path / "run" / name).read_bytes(), name
    assert b"\r" not in (folder / "run" / "metrics.jsonl").read_bytes()


def test_pictures_are_the_same_bytes_as_elsewhere(folder, invoke, tmp_path):
    assert (folder / "again.png").read_bytes() == (folder / "sheet.png").read_bytes()
    weights = folder / "run" / "conditional_diffusion_mnist.safetensors"
    done = invoke("sample", "-d", "7,8", "--seed", 1, "-n", 2, "-c", weights, "-o", "drawn/")
    assert done.returncode == 0, done.stderr.decode()
    for picture in (tmp_path / "drawn").iterdir():
        assert picture.read_bytes() == (folder / "drawn" / picture.name).read_bytes()


def test_what_failed_leaves_nothing(folder):
    assert not (folder / "none").exists()
    assert not list(folder.rglob("*.mnistdiff-tmp"))


def test_ctrl_break_saves_like_sigterm(folder, invoke):
    saved = json.loads(invoke("inspect", folder / "interrupted", "--json").stdout)
    assert saved["digest_valid"]
    assert saved["step"] > 0


def test_closing_the_console_saves_before_windows_ends_the_process(folder, invoke):
    assert (folder / "code").read_text() == "143"
    assert (folder / "stderr").read_text().count("saving") == 2  # here, and where Ctrl-Break interrupted
    saved = json.loads(invoke("inspect", folder / "closed", "--json").stdout)
    assert saved["digest_valid"]
    assert saved["step"] > 0


def test_patterns_are_expanded_where_no_shell_does(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("b.png", "a.png", "c.txt"):
        (tmp_path / name).touch()
    assert with_patterns_expanded(["grid", "*.png", "no*", "--seed", "1"]) == [
        "grid",
        "a.png",
        "b.png",
        "no*",
        "--seed",
        "1",
    ]


@pytest.mark.parametrize(
    ("path", "word"),
    [
        (r"runs\001-base", r"runs\001-base"),
        (r"C:\My runs\a&calc", r'"C:\My runs\a&calc"'),
        (r"a b\$(calc)", r"'a b\$(calc)'"),
        ("-x", "./-x"),
    ],
)
def test_a_path_in_a_command_to_copy_is_one_word_of_windows_shells(path, word):
    assert quoted(path, windows=True) == word


@pytest.mark.parametrize("encoding", ["cp437", "cp932", "ascii"])
def test_help_goes_into_a_pipe_in_any_code_page(cli, encoding):
    done = cli("evaluate", "--help", env={"PYTHONIOENCODING": encoding})
    assert done.returncode == 0, done.stderr.decode()
    assert b"chet" in done.stdout


OPEN_FILE = """
import sys
from pathlib import Path
from mnistdiff.engine import storage
storage._RETRY_SECONDS = (0.1, 0.3)
Path("held.png").write_bytes(b"old")
with open("held.png", "rb"):
    try:
        storage.write_atomically(Path("held.png"), b"new")
    except OSError as error:
        assert storage.is_open_elsewhere(error) and error.filename == "held.png"
    else:
        raise AssertionError("it was replaced")
assert Path("held.png").read_bytes() == b"old" and len(list(Path().iterdir())) == 1
import threading
file = open("held.png", "rb")
threading.Timer(0.2, file.close).start()
storage.write_atomically(Path("held.png"), b"one\\ntwo\\x1a")
assert Path("held.png").read_bytes() == b"one\\ntwo\\x1a"
"""


def test_a_file_that_another_program_has_open_is_waited_for_and_then_named(windows, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", OPEN_FILE], cwd=tmp_path, env=windows(), capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
