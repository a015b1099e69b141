"""Every command line of the documents, among them the examples of every help text, does what it shows.

They run inside this process on little: few images, few steps. Three lines run in a real shell in test_pipelines.py.
"""

import io
import re
import shlex
import shutil
import subprocess
import sys
from contextlib import chdir
from glob import glob

import numpy as np
import pytest
from documents import blocks, shell_lines, text_of
from PIL import Image

from mnistdiff.cli import app
from mnistdiff.cli.registry import COMMANDS, load

LINES = shell_lines()
SLOW = {"resume", "distill", "train-classifier", "evaluate", "export", "datasets", "studio"}
"""Minutes each, a download, or without end: their own tests run them on little, here their options are read."""
FEW = {"--n": 2, "--frames": 3}
LITTLE = {"--steps": "1", "--evaluations": "1"}
# What other programs make of the output, by a word of the line.
OTHERS = {
    "file -": r"/dev/stdin: PNG image data, 28 x 28, 8-bit grayscale, non-interlaced\n",
    "jq -r .path": r"(inference_samples/digit_[0-9]_\d+\.png\n){3}",
    "jq .probabilities": r"\[\n( +[\d.e-]+,?\n){10}\]\n",
    "jq '.step": r"\d+\n[\d.]+\ntrue\n",
    "ls fake": "".join(
        rf"{part}-{kind}-ubyte\n" for part in ("t10k", "train") for kind in ("images-idx3", "labels-idx1")
    ),
}


def stages_of(line):
    """The words of each command of a line, and what stands before it: ``|``, ``>`` or ``&&``."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|>&")
    lexer.whitespace_split = True
    stages = [("", [])]
    for word in lexer:
        if word in ("|", ">", "&&"):
            stages.append((word, []))
        else:
            stages[-1][1].append(word)
    return stages


def on_little(name, words):
    """The words after a command's name, with few images and steps."""
    options = {flag for parameter in load(name).params for flag in parameter.opts}
    for flag, most in FEW.items():
        if flag in words:
            at = words.index(flag) + 1
            words = [*words[:at], str(min(int(words[at]), most)), *words[at + 1 :]]
    if name == "train":
        return [*words, "--dry-run"]
    if {"--over-time", "--sweep"} & set(words) or sum(word.endswith(".png") for word in words) > 1 and name == "grid":
        return words  # of images, or with steps of its own
    little = [(flag, value) for flag, value in LITTLE.items() if flag in options and flag not in words]
    return [*words, *(part for pair in little for part in pair)]


def run_in(folder, line):
    with chdir(folder):
        assert app.run(line.split()) == 0


@pytest.fixture(scope="module")
def folders(tiny_run, tmp_path_factory):
    """Two folders with images: one without a run, where the bundled model is used, and one with two runs."""
    parent = tmp_path_factory.mktemp("examples")
    here = parent / "without"
    here.mkdir()
    run_in(here, "sample -d 3,7 --seed 1 --steps 1 -o digits.png")
    run_in(here, "sample -d 3 --seed 1 -o scan.png")
    run_in(here, "interpolate --from 3 --to 8 --frames 2 --steps 1 -o morph.gif")
    (here / "inference_samples").mkdir()
    for name in ("half", "torn", "nine", "digit_3_1", "digit_7_42", "inference_samples/digit_3_1"):
        shutil.copyfile(here / "scan.png", here / f"{name}.png")
    shutil.copyfile(here / "digits.png", here / "grid.png")
    for name in ("photo", "scan"):
        Image.open(here / "scan.png").convert("RGB").resize((200, 200)).save(here / f"{name}.jpg")
    Image.fromarray(np.pad(np.full((10, 28), 255, np.uint8), ((0, 18), (0, 0)))).save(here / "mask.png")
    (here / "my.toml").write_text("\n".join(blocks(text_of(".github/docs/training.md"), "toml")))
    shutil.copytree(here, parent / "with")
    for name in ("001-base", "001-fast", "001-finetune"):
        run = shutil.copytree(tiny_run, parent / "with/runs" / name)
    run_in(parent / "with", "grid -n 1 --steps 1 --force -o grid.png")
    for epoch in ("0001", "0010"):
        kept = run.parent / f"001-base/checkpoints/diffusion_checkpoint_epoch_{epoch}.safetensors"
        shutil.copyfile(tiny_run / "diffusion_checkpoint.safetensors", kept)
    return parent


def outputs_of(line, here):
    """The files that a line names as its outputs."""
    words = shlex.split(line)
    named = [after for flag, after in zip(words, words[1:], strict=False) if flag in ("-o", "--gif", "--film", ">")]
    return [here / name for name in named if name != "-"]


def test_the_documents_show_every_command():
    shown = {words[1] for line in LINES for _, words in stages_of(line) if words[0] == "mnistdiff"}
    assert shown >= set(COMMANDS) - {"inspect-checkpoint"}  # shown by its short name


@pytest.mark.parametrize("line", LINES)
def test_a_line_does_what_it_shows(invoke, folders, tmp_path, monkeypatch, line):
    needs_a_run = "runs/" in line or "report" in line
    here = shutil.copytree(folders / ("with" if needs_a_run else "without"), tmp_path / "here")
    monkeypatch.chdir(here)
    outputs = outputs_of(line, here)
    for path in outputs:
        path.unlink(missing_ok=True)

    data = b""
    for operator, words in stages_of(line):
        if words[0] == "xargs":
            words = [*words[words.index("mnistdiff") :], *data.decode().splitlines()]
        if operator == ">":
            (here / words[0]).write_bytes(data)
        elif words[0] != "mnistdiff":
            if shutil.which(words[0]) is None:
                pytest.skip(f"{words[0]} is not installed")
            data = subprocess.run(words, input=data, capture_output=True, check=True).stdout
        elif words[1] in SLOW:
            assert load(words[1]).make_context(words[1], words[2:]).args == []
            return
        else:
            monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
            words = [found for word in words for found in sorted(glob(word)) or [word]]
            done = invoke(words[1], *on_little(words[1], words[2:]))
            assert done.returncode == 0, done.stderr.decode()
            data = done.stdout

    assert [path for path in outputs if not path.exists()] == []
    assert data or outputs
    for pattern in (pattern for word, pattern in OTHERS.items() if word in line):
        assert re.fullmatch(pattern, data.decode()), data
