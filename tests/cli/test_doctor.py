"""``mnistdiff doctor``."""

import json
import os
from importlib.metadata import version

from mnistdiff import __version__


def test_the_installation_is_described_and_each_backend_samples(invoke, monkeypatch):
    monkeypatch.setenv("MNISTDIFF_SEED", "7")
    done = invoke("doctor", "--data-dir", "nowhere", "--json")
    assert (done.returncode, done.stderr) == (0, b"")
    result = json.loads(done.stdout)
    assert (result["version"], result["libraries"]["torch"]) == (__version__, version("torch"))
    assert "cpu" in result["devices"]
    assert result["threads"] == result["processes"] == 1
    assert set(result["bf16"]) <= {"amx_bf16", "avx512_bf16", "bf16"}
    assert result["compiler"] == "" or os.path.isfile(result["compiler"])
    assert result["variables"]["MNISTDIFF_SEED"] == "7"
    assert result["data"] == "not in nowhere/MNIST/raw"
    assert result["sampling_seconds"].keys() == {"onnx", "torch"}
    assert result["problems"] == []
    assert all(0 < seconds < 60 for seconds in result["sampling_seconds"].values())


def test_a_table_says_the_same_and_a_damaged_file_is_named(invoke, tmp_path):
    (tmp_path / "train-images-idx3-ubyte").write_bytes(b"not it")
    done = invoke("doctor", "--data-dir", tmp_path)
    assert (done.returncode, done.stderr) == (0, b"")
    rows = dict(line.split("\t") for line in done.stdout.decode().splitlines())
    assert rows["version"] == __version__
    assert "train-images-idx3-ubyte" in rows["data"]
    assert rows["one image by onnx"].endswith(" s")


def test_the_real_data_are_found(invoke, real_data_dir):
    result = json.loads(invoke("doctor", "--data-dir", real_data_dir, "--json").stdout)
    assert result["data"].startswith("60,000 images in ")
