"""The keys of ``--json`` are those of the command line reference."""

import json
import re
import shutil
from contextlib import chdir

import pytest
from documents import section, table, text_of

from mnistdiff.cli import app
from mnistdiff.cli.registry import COMMANDS, load

KEYS = {
    line: re.findall(r"`(\w+)`", row[1].partition(";")[0])
    for row in table(section(text_of(".github/docs/cli.md"), "JSON output"))
    for line in re.findall(r"`([^`]+)`", row[0])
}
LINES = {
    "sample": "sample -d 7 -o new/ --steps 1",
    "sample -o SHEET.png": "sample -d 7 -n 2 -o sheet.png --steps 1",
    "sample --gif": "sample -d 7 -o seven.png --gif seven.gif --steps 1",
    "sample --format": "sample --format npz -d 7 --steps 1 -o set.npz",
    "edit": "edit picture.png -d 7 -o edited/ --steps 1",
    "inpaint": "inpaint picture.png --mask left -d 7 -o completed/ --steps 1",
    "grid": "grid -d 7 -n 1 --steps 1",
    "interpolate": "interpolate --from 1 --to 2 --frames 2 --steps 1",
    "classify": "classify picture.png --evaluations 1",
    "reproduce": "reproduce picture.png",
    "distill": "distill ../run --teacher-steps 4 --max-steps 1 --run-dir student",
    "resume": "resume ../run",
    "evaluate": "evaluate bundled --n 10 --steps 1",
    "evaluate --by": "evaluate bundled --n 10 --by steps=1",
    "evaluate --bits-per-dim": "evaluate ../run --bits-per-dim --split train --n 10 --evaluations 2",
    "report": "report ../run",
    "export --html": "export ../run --html page.html",
    "inspect": "inspect ../run",
    "doctor": "doctor",
    "datasets": "datasets --data-dir nowhere",
}


@pytest.fixture(scope="module")
def folder(tiny_run, tmp_path_factory):
    """A folder with a picture and no run, so that the bundled model is used; the run is beside it."""
    folder = tmp_path_factory.mktemp("json") / "here"
    folder.mkdir()
    with chdir(folder):
        assert app.run(["sample", "-d", "7", "--seed", "1", "--steps", "1", "-o", "picture.png"]) == 0
    shutil.copytree(tiny_run, folder.parent / "run")
    return folder


@pytest.mark.parametrize("line", LINES)
def test_the_keys_of_json_are_documented(invoke, folder, monkeypatch, line):
    monkeypatch.chdir(folder)
    done = invoke(*LINES[line].split(), "--json")
    assert done.returncode == 0, done.stderr.decode()
    assert set(json.loads(done.stdout.splitlines()[-1])) == set(KEYS[line])


def test_every_command_with_json_is_documented():
    with_json = {name for name in COMMANDS if "json" in {p.name for p in load(name).params}}
    assert with_json - {"inspect-checkpoint"} == {line.partition(" ")[0] for line in KEYS}
