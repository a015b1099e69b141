"""Names and contents that would steer a terminal: every command spells them out there, and keeps them in a pipe."""

import os
import pty
import shutil
import subprocess
import threading
from pathlib import Path

import pytest

from mnistdiff.cli.console import printable
from mnistdiff.cli.registry import COMMANDS
from mnistdiff.shell import quoted

ESCAPE, TURNED, FAKED = "\x1b]0;owned\x07", "\u202e", "faked"
EVIL = f"e{ESCAPE}{TURNED}\n{FAKED}"
ONE_STEP = ["--steps", 1, "--seed", 0]

# What each command is given: RUN is a run, NEW a name that is free, THERE a file that is there, PICTURE a drawn digit.
LINES = {
    "train --dry-run": (0, ["train", "--config", "SETTINGS", "--dry-run"]),
    "train": (0, ["train", "--config", "TINY", "--max-steps", 1, "--run-dir", "NEW"]),
    "train again": (2, ["train", "--config", "TINY", "--max-steps", 1, "--run-dir", "RUN"]),
    "train with a bad setting": (2, ["train", "--config", "BAD"]),
    "distill": (0, ["distill", "RUN", "--teacher-steps", 4, "--max-steps", 1, "--run-dir", "NEW"]),
    "resume": (0, ["resume", "--max-steps", 46]),
    "resume RUN": (0, ["resume", "RUN"]),
    "sample": (0, ["sample", "-d", 1, *ONE_STEP, "-o", "NEW/"]),
    "sample -c": (0, ["sample", "-c", "RUN", "-d", 1, *ONE_STEP, "-o", "NEW.png", "--film", "NEWER.png"]),
    "sample --format": (0, ["sample", "-d", 1, *ONE_STEP, "-o", "NEW.npz", "--format", "npz"]),
    "sample there": (2, ["sample", "-d", 1, "-o", "THERE.png"]),
    "grid": (0, ["grid", "RUN", "-n", 1, *ONE_STEP, "-o", "NEW.png"]),
    "grid of pictures": (5, ["grid", "THERE.png", "-o", "NEW.png"]),
    "interpolate": (0, ["interpolate", "--from", 1, "--to", 7, "-c", "RUN", *ONE_STEP, "-o", "NEW.gif"]),
    "edit": (0, ["edit", "PICTURE", "-d", 1, "-c", "RUN", *ONE_STEP, "-o", "NEW.png"]),
    "inpaint": (
        0,
        ["inpaint", "PICTURE", "-d", 1, "--mask", "left", "-c", "RUN", *ONE_STEP, "-o", "NEW.png"],
    ),
    "classify": (0, ["classify", "PICTURE", "-c", "RUN"]),
    "studio": (3, ["studio", "--no-open", "-c", "THERE.safetensors"]),
    "reproduce": (0, ["reproduce", "PICTURE", "-o", "NEW.png"]),
    "evaluate": (0, ["evaluate", "RUN", "-n", 10, *ONE_STEP, "-o", "NEW.json"]),
    "evaluate --bits-per-dim": (
        0,
        ["evaluate", "RUN", "-n", 10, "--bits-per-dim", "--split", "train", "-o", "NEW.json"],
    ),
    "datasets": (0, ["datasets", "--data-dir", "NEW"]),
    "report": (0, ["report", "RUN", "-o", "NEW.html"]),
    "inspect": (0, ["inspect", "RUN"]),
    "inspect a damaged one": (3, ["inspect", "THERE.safetensors"]),
    "export --html": (0, ["export", "RUN", "--html", "NEW.html"]),
    "export": (2, ["export", "RUN", "-o", "THERE.onnx"]),
    "train-classifier": (2, ["train-classifier", "--architecture", "conv", "-o", "THERE.safetensors"]),
    "train-classifier without data": (
        4,
        ["train-classifier", "--architecture", "conv", "-o", "NEW.safetensors", "--data-dir", "NEW"],
    ),
    "an unknown command": (2, [EVIL]),
    "an unknown option": (2, ["sample", f"--{EVIL}"]),
}


@pytest.fixture(scope="module")
def picture(tiny_run, forks, tmp_path_factory):
    """A digit drawn from the run."""
    folder = tmp_path_factory.mktemp("picture")
    code, fork = forks.run("sample", "-c", tiny_run, "-d", 3, *ONE_STEP, "-o", "three.png", cwd=folder)
    assert code == 0, fork.err
    return (folder / "three.png").read_bytes()


@pytest.fixture
def words(tiny_run, tiny_toml, tmp_path, picture):
    """A folder where everything has a hostile name, and what each placeholder stands for."""
    shutil.copytree(tiny_run, tmp_path / EVIL)
    (tmp_path / f"p{EVIL}.png").write_bytes(picture)
    for kind in ("png", "onnx", "safetensors"):
        (tmp_path / f"t{EVIL}.{kind}").write_text("mine")
    toml = "".join(c if c.isalnum() else f"\\u{ord(c):04x}" for c in EVIL)
    (tmp_path / f"s{EVIL}.toml").write_text(f'run_dir = "{toml}"\n')
    (tmp_path / f"b{EVIL}.toml").write_text(f'preset = "{toml}"\n')
    return {
        "RUN": EVIL,
        "NEW": f"n{EVIL}",
        "NEWER": f"m{EVIL}",
        "THERE": f"t{EVIL}",
        "PICTURE": f"p{EVIL}.png",
        "SETTINGS": f"s{EVIL}.toml",
        "BAD": f"b{EVIL}.toml",
        "TINY": str(tiny_toml),
    }


def put_in(line, words):
    """The command line with its placeholders replaced; each stands at the beginning of its word."""
    return [
        next((f"{words[k]}{str(w)[len(k) :]}" for k in words if str(w).split(".")[0].strip("/") == k), w) for w in line
    ]


def seen_on_a_terminal(forks, line, folder):
    """Run the program on a pseudo-terminal, to its end."""
    master, slave = pty.openpty()
    chunks = []

    def read():
        while True:
            try:
                chunk = os.read(master, 65536)
            except OSError:  # nobody has the other end any more
                return
            chunks.append(chunk)

    reader = threading.Thread(target=read)
    reader.start()
    code, _ = forks.run(*line, cwd=folder, streams={"stdout": slave, "stderr": slave})
    os.close(slave)
    reader.join(30)
    os.close(master)
    return code, b"".join(chunks).decode(errors="surrogateescape")


def test_every_command_is_in_the_table():
    assert set(COMMANDS) - {line[0] for _, line in LINES.values()} <= {"doctor", "inspect-checkpoint"}


@pytest.mark.parametrize("name", LINES)
def test_a_terminal_is_not_steered_by_names(forks, words, tmp_path, name):
    expected, line = LINES[name]
    code, seen = seen_on_a_terminal(forks, put_in(line, words), tmp_path)
    assert code == expected, seen
    assert "Traceback" not in seen
    assert ESCAPE[:4] not in seen
    assert TURNED not in seen
    assert not [row for row in seen.splitlines() if row.startswith(FAKED)]
    assert FAKED in seen  # the name is shown


def test_a_pipe_gets_the_name_as_it_is(forks, words, tmp_path):
    line = ["sample", "-c", "RUN", "-d", 1, *ONE_STEP, "-o", "NEW.png"]
    code, fork = forks.run(*put_in(line, words), cwd=tmp_path)
    assert (code, fork.out) == (0, f"n{EVIL}.png\n".encode())
    assert ESCAPE.encode() not in fork.err


@pytest.mark.parametrize(
    "text", ["a\nb", "\x1b[2J", "\x9b2J", "\u202ertl", "\u2066x", "\u2028", "caf\udce9", "\t\r\0\x7f"]
)
def test_what_cannot_be_printed_is_spelled_out(text):
    assert printable(text).isprintable()
    assert printable("größe 7 → ▀") == "größe 7 → ▀"


@pytest.mark.parametrize(
    "name",
    [
        'x";$(touch pwn)`touch pwn`',
        "a b",
        "it's",
        "-d",
        "~",
        "*",
        "$HOME",
        "a\\b",
        "größe",
        EVIL,
        b"caf\xe9",
        "\n",
        "!x",
    ],
)
def test_a_path_in_a_command_to_copy_is_that_path_to_the_shell(tmp_path, name):
    path = Path(os.fsdecode(name))
    done = subprocess.run(["bash", "-c", f"printf %s {quoted(path)}"], cwd=tmp_path, capture_output=True, check=True)
    assert done.stdout.removeprefix(b"./") == os.fsencode(path)
    assert not done.stdout.startswith(b"-")
    assert quoted(path).isprintable()
    assert list(tmp_path.iterdir()) == []
