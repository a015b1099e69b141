"""What the documents say is there."""

import importlib
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from reference import PAGE

from mnistdiff.cli.registry import COMMANDS, load
from mnistdiff.engine.checkpoint.pretrained import PRETRAINED
from mnistdiff.engine.inference.model import load_model
from mnistdiff.engine.inference.sampling import SampleSpec, sample, specs_for_labels
from mnistdiff.engine.progress import collect
from mnistdiff.settings import SampleSettings

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def chapter(title):
    return re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## )", README, re.DOTALL | re.MULTILINE)[1]


def table(text):
    """The cells of the rows below the head."""
    return [
        [cell.strip() for cell in line.strip("|").split(" | ")] for line in text.splitlines() if line.startswith("| ")
    ][1:]


EQUATIONS = table(chapter("From the paper to the code").replace("| | ", "| - | "))


def test_the_chapter_of_equations_is_read_as_a_table():
    assert len(EQUATIONS) >= 20
    assert {len(row) for row in EQUATIONS} == {4}


@pytest.mark.parametrize("row", EQUATIONS, ids=lambda row: row[1][:30])
def test_each_equation_is_a_function_that_a_test_holds(row):
    file, name = re.fullmatch(r"`([\w/]+)\.py` `([\w.]+)`", row[2]).groups()
    found = importlib.import_module(f"mnistdiff.engine.{file.replace('/', '.')}")
    for part in name.split("."):
        found = getattr(found, part)
    assert found.__doc__ or file.startswith("network")
    test_file, test = re.fullmatch(r"`([\w/.]+)` `(\w+)`", row[3]).groups()
    assert f"\ndef {test}(" in (ROOT / "tests/engine" / test_file).read_text()


@pytest.mark.parametrize("name", [name for name, entry in COMMANDS.items() if not entry.hidden])
def test_the_page_of_commands_is_that_of_the_program(name):
    """If this fails: python tests/reference.py."""
    section = re.search(rf"^## `mnistdiff {name}`\n(.*?)(?=^## |\Z)", PAGE.read_text(), re.DOTALL | re.MULTILINE)[1]
    told = set(re.findall(r"^\* .*?(--[\w-]+)", section, re.MULTILINE)) - {"--help"}
    command = load(name)
    flags = {
        next(flag for flag in p.opts if flag.startswith("--")) for p in command.params if p.opts[0].startswith("-")
    }
    assert told == flags
    words = " ".join(section.split())
    for parameter in command.params:
        assert " ".join(getattr(parameter, "help", "").split()) in words
    for example in re.findall(r"^mnistdiff .*", command.epilog, re.MULTILINE):
        assert example in section


@pytest.mark.parametrize("address", re.findall(r"\]\((?!http)([^)#]+)\)", README))
def test_what_the_readme_links_to_is_there(address):
    assert (ROOT / address).exists()


JSON = {cell: row[1] for row in table(chapter("JSON")) for cell in re.findall(r"`([^`]+)`", row[0])}
LINES = {
    "sample": "sample -d 7 -o there/ --steps 1",
    "edit": "edit picture.png -d 7 -o there/ --steps 1",
    "inpaint": "inpaint picture.png --mask left -d 7 -o there/ --steps 1",
    "sample --format": "sample --format npz -d 7 --steps 1 -o set.npz",
    "grid": "grid -d 7 -n 1 --steps 1",
    "interpolate": "interpolate --from 1 --to 2 --frames 2 --steps 1",
    "classify": "classify picture.png --evaluations 1",
    "reproduce": "reproduce picture.png",
    "report": "report ../run",
    "inspect": "inspect ../run",
    "doctor": "doctor",
}


@pytest.mark.parametrize("command", LINES)
@pytest.mark.usefixtures("run_copy")
def test_json_has_the_keys_that_the_readme_names(cli, tmp_path, command):
    here = tmp_path / "elsewhere"  # where no run is, so that the bundled model draws, without torch
    here.mkdir()
    cli("sample", "-d", 7, "--seed", 1, "--steps", 1, "-o", "picture.png", cwd=here)
    done = cli(*LINES[command].split(), "--json", cwd=here)
    assert done.returncode == 0, done.stderr.decode()
    named = re.findall(r"`(\w+)`", JSON[command].partition(";")[0])
    assert list(json.loads(done.stdout)) == named


def test_every_command_that_speaks_json_is_in_the_table():
    speaks = {name for name in COMMANDS if "json" in {p.name for p in load(name).params}}
    assert speaks - {"inspect-checkpoint"} == set(JSON) - {
        "train --dry-run",
        "sample --format",
        "--by",
        "--gif",
        "--film",
    }


def test_the_example_of_the_library_draws_what_the_command_draws(tmp_path, environment):
    """Run as it stands, and once more with its pictures kept."""
    [example] = re.findall(r"```python\n(.*?)```", chapter("As a library"), re.DOTALL)
    kept = example + "        Image.fromarray(drawing.pixels).save(f'{drawing.seed}.png')\n"
    for code in (example, f"from PIL import Image\n{kept}"):
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=tmp_path,
            env=environment(PYTHONPATH=str(ROOT)),
            capture_output=True,
            timeout=100,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, b"")
        assert len(done.stdout.splitlines()) == 16
    drawn = load_model(PRETRAINED, weights="ema", device="cpu", backend="onnx")
    defaults = SampleSettings()
    assert drawn.sample_settings() == defaults
    for drawing in collect(sample(drawn, specs_for_labels([7], 16, 0), defaults)):
        with Image.open(tmp_path / f"{drawing.seed}.png") as picture:
            assert np.array_equal(np.asarray(picture), drawing.pixels)


def test_the_example_of_the_library_takes_the_defaults_of_its_model(run_copy, tmp_path, monkeypatch):
    """Of a model of few images and few timesteps, where they are others."""
    [example] = re.findall(r"```python\n(.*?)```", chapter("As a library"), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(example, names)
    model, drawing = names["model"], names["drawing"]
    assert model.info.checkpoint.startswith("run/")
    [expected] = collect(sample(model, [SampleSpec(7, 15)], model.sample_settings()))
    assert model.sample_settings().guidance == 1.5
    assert np.abs(expected.pixels.astype(int) - drawing.pixels).max() <= 1
