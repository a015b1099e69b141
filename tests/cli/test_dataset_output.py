"""``sample --format``, ``--seeds``, ``--balance``: labelled sets, and the images they hold."""

import csv
import json

import numpy as np
import pytest
from PIL import Image
from warned import beside_the_warning

from mnistdiff.engine.data.datasets import MNIST
from mnistdiff.engine.data.stratified import stratified_labels

QUICK = ["--steps", 1, "-q"]


def torchvision_reader():
    """Imported when it is needed, since that takes seconds."""
    from torchvision.datasets import MNIST

    return MNIST


def drawn_alone(invoke, tmp_path, tiny_run, digit, seed):
    invoke("sample", "-c", tiny_run, "-d", digit, "--seed", seed, *QUICK, "-o", "alone.png", "--force")
    return np.asarray(Image.open(tmp_path / "alone.png")).astype(int)


@pytest.mark.parametrize("kind", ["npz", "csv", "idx"])
def test_a_set_holds_the_images_that_are_sampled_alone(invoke, tiny_run, tmp_path, kind):
    output = f"deep/set.{kind}" if kind != "idx" else "deep/set"
    line = ["sample", "-c", tiny_run, "--format", kind, "-d", "3,8", "-n", 70, "--seed", 5, "-o", output, *QUICK]
    done = invoke(*line)
    assert (done.returncode, done.stdout, beside_the_warning(done.stderr)) == (0, f"{output}\n".encode(), b"")
    if kind == "npz":
        with np.load(tmp_path / output) as content:
            images, labels, seeds = content["images"], content["labels"], content["seeds"]
        assert (images.dtype, labels.dtype, seeds.dtype) == (np.uint8, np.uint8, np.uint32)
        assert seeds.tolist() == [*range(5, 75)] * 2
    elif kind == "csv":
        with open(tmp_path / output, newline="") as file:
            head, *rows = csv.reader(file)
        assert head == ["label", *(f"pixel{place}" for place in range(784)), "seed"]
        values = np.array(rows, dtype=int)
        images, labels = values[:, 1:-1].reshape(-1, 28, 28), values[:, 0]
        assert values[:, -1].tolist() == [*range(5, 75)] * 2
    else:
        read = torchvision_reader()
        parts = [read(tmp_path / output, train=train) for train in (True, False)]
        assert [len(part) for part in parts] == [120, 20]
        images = np.insert(parts[0].data.numpy(), np.arange(6, 121, 6), parts[1].data.numpy(), axis=0)
        labels = np.insert(parts[0].targets.numpy(), np.arange(6, 121, 6), parts[1].targets.numpy())
    assert images.shape == (140, 28, 28)
    assert np.asarray(labels).tolist() == [3] * 70 + [8] * 70
    for place, (digit, seed) in {0: (3, 5), 69: (3, 74), 70: (8, 5), 139: (8, 74)}.items():
        assert np.abs(images[place] - drawn_alone(invoke, tmp_path, tiny_run, digit, seed)).max() <= 1

    content = {path: path.read_bytes() for path in (tmp_path / "deep").rglob("*") if path.is_file()}
    assert invoke(*line).returncode == 2
    assert invoke(*line, "--force").returncode == 0
    assert {path: path.read_bytes() for path in (tmp_path / "deep").rglob("*") if path.is_file()} == content


def test_a_set_can_be_as_unbalanced_as_mnist(invoke, tiny_run, tmp_path):
    line = ["sample", "-c", tiny_run, "--format", "npz", "--balance", "mnist", "-n", 100, "--seed", 0, "--json", *QUICK]
    done = invoke(*line)
    result = json.loads(done.stdout)
    assert result == result | {"path": "drawn.npz", "format": "npz", "images": 100, "seed": 0}
    with np.load(tmp_path / "drawn.npz") as content:
        labels, seeds = content["labels"], content["seeds"]
    assert labels.tolist() == stratified_labels(100, MNIST.class_counts).tolist()
    counts = np.bincount(labels)
    assert (counts[1], counts[5], counts.sum()) == (11, 9, 100)
    assert seeds.tolist() == [*range(100)]


def test_the_counts_are_those_of_mnist(real_data_dir):
    from mnistdiff.engine.data.load import load_training_images
    from mnistdiff.settings import TrainSettings

    assert (
        tuple(np.bincount(load_training_images(TrainSettings(dataset="mnist"), data_dir=real_data_dir).labels))
        == MNIST.class_counts
    )


def test_seeds_name_each_image(invoke, tiny_run):
    names = invoke("sample", "-c", tiny_run, "-d", "1,7", "--seeds", "4-5,9", *QUICK).stdout.decode().split()
    assert names == [f"inference_samples/digit_{digit}_{seed}.png" for digit in (1, 7) for seed in (4, 5, 9)]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("--seeds 5-3", "'5-3'"),
        ("--seeds x", "'x'"),
        ("--seeds 4294967296", "'4294967296'"),
        ("--seeds 0-4294967295", "more than 1,000,000 seeds"),
        ("--seeds 1-2 --seed 3", "--seeds"),
        ("--seeds 1-2 -n 3", "--seeds"),
        ("--digits 12 --seeds 1", "--digits and --seeds"),
        ("--digits 12 --balance mnist", "--digits and --balance mnist"),
        ("--format npz -o set.csv", ".npz"),
        ("--format csv -o mine.csv", "mine.csv is already there"),
        ("--format npz --gif a.gif", "--gif"),
        ("--format npz --show", "--show"),
        ("--format xml", "'xml'"),
        ("--format csv -o -", ".csv"),
    ],
)
def test_what_contradicts_itself_is_refused_before_it_is_sampled(invoke, tiny_run, tmp_path, line, expected):
    (tmp_path / "mine.csv").write_text("mine")
    done = invoke("sample", "-c", tiny_run, *line.split(), "--steps", 1, "-q")
    assert (done.returncode, done.stdout) == (2, b"")
    assert expected in done.stderr.decode()
    assert [path.name for path in tmp_path.iterdir()] == ["mine.csv"]


@pytest.mark.parametrize("count", [2, 3, 6, 7, 8])
def test_however_few_images_both_halves_can_be_read(invoke, tiny_run, tmp_path, count):
    line = ["sample", "-c", tiny_run, "--format", "idx", "-d", 3, "-n", count, "--seed", 0, "-o", "set", *QUICK]
    assert invoke(*line).returncode == 0
    read = torchvision_reader()
    train, test = (read(tmp_path / "set", train=train) for train in (True, False))
    assert (len(train), len(test)) == (count - 1, 1)
    for part in (train, test):
        assert [(picture.size, label) for picture, label in part] == [((28, 28), 3)] * len(part)


@pytest.mark.parametrize("kind", ["npz", "csv"])
def test_a_set_of_one_image(invoke, tiny_run, kind):
    assert invoke("sample", "-c", tiny_run, "--format", kind, "-d", 3, *QUICK).returncode == 0


def test_two_halves_need_two_images(invoke, tiny_run, tmp_path):
    done = invoke("sample", "-c", tiny_run, "--format", "idx", "-d", 3, "-o", "set", *QUICK)
    assert (done.returncode, done.stdout) == (2, b"")
    assert "at least 2 images, not 1" in done.stderr.decode()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["train-images-idx3-ubyte.gz", "t10k-labels.idx1-ubyte", "train-labels-idx1-ubyte"])
def test_a_set_is_not_put_beside_a_file_that_readers_take_for_its_own(invoke, tiny_run, tmp_path, name):
    raw = tmp_path / "set" / "MNIST" / "raw"
    raw.mkdir(parents=True)
    line = ["sample", "-c", tiny_run, "--format", "idx", "-d", 3, "-n", 2, "-o", "set", *QUICK]
    (raw / name).write_text("mine")
    done = invoke(*line)
    assert done.returncode == 2
    assert f"set/MNIST/raw/{name} is already there" in done.stderr.decode()
    (raw / name).rename(raw / "mine.txt")
    assert invoke(*line).returncode == 0  # empty folders, and other files, are in nobody's way


def test_a_set_that_was_not_finished_is_not_there(invoke, tiny_run, tmp_path, monkeypatch):
    from mnistdiff.engine.inference import parallel

    def torn(*arguments, **options):
        yield from list(sample(*arguments, **options))[:-1]
        raise OSError(28, "No space left on device")

    sample = parallel.sample
    monkeypatch.setattr(parallel, "sample", torn)
    for kind in ("npz", "csv", "idx"):
        done = invoke("sample", "-c", tiny_run, "--format", kind, "-n", 20, "-o", f"set.{kind}", *QUICK)
        assert (done.returncode, done.stdout) == (5, b"")
    assert list(tmp_path.rglob("*")) == []
