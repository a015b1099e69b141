"""``mnistdiff export``, through the real program."""

import json

import numpy as np
import pytest
from PIL import Image
from warned import beside_the_warning

from mnistdiff.engine.network.onnx_runtime import OnnxDenoiser


def test_an_export_is_a_whole_model_and_makes_its_architecture_quick(forked, tiny_run, tmp_path):
    """A network of no preset: before, there is no graph of it."""
    here = {"cwd": tmp_path, "env": {"XDG_CACHE_HOME": str(tmp_path / "cache")}}
    draw = ["sample", "-c", tiny_run, "-d", 1, "--seed", 4, "-o"]
    refused = forked(*draw, "no.png", "--backend", "onnx", **here)
    assert (refused.returncode, refused.stdout) == (2, b"")
    assert b"mnistdiff export" in refused.stderr

    done = forked("export", tiny_run, "-o", "deep/model.onnx", "--json", **here)
    assert (done.returncode, beside_the_warning(done.stderr)) == (0, b"")
    result = json.loads(done.stdout)
    content = (tmp_path / "deep" / "model.onnx").read_bytes()
    assert (result["path"], result["bytes"]) == ("deep/model.onnx", len(content))
    assert 0 <= result["largest_difference"] < 1e-4
    prediction = OnnxDenoiser(content, {}, source="it")(np.ones((3, 1, 28, 28), np.float32), 5, np.arange(3))
    assert prediction.shape == (3, 1, 28, 28)

    for backend in ("onnx", "torch"):
        assert forked(*draw, f"{backend}.png", "--backend", backend, **here).returncode == 0
    drawn = [np.asarray(Image.open(tmp_path / f"{backend}.png")).astype(int) for backend in ("onnx", "torch")]
    assert np.abs(drawn[0] - drawn[1]).max() <= 1
    kept = [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert [path.suffix for path in kept] == [".onnx"]


def test_an_export_replaces_nothing_unasked(invoke, tmp_path):
    (tmp_path / "model.onnx").write_text("mine")
    done = invoke("export")
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"model.onnx is already there" in done.stderr
    assert (tmp_path / "model.onnx").read_text() == "mine"


def test_without_the_packages_that_write_onnx_they_are_named(invoke, monkeypatch, tmp_path):
    monkeypatch.setitem(__import__("sys").modules, "onnxscript", None)
    done = invoke("export", "-o", "x.onnx")
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"pip install 'mnistdiff[export]'" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_page_is_written_where_it_is_asked_for_and_replaces_nothing_unasked(invoke, tmp_path):
    first = invoke("export", "bundled", "--html", "new/demo.html", "--json")
    assert first.returncode == 0, first.stderr.decode()
    content = (tmp_path / "new" / "demo.html").read_bytes()
    result = json.loads(first.stdout)
    assert (result["path"], result["bytes"]) == ("new/demo.html", len(content))
    assert len(content) < 4e6
    assert invoke("export", "bundled", "--html", "new/demo.html").returncode == 2
    assert invoke("export", "bundled", "--html", "new/demo.html", "--force").returncode == 0
    assert invoke("export", "bundled", "--html", "-").stdout == content


@pytest.mark.parametrize(
    ("line", "code", "named"),
    [
        ("export --html x.png", 2, b".html"),
        ("export --html x.html -o x.onnx", 2, b"--output"),
        ("export --html - --json", 2, b"stdout"),
        ("export nowhere --html x.html", 3, b"nowhere"),
        ("export bundled --html /dev/null/x.html", 5, b"/dev/null"),
        ("export bundled --html x.html --weights raw", 3, b"--weights"),
    ],
)
def test_a_page_that_cannot_be_written_is_refused_by_name(invoke, tmp_path, line, code, named):
    done = invoke(*line.split())
    assert (done.returncode, done.stdout) == (code, b"")
    assert named in done.stderr
    assert list(tmp_path.iterdir()) == []
