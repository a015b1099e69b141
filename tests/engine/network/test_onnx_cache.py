"""Cached graphs are used only if they are unchanged and no other user can write them."""

import os
import shutil
import stat

import numpy as np
import pytest

from mnistdiff.engine.network import onnx_cache
from mnistdiff.engine.network.onnx_cache import discard_graph, keep_graph, kept_graph

NAME, GRAPH = "unet_channels-8.16_patch-4", b"a graph"


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def file(cache):
    keep_graph(NAME, GRAPH)
    [file] = [path for path in cache.rglob("*") if path.is_file()]
    return file


def replace_by_another_kept_graph(file):
    keep_graph("unet_other", b"another graph")
    [other] = file.parent.glob("unet_other.*")
    shutil.copy(other, file)
    shutil.copy(other, file.with_name(other.name.replace("unet_other", NAME)))


def make_a_link(file):
    file.rename(file.with_name("elsewhere"))
    file.symlink_to("elsewhere")


def make_a_fifo(file):
    file.unlink()
    os.mkfifo(file)


TAMPERED = {
    "another content": lambda file: file.write_bytes(b"a grapH"),
    "empty": lambda file: file.write_bytes(b""),
    "cut off": lambda file: file.write_bytes(GRAPH[:-1]),
    "longer": lambda file: file.write_bytes(GRAPH + b"\0"),
    "very long": lambda file: os.truncate(file, 10**10),
    "the graph of another network": replace_by_another_kept_graph,
    "a link": make_a_link,
    "a fifo": make_a_fifo,
    "a folder": lambda file: (file.unlink(), file.mkdir()),
    "another name": lambda file: file.rename(file.with_name(f"{NAME}.onnx")),
    "others may write the file": lambda file: file.chmod(0o602),
    "a group may write the file": lambda file: file.chmod(0o620),
    "others may write the folder": lambda file: file.parent.chmod(0o777),
    "others may write the folder above": lambda file: file.parents[2].chmod(0o777),
    "another user's file": lambda file: os.chown(file, 12345, 12345),
    "another user's folder": lambda file: os.chown(file.parent, 12345, 12345),
}
NEEDS_ROOT = {kind for kind in TAMPERED if kind.startswith("another user")}


def test_a_graph_is_kept_for_its_owner_alone_under_any_umask(cache):
    before = os.umask(0)
    try:
        keep_graph(NAME, GRAPH)
    finally:
        os.umask(before)
    assert kept_graph(NAME) == GRAPH
    assert kept_graph("unet_channels-8.16_patch-40") is None
    modes = {stat.S_IMODE(path.stat().st_mode) & 0o022 for path in (cache / "mnistdiff").rglob("*")}
    assert modes == {0}


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="permissions of POSIX")
@pytest.mark.parametrize("kind", TAMPERED)
def test_an_altered_graph_is_not_used_and_is_replaced(file, kind):
    if kind in NEEDS_ROOT and os.geteuid() != 0:
        pytest.skip("only root can give files away")
    assert kept_graph(NAME) == GRAPH
    TAMPERED[kind](file)
    assert kept_graph(NAME) is None
    if "folder" not in kind:
        assert discard_graph(NAME)
    keep_graph(NAME, GRAPH)
    if kind not in ("a folder", "another user's folder"):
        assert kept_graph(NAME) == GRAPH


def test_a_later_graph_replaces_an_earlier_one(file):
    keep_graph(NAME, b"new")
    assert kept_graph(NAME) == b"new"
    assert len(list(file.parent.iterdir())) == 1


@pytest.mark.parametrize("kind", ["no folder", "a file in its place", "/proc"])
def test_without_a_cache_folder_nothing_is_kept_and_nothing_fails(monkeypatch, tmp_path, kind):
    (tmp_path / "file").write_text("mine")
    folder = {"no folder": None, "a file in its place": tmp_path / "file" / "x", "/proc": tmp_path.__class__("/proc/x")}
    monkeypatch.setattr(onnx_cache, "cache_folder", lambda: folder[kind])
    keep_graph(NAME, GRAPH)
    assert kept_graph(NAME) is None
    assert not discard_graph(NAME)


def test_a_cached_graph_of_another_network_is_dropped_and_pytorch_is_used(monkeypatch, tmp_path):
    """Written by a program that knows the names of the files."""
    from mnistdiff.engine.checkpoint.pretrained import PRETRAINED
    from mnistdiff.engine.inference.model import load_model
    from mnistdiff.engine.inference.sampling import sample, specs_for_labels
    from mnistdiff.engine.network.onnx_runtime import SHIPPED_GRAPHS, graph_name
    from mnistdiff.engine.progress import collect
    from mnistdiff.preset_table import PRESETS
    from mnistdiff.sample_settings import SampleSettings
    from mnistdiff.settings import TrainSettings

    def pixels(model):
        return [d.pixels for d in collect(sample(model, specs_for_labels((7,), 1, 0), SampleSettings(steps=2)))]

    settings = load_model(PRETRAINED, weights="ema", device="cpu", backend="torch").settings
    usual = pixels(load_model(PRETRAINED, weights="ema", device="cpu"))
    tiny = (SHIPPED_GRAPHS / f"{graph_name(TrainSettings(**PRESETS['tiny']))}.onnx").read_bytes()
    monkeypatch.setattr("mnistdiff.engine.network.onnx_runtime.SHIPPED_GRAPHS", tmp_path)
    for graph in (tiny, b"no graph", b""):
        keep_graph(graph_name(settings), graph)
        model = load_model(PRETRAINED, weights="ema", device="cpu")
        assert model.backend == "torch"
        assert np.abs(np.array(pixels(model)).astype(int) - np.array(usual)).max() <= 1
        assert kept_graph(graph_name(settings)) is None
