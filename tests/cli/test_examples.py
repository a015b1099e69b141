"""The examples of every help text do what they show, one after another in a folder that has what they name."""

import shutil

import numpy as np
import pytest
from PIL import Image

from mnistdiff.cli.registry import COMMANDS, load

NAME = "diffusion_checkpoint_epoch_{}.safetensors"
SLOW = {"train", "resume", "train-classifier", "evaluate", "export"}
"""Minutes each: their own tests run them on little."""
EXAMPLES = [
    line
    for name, entry in COMMANDS.items()
    if name not in SLOW and not entry.hidden
    for line in (load(name).epilog or "").splitlines()
    if line.startswith("mnistdiff ") and line.split()[1] not in SLOW
]


@pytest.fixture(scope="module")
def folders(tiny_run, cli, tmp_path_factory):
    """Two folders with pictures: one without a run, where the bundled model draws, and one with two runs."""
    parent = tmp_path_factory.mktemp("examples")
    for here in (parent / "without", parent / "with"):
        here.mkdir()
        if here.name == "with":
            for name in ("001-base", "001-fast"):
                shutil.copytree(tiny_run, here / "runs" / name)
            kept = here / "runs/001-base/checkpoints"
            for epoch in ("0001", "0010"):
                shutil.copyfile(tiny_run / "diffusion_checkpoint.safetensors", kept / NAME.format(epoch))
        done = cli("sample", "-d", "3,7", "--seed", 1, "-o", "drawn.png", "-q", cwd=here)
        assert done.returncode == 0, done.stderr.decode()
        cli("sample", "-d", 3, "--seed", 1, "-q", "-o", "scan.png", cwd=here)
        cli("interpolate", "--from", 3, "--to", 8, "--frames", 2, "--steps", 1, "-q", cwd=here)  # morph.gif
        for name in ("half", "torn", "digit_3_1", "digit_7_42"):
            shutil.copyfile(here / "scan.png", here / f"{name}.png")
        (here / "inference_samples").mkdir()
        shutil.copyfile(here / "scan.png", here / "inference_samples/digit_3_1.png")
        shutil.move(here / "drawn.png", here / "grid.png")
        Image.open(here / "scan.png").convert("RGB").resize((200, 200)).save(here / "photo.jpg")
        Image.fromarray(np.pad(np.full((10, 28), 255, np.uint8), ((0, 18), (0, 0)))).save(here / "mask.png")
    return parent


@pytest.mark.parametrize("line", EXAMPLES)
def test_an_example_does_what_it_shows(shell, folders, tmp_path, line):
    words = line.split()
    needs_a_run = "runs/" in line or words[1] == "report"
    here = shutil.copytree(folders / ("with" if needs_a_run else "without"), tmp_path / "here")
    outputs = [
        here / words[words.index(flag) + 1]
        for flag in ("-o", "--gif", "--film", ">")
        if flag in words and words[words.index(flag) + 1] != "-"
    ]
    for path in outputs:
        path.unlink(missing_ok=True)
    done = shell(line.replace("--n 1000", "--n 20"), here)
    assert done.returncode == 0, done.stderr.decode()
    assert b"Traceback" not in done.stderr
    assert [path for path in outputs if not path.exists()] == []
    assert done.stdout or outputs
