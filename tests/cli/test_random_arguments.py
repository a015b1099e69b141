"""Command lines made up from the real commands and options, with hostile values: a documented answer, never a bug."""

import os
import random
import shutil
import signal
import time
from pathlib import Path

import pytest
from pairs import OPTIONS

from mnistdiff.cli.exit_codes import ExitCode
from mnistdiff.cli.registry import COMMANDS, load

SECONDS = 5.0
"""Longer work is asked to stop, which is an answer, too."""
NUMBERS = [
    *(
        "0",
        "1",
        "2",
        "3",
        "7",
        "-1",
        "00",
        "1.5",
        "-0.0",
        "1e400",
        "-1e400",
        "nan",
        "inf",
        "-inf",
        "0x10",
        "1_000",
        "٣",
    ),
    *("4294967295", "4294967296", "9" * 30, "9" * 400, "1" * 5000, "0." + "0" * 400 + "1", "1e-320"),
]
PATHS = [
    *("nine.png", "broken.png", "empty.png", "run", "run/samples", "state.safetensors", "a.toml", "utf16.toml", "fifo"),
    *("folder", "folder/", "dangling.png", "größe\n.png", "no/such/x.png", "no/such", "new.png", "new.gif", "new.json"),
    *(
        "new",
        "new.npz",
        "x.html",
        "x.onnx",
        ".",
        "..",
        "../..",
        "~",
        "~no-such-user/x",
        "a" * 300 + ".png",
        "a/" * 3000,
    ),
    *("-dash.png", "./-dash.png", "*.png", "nine.png/x", "\udc80.png", "new.PNG", ".png", "bundled"),
]
WORDS = [
    *("", " ", "-", "--", "--help", "-h", "true", "None", "a=b", "=", ":", ",", "1,2,,", "0-9", "9-0", "0-4294967295"),
    *("0:1", "1:0", "0.5:0.5", "nan:1", "guidance=1,2", "guidance=", "steps=1,", "eta=0,1", "guidance=" + "1," * 2000),
    *(
        "\x1b[2J",
        "\x07",
        "\n",
        "\t",
        "\x7f",
        "\u202e",
        "🙂",
        "é",
        "\udc80",
        "%s",
        "{}",
        "$HOME",
        ";",
        "'",
        '"',
        "x" * 5000,
    ),
    *(
        "top",
        "mnist",
        "fast",
        "cpu",
        "cuda",
        "onnx",
        "torch",
        "conv",
        "ddim",
        "raw",
        "png",
        "idx",
        "x_0",
        "tensorboard",
    ),
]


def made_up(choose: random.Random) -> list[str]:
    """A command line: a command, most of what it requires, and some options with values of any kind."""
    command = choose.choice([*COMMANDS])
    words = [command]
    for parameter in load(command).params:
        is_option = parameter.param_type_name == "option"
        usual = OPTIONS.get(parameter.name or "", [])
        share = 0.85 if parameter.required else 0.15 if is_option else 0.5
        if parameter.name == "help" or choose.random() > share:
            continue
        if is_option:
            flag = choose.choice(parameter.opts)
            if getattr(parameter, "is_flag", False):
                words.append(flag)
            elif usual and choose.random() < 0.5:
                words += usual
            else:
                words += [flag, value(choose)]
        else:
            words += [value(choose, PATHS) for _ in range(choose.choice([1, 1, 1, 2]))]
    if command == "train" and choose.random() < 0.7:
        words += ["--config", "a.toml", "--max-steps", "1"]
    return words


def value(choose: random.Random, most: list[str] | None = None) -> str:
    """A value of any kind; mostly one of ``most``."""
    if most is not None and choose.random() < 0.8:
        return choose.choice(most)
    return choose.choice(choose.choice([NUMBERS, PATHS, WORDS]))


@pytest.fixture
def place(tiny_run, tmp_path):
    """A folder with files of every kind, from which ``..`` leads nowhere that matters."""
    template = tmp_path / "template"
    shutil.copytree(tiny_run, template / "run")
    shutil.copy(tiny_run / "diffusion_checkpoint.safetensors", template / "state.safetensors")
    for name in ("nine.png", "größe\n.png", "-dash.png"):
        shutil.copy(tiny_run / "samples" / "epoch_0001.png", template / name)
    (template / "broken.png").write_bytes((template / "nine.png").read_bytes()[:200])
    (template / "empty.png").touch()
    (template / "folder").mkdir()
    text = 'preset = "tiny"\npatch_size = 4\nchannels = [8]\nembedding = 16\ntimesteps = 10\nbatch_size = 2\n'
    (template / "a.toml").write_text(text)
    (template / "utf16.toml").write_text(text, encoding="utf-16")
    (template / "dangling.png").symlink_to("no/such")

    def fresh(number: int) -> Path:
        folder = tmp_path / str(number) / "a" / "b" / "work"
        shutil.copytree(template, folder, symlinks=True)
        os.mkfifo(folder / "fifo")
        return folder

    return fresh


@pytest.mark.parametrize("trials", [40, pytest.param(1_500, marks=pytest.mark.soak)])
def test_every_command_line_has_a_documented_answer(forks, place, tmp_path, trials):
    choose = random.Random(20)
    (tmp_path / "home").mkdir()
    codes: dict[int, int] = {}
    for number in range(trials):
        words = made_up(choose)
        folder = place(number)
        fork = forks.start(*words, cwd=folder, env={"HOME": str(tmp_path / "home"), "OMP_NUM_THREADS": "1"})
        while not fork.ended():
            if time.monotonic() - fork.began > 4 * SECONDS:
                fork.send(signal.SIGKILL)  # asked to stop, it did not: minus 9 is no documented answer
            elif time.monotonic() - fork.began > SECONDS:
                fork.send(signal.SIGTERM)
                time.sleep(1)
            time.sleep(0.01)
        code = fork.wait()
        assert code in set(ExitCode) - {ExitCode.BUG}, (number, words, fork.err[-2000:])
        assert b"Traceback" not in fork.err, (number, words)
        assert b"\x1b" not in fork.err, (number, words)
        codes[code] = codes.get(code, 0) + 1
        shutil.rmtree(tmp_path / str(number))
    assert codes[ExitCode.DONE] > trials / 20  # not all of it stops at the first word
    assert len(codes) >= 4
