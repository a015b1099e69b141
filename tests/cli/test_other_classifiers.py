"""Models of other data sets are evaluated with classifiers of their own images, and with no others."""

import json
import shutil
from importlib import resources
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from mnistdiff.engine.checkpoint.file import encode_checkpoint, read_checkpoint
from mnistdiff.engine.data.datasets import LabelledImages
from mnistdiff.engine.data.load import load_images
from mnistdiff.engine.evaluation import classifier_data
from mnistdiff.engine.evaluation.classifier_card import kept_classifier
from mnistdiff.engine.evaluation.reference_classifier import read_classifier
from mnistdiff.setting_types import DATASETS

NAMES = ("one", "seven", "zero")
DIGITS = (1, 7, 0)
PER_CLASS = 40
FEW = ["-n", 12, "--steps", 1, "-q"]
BUNDLED = resources.files("mnistdiff").joinpath("assets", "classifier_conv.safetensors")


@pytest.fixture(scope="module")
def here(tiny_toml, forked, tmp_path_factory):
    """A folder of pictures, a model of all of them and one with some held out, two classifiers, and their cache."""
    folder = tmp_path_factory.mktemp("pictures")
    data = load_images(DATASETS["mnist-5k"], "train", data_dir=None)
    for name, digit in zip(NAMES, DIGITS, strict=True):
        (folder / "scans" / name).mkdir(parents=True)
        for number, image in enumerate(data.images[data.labels == digit][:PER_CLASS]):
            Image.fromarray(image).save(folder / "scans" / name / f"{number}.png")
    env = {"XDG_CACHE_HOME": str(folder / "cache")}
    train = ["train", "--config", tiny_toml, "--dataset", "scans/", "--max-steps", 2, "--run-dir"]
    quick = ["train-classifier", "--dataset", "scans/", "--epochs", 2, "--holdout", 0.2, "--json"]
    lines = {"all": [*train, "all"], "held": [*train, "held", "--holdout", 0.2], "classifiers": quick}
    done = {name: forked(*line, cwd=folder, env=env) for name, line in lines.items()}
    assert [each.stderr.decode() for each in done.values() if each.returncode] == []
    made = [json.loads(line) for line in done["classifiers"].stdout.splitlines()]
    return SimpleNamespace(folder=folder, cache=folder / "cache", made=made, scans=folder / "scans")


@pytest.fixture
def run(invoke, here, monkeypatch):
    """Run a line in the folder of the pictures, with their cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(here.cache))
    monkeypatch.chdir(here.folder)
    return invoke


def refused(done, code, *named):
    message = done.stderr.decode()
    assert (done.returncode, done.stdout) == (code, b""), message
    assert [each for each in named if each not in message] == [], message
    assert len([line for line in message.splitlines() if not line.startswith("warning: ")]) <= 2


def test_one_of_each_architecture_is_made_where_evaluate_finds_it(here):
    assert [each["architecture"] for each in here.made] == ["conv", "residual"]
    for made in here.made:
        assert Path(made["path"]).is_relative_to(here.cache)
        assert (made["num_train_images"], made["num_test_images"], made["class_counts"]) == (96, 24, [32] * 3)
        assert {"dataset": "scans", "image_size": 28, "holdout": 0.2}.items() <= made["data"].items()
        assert list(made["fcd_real"]) == ["24"]
    assert len({made["data"]["digest"] for made in here.made}) == 1


def test_a_model_of_pictures_is_evaluated_with_them_and_it_is_said_that_it_has_seen_the_images(run, here):
    done = run("evaluate", "all", *FEW, "--json", "--cas")
    assert done.returncode == 0, done.stderr.decode()
    report = json.loads(done.stdout)
    assert [each["sha256"] for each in report["classifiers"].values()] == [each["sha256"] for each in here.made]
    for metrics in report["classifiers"].values():
        assert np.array(metrics["confusion"]).shape == (3, 3)
        assert (metrics["num_test_images"], metrics["fcd_real"] > 0) == (12, True)
    assert any("trained on all of scans" in notice for notice in report["notices"])
    assert b"trained on all of scans" in done.stderr
    refused(run("evaluate", "all", *FEW, "--memorization"), 4, "--memorization", "scans", "--holdout")


def test_the_table_and_the_report_have_the_names_of_the_classes(run, here, tmp_path):
    rows = {
        line.split("\t")[0]: line.split("\t")[1:] for line in run("evaluate", "all", *FEW).stdout.decode().splitlines()
    }
    assert rows["accuracy %"] == list(NAMES)
    assert rows["  lowest class"][0].split(":")[0] in NAMES
    assert any(f"{name} classified as" in rows["mistakes, conv"][0] for name in NAMES) or rows["mistakes, conv"] == [
        "none"
    ]
    run("evaluate", "all", *FEW, "-o", tmp_path / "e.json")
    assert json.loads((tmp_path / "e.json").read_text())["class_names"] == list(NAMES)
    assert run("report", "all", "--evaluation", tmp_path / "e.json", "-o", tmp_path / "r.html").returncode == 0
    page = (tmp_path / "r.html").read_text()
    assert all(f"<b>{name}</b>" in page for name in NAMES)


def test_a_model_with_a_held_out_share_is_compared_with_that(run, here):
    done = run("evaluate", "held", *FEW, "--json", "--memorization")
    report = json.loads(done.stdout)
    assert not any("trained on all" in notice for notice in report["notices"])
    assert report["memorization"]["test_images"]["num_images"] == 12
    assert report["memorization"]["test_images"]["copies"] == 0
    (here.folder / "memorization_pairs.png").unlink()


def test_without_real_images_the_classifiers_do(run, here, monkeypatch, tmp_path):
    # The classifiers are there, the pictures are not.
    shutil.copytree(here.cache / "mnistdiff" / "classifiers", tmp_path / "mnistdiff" / "classifiers")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    done = run("evaluate", "all", "-n", 24, "--steps", 1, "--json")
    [metrics, _] = json.loads(done.stdout)["classifiers"].values()
    assert metrics["fcd_real"] == here.made[0]["fcd_real"]["24"]
    assert metrics["prdc"] is None
    refused(run("evaluate", "all", *FEW, "--cas"), 4, "--cas", "scans", "--data-dir")
    assert run("evaluate", "all", *FEW, "--cas", "--data-dir", here.scans, "--help").returncode == 0
    done = run("evaluate", "all", *FEW, "--json", "--data-dir", here.scans)
    assert json.loads(done.stdout)["classifiers"]["conv"]["prdc"] is not None


def test_without_classifiers_it_says_how_to_make_some(run, here, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    refused(run("evaluate", "all", *FEW), 2, "scans", "train-classifier --dataset")


def test_classifiers_of_other_images_are_refused_with_both_named(run, here, tiny_run):
    conv = here.made[0]["path"]
    refused(run("evaluate", "all", *FEW, "--classifier", BUNDLED), 4, str(BUNDLED), "MNIST", "scans")
    refused(run("evaluate", tiny_run, *FEW, "--classifier", conv), 4, conv, "MNIST", "scans")
    done = run("evaluate", tiny_run, *FEW, "--classifier", BUNDLED, "--classifier", BUNDLED, "--json")
    assert list(json.loads(done.stdout)["classifiers"]) == ["conv", "conv-2"]
    done = run("evaluate", "all", *FEW, "--classifier", conv, "--json")
    assert list(json.loads(done.stdout)["classifiers"]) == ["conv"]


def test_other_pictures_of_the_same_name_have_other_classifiers(run, here, tmp_path):
    scans = shutil.copytree(here.scans, tmp_path / "scans")
    Image.fromarray(np.full((28, 28), 200, np.uint8)).save(scans / "one" / "0.png")
    line = [
        "train-classifier",
        "--dataset",
        scans,
        "--architecture",
        "conv",
        "--epochs",
        1,
        "-o",
        tmp_path / "c.safetensors",
    ]
    assert run(*line).returncode == 0
    done = run("evaluate", "all", *FEW, "--classifier", tmp_path / "c.safetensors")
    refused(done, 4, "other images of the name scans")


def test_what_is_no_classifier_is_refused(run, here, tmp_path):
    good = Path(here.made[0]["path"]).read_bytes()
    checkpoint = (here.folder / "all" / "diffusion_checkpoint.safetensors").read_bytes()
    contents = {
        "empty": b"",
        "cut": good[:-100],
        "checkpoint": checkpoint,
        "text": b"{}" * 99,
        "huge": bytes(2**25 + 1),
    }
    contents["nan"] = good[:-4] + np.float32("nan").tobytes()
    contents["classes"] = good.replace(b"[32,32,32]", b"[32,32,99,1]".ljust(10))
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
        refused(run("evaluate", "all", *FEW, "--classifier", tmp_path / name), 3, str(tmp_path / name))
    refused(run("evaluate", "all", *FEW, "--classifier", tmp_path), 3, str(tmp_path))
    refused(run("evaluate", "all", *FEW, "--classifier", "nowhere"), 3, "nowhere")


def test_a_classifier_is_replaced_only_by_force(run, here):
    line = ["train-classifier", "--dataset", "scans/", "--epochs", 1, "--architecture", "conv", "-q"]
    before = Path(here.made[0]["path"]).read_bytes()
    refused(run(*line), 2, here.made[0]["path"], "--force")
    assert Path(here.made[0]["path"]).read_bytes() == before
    done = run(*line, "-o", "mine.safetensors")
    assert done.stdout == b"mine.safetensors\n"
    assert read_classifier(here.folder / "mine.safetensors").card.data.holdout == 0.1


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("--dataset mnist", ["MNIST", "-o"]),
        ("--dataset mnist-5k", ["-o"]),
        ("--dataset nowhere", ["nowhere"]),
        ("--dataset mnist --architecture conv -o x --holdout 0.1", ["--holdout", "mnist"]),
        ("--dataset fashion-mnist --fit pad", ["--fit", "fashion-mnist"]),
        ("--dataset fashion-mnist --skip-bad", ["--skip-bad", "fashion-mnist"]),
        ("--dataset scans/ -o x", ["-o", "--architecture"]),
        ("--dataset scans/ --holdout 0", ["--holdout"]),
        ("--dataset scans/ --image-size 29", ["--image-size", "29"]),
    ],
)
def test_a_wrong_line_is_refused(run, line, named):
    refused(run("train-classifier", *line.split(), "-q"), 2, *named)


def test_the_bound_of_a_model_of_pictures(run, here):
    bound = ["--bits-per-dim", "-n", 10, "--evaluations", 2, "--json"]
    done = run("evaluate", "all", *bound)
    assert json.loads(done.stdout)["split"] == "train"
    assert b"scans has no test images" in done.stderr
    refused(run("evaluate", "all", *bound, "--split", "test"), 4, "--split", "scans", "--holdout")
    done = run("evaluate", "held", *bound[:1], "-n", 100, *bound[3:])
    assert (json.loads(done.stdout)["split"], json.loads(done.stdout)["num_images"]) == ("test", 24)
    done = run("evaluate", "held", *bound[:1], "-n", 100, *bound[3:], "--split", "train")
    assert json.loads(done.stdout)["num_images"] == 96


def test_a_data_set_that_has_a_name(invoke, tiny_run, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    read = read_checkpoint(tiny_run / "conditional_diffusion_mnist.safetensors")
    settings = read.metadata.settings.model_copy(update={"dataset": "fashion-mnist"})
    (tmp_path / "model.safetensors").write_bytes(
        encode_checkpoint(read.metadata.model_copy(update={"settings": settings}), read.tensors)
    )
    refused(
        invoke("evaluate", "model.safetensors", *FEW), 2, "Fashion-MNIST", "train-classifier --dataset fashion-mnist"
    )
    images = np.random.default_rng(0).integers(0, 256, (60, 28, 28), np.uint8)
    few = LabelledImages(images, np.arange(60, dtype=np.uint8) % 10)
    monkeypatch.setattr(classifier_data, "load_images", lambda spec, split, *, data_dir: few)
    done = invoke("train-classifier", "--dataset", "fashion-mnist", "--epochs", 1, "--architecture", "conv")
    assert Path(done.stdout.decode().strip()) == kept_classifier(DATASETS["fashion-mnist"], "conv")
    done = invoke("evaluate", "model.safetensors", *FEW, "--data-dir", "none", "--json")
    assert list(json.loads(done.stdout)["classifiers"]) == ["conv"]
    assert not (tmp_path / "none").exists()
