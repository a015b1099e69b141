"""``train --dataset PATH``: every error that a set of pictures can give, and the life of a model of pictures."""

import errno
import json
import os

import numpy as np
import pytest
from picture_sets import blobs, write_csv, write_folder, write_idx, write_npz
from PIL import Image

import mnistdiff
from mnistdiff.engine.checkpoint.file import read_checkpoint
from mnistdiff.engine.data import mnist_5k
from mnistdiff.engine.data.image_files import Picture
from mnistdiff.engine.outputs.dataset_writers import WRITERS
from mnistdiff.engine.runs.run_dir import RunDir
from mnistdiff.errors import SettingsError

IMAGES, LABELS = blobs(count=10, classes=3)
NETWORK = """
preset = "tiny"
patch_size = 4
channels = [8]
embedding = 16
timesteps = 10
batch_size = 8
checkpoint_every = 0
sample_every = 0
"""


@pytest.fixture(autouse=True)
def cached(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "net.toml").write_text(NETWORK)
    return tmp_path / "cache" / "mnistdiff" / "pictures"


@pytest.fixture
def folder(tmp_path):
    return write_folder(tmp_path / "set", IMAGES, LABELS, names=("cat", "dog", "きの"))


@pytest.fixture
def train(invoke):
    def run(*words, code=0):
        done = invoke("train", "--config", "net.toml", "--max-steps", 3, "--run-dir", "run", *words)
        assert done.returncode == code, done.stderr.decode()
        return done.stderr.decode()

    return run


def tensors(folder):
    return {name: array.tobytes() for name, array in read_checkpoint(RunDir(folder).latest).tensors.items()}


def many(path):
    for number in range(256):
        (path / f"{number:03}").mkdir()


def clash(path):
    for name in ("e\u0301", "\u00e9"):
        write_folder(path, IMAGES[:2], LABELS[:2], names=(name,))


def broken(path):
    write_folder(path, IMAGES, LABELS)
    for number in range(5):
        (path / "b" / f"bad{number}.png").write_bytes(b"no picture" * number)
    os.symlink("loop.png", path / "a" / "loop.png")
    os.symlink("..", path / "c" / "up", target_is_directory=True)


# What is wrong with a folder: how it is made, and what the message names.
FAULTS = {
    "nothing there": (lambda path: path.rmdir(), ["mine"]),
    "empty": (lambda path: None, ["mine", "no pictures"]),
    "no pictures": (lambda path: (path / "notes.txt").write_text("x"), ["mine", "no pictures"]),
    "folders without pictures": (lambda path: (path / "a").mkdir(), ["mine", "no pictures"]),
    "an empty class": (lambda path: (write_folder(path, IMAGES, LABELS), (path / "zebra").mkdir()), ["zebra"]),
    "one picture": (lambda path: Image.fromarray(IMAGES[0]).save(path / "x.png"), ["one picture"]),
    "one picture a class": (lambda path: write_folder(path, IMAGES[::10], LABELS[::10]), ["one picture of each"]),
    "too many classes": (many, ["256", "255"]),
    "two names for one": (clash, ["\u00e9", "Rename"]),
    "a line break in a name": (lambda path: write_folder(path, IMAGES, LABELS, names=("a\nb", "c", "d")), ["a\\nb"]),
    "folders of splits": (
        lambda path: [write_folder(path / part, IMAGES, LABELS) for part in ("train", "test")],
        ["test and train", "Give"],
    ),
    "unreadable files": (broken, ["7 of 37", "loop.png", "and 4 more", "--skip-bad"]),
    "all unreadable": (lambda path: (path / "x.png").write_bytes(b""), ["1 of 1", "x.png"]),
    "two files of images": (
        lambda path: [write_idx(path, IMAGES, LABELS, stem) for stem in ("a-", "b-")],
        ["a-images-idx3-ubyte", "b-images-idx3-ubyte"],
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_wrong_with_a_folder_is_said(train, tmp_path, fault):
    make, named = FAULTS[fault]
    (tmp_path / "mine").mkdir()
    make(tmp_path / "mine")
    said = train("--dataset", f"{tmp_path / 'mine'}/", code=4)
    assert all(each in said for each in named), said
    assert "Traceback" not in said
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["x.zip", "x.png", "x.txt", "pipe.csv", "alone-images-idx3-ubyte"])
def test_a_file_of_another_kind_is_refused(train, tmp_path, name):
    if name == "pipe.csv":
        if not hasattr(os, "mkfifo"):
            pytest.skip("there are no named pipes")
        os.mkfifo(tmp_path / name)
    else:
        (tmp_path / name).write_bytes(b"PK\3\4")
    assert name in train("--dataset", f"./{name}", code=4)


def test_a_folder_that_may_not_be_read_is_an_error_of_the_file_system(train, folder, monkeypatch):
    names = os.listdir

    def refuse(path):
        if os.fspath(path).endswith("dog"):
            raise PermissionError(errno.EACCES, "Permission denied", os.fspath(path))
        return names(path)

    monkeypatch.setattr(os, "listdir", refuse)
    assert "dog" in train("--dataset", folder, code=5)


def test_too_large_a_set_is_refused_before_it_is_read(train, folder, monkeypatch):
    from mnistdiff.engine.data.pictures import bounds

    monkeypatch.setattr(bounds, "MAX_BYTES", 20_000)
    said = train("--dataset", folder, code=4)
    assert "GB" in said
    assert "--image-size" in said


def test_bad_pictures_are_left_out_on_request(train, tmp_path, invoke):
    (tmp_path / "mine").mkdir()
    broken(tmp_path / "mine")
    said = train("--dataset", "mine/", "--skip-bad")
    assert "7 of 37" in said
    record = json.loads(invoke("inspect", "run", "--json").stdout)["settings"]["pictures"]
    assert record["class_counts"] == [10, 10, 10]


def test_one_picture_of_some_class_is_warned_of(train, tmp_path):
    write_folder(tmp_path / "mine", IMAGES[:21], LABELS[:21])
    assert "one picture only of c" in train("--dataset", "mine/")


@pytest.mark.parametrize("words", ["--fit crop", "--invert no", "--image-size 32", "--skip-bad"])
def test_settings_of_pictures_are_refused_beside_other_data_sets(train, words, folder, invoke, tmp_path):
    assert words.split()[0] in train("--dataset", "mnist-5k", *words.split(), code=2)
    train("--dataset", folder)
    settings = tmp_path / "run" / "settings.json"
    assert invoke("train", "--config", settings, "--dry-run").returncode == 0
    done = invoke("train", "--config", settings, "--dry-run", *words.split())
    assert done.returncode == 2  # these pictures are prepared


def test_sources_of_settings_have_the_usual_precedence(invoke, folder, tmp_path, monkeypatch):
    (tmp_path / "mine.toml").write_text('dataset = "set/"\nfit = "crop"\nimage_size = 64\nskip_bad = true\n')
    monkeypatch.setenv("MNISTDIFF_DATA_DIR", "elsewhere")  # for the data sets that have names
    monkeypatch.setenv("MNISTDIFF_IMAGE_SIZE", "32")

    def found(*words):
        done = invoke("train", "--config", "mine.toml", "--dry-run", "--json", *words)
        assert done.returncode == 0, done.stderr
        return {name: (each["value"], each["origin"]) for name, each in json.loads(done.stdout).items()}

    settings = found("--fit", "pad")
    assert settings["dataset"] == ("pictures", "mine.toml")
    assert settings["data_dir"] == ("set", "mine.toml")
    assert settings["fit"] == ("pad", "command line")
    assert settings["image_size"] == (32, "MNISTDIFF_IMAGE_SIZE")
    assert settings["skip_bad"] == (True, "mine.toml")
    assert settings["invert"] == ("auto", "default")
    assert found("--data-dir", "moved")["data_dir"] == ("moved", "command line")
    named = found("--dataset", "mnist")
    assert named["data_dir"] == ("elsewhere", "MNISTDIFF_DATA_DIR")
    assert "fit" not in named


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ("--dataset cifar", "mnist-5k"),
        ("--dataset set/ --data-dir x", "--data-dir"),
        ("--dataset set/ --fit mnist --invert yes", "--invert"),
        ("--dataset set/ --image-size 48", "48"),
        ("--dataset pictures", "--dataset"),
    ],
)
def test_usage_errors_name_the_option(train, folder, words, named):
    assert named in train(*words.split(), code=2)


def test_a_network_that_does_not_fit_the_size_is_refused(invoke, folder, tmp_path):
    (tmp_path / "deep.toml").write_text('channels = [8, 8, 8]\npatch_size = 4\ndataset = "set/"\n')
    done = invoke("train", "--config", "deep.toml", "--run-dir", "run")
    assert done.returncode == 2
    assert b"28" in done.stderr
    assert invoke("train", "--config", "deep.toml", "--image-size", 32, "--dry-run").returncode == 0


def test_the_same_images_as_a_folder_train_to_the_same_bits(train, tmp_path, monkeypatch, tiny_toml):
    data = mnist_5k.load_mnist_5k("train")[np.arange(0, 5000, 50)]
    monkeypatch.setattr(mnist_5k, "load_mnist_5k", lambda split: data)
    train("--dataset", "mnist-5k")
    expected = tensors(tmp_path / "run")
    write_folder(tmp_path / "mine", data.images, data.labels, names="0123456789")
    write_csv(tmp_path / "mine.csv", data.images, data.labels)
    for path in ("mine/", "mine.csv"):
        train("--dataset", path, "--force")
        assert tensors(tmp_path / "run") == expected


def test_a_run_resumes_without_a_path_and_refuses_other_pictures(train, folder, invoke, tmp_path, monkeypatch, cached):
    train("--dataset", folder, "--max-steps", 9)
    expected = tensors(tmp_path / "run")
    train("--dataset", folder, "--max-steps", 4, "--force")
    monkeypatch.setenv("MNISTDIFF_DATA_DIR", "elsewhere")
    assert invoke("resume", "run", "--max-steps", 5).returncode == 0

    write_npz(tmp_path / "other.npz", *blobs(count=10, classes=3, seed=1))
    record = json.loads(invoke("inspect", "run", "--json").stdout)["settings"]["pictures"]
    refused = invoke("resume", "run", "--max-steps", 9, "--data-dir", "other.npz")
    assert refused.returncode == 4
    assert record["digest"][:12] in refused.stderr.decode()
    assert record["class_names"] == ["cat", "dog", "きの"]

    for path in cached.iterdir():
        path.unlink()
    lost = invoke("resume", "run", "--max-steps", 9)
    assert (lost.returncode, b"--data-dir" in lost.stderr) == (4, True)
    assert invoke("resume", "run", "--max-steps", 9, "--data-dir", folder).returncode == 0
    assert tensors(tmp_path / "run") == expected


def test_a_changed_folder_is_another_set(train, folder, invoke, tmp_path):
    train("--dataset", folder)
    [path, *_] = sorted((folder / "dog").glob("*.png"))
    path.unlink()
    assert invoke("resume", "run", "--max-steps", 5).returncode == 0  # the images of its start, from the cache
    assert invoke("resume", "run", "--max-steps", 6, "--data-dir", folder).returncode == 4


def test_larger_images_are_written_in_every_format(train, folder, invoke, tmp_path):
    size = 64
    said = train("--dataset", folder, "--image-size", size)
    assert f"{size}x{size}" in said
    assert "MB of memory" in said

    def run(*words):
        done = invoke(*words)
        assert done.returncode == 0, (words, done.stderr)
        return done

    picture = folder / "cat" / "00000.png"
    run("sample", "-c", "run", "--class", "dog", "--seed", 1, "-o", "dog.png", "--gif", "dog.gif")
    assert Picture.read(tmp_path / "dog.png").shape() == (size, size)
    run("grid", "run", "-n", 2, "-o", "grid.png")
    assert Picture.read(tmp_path / "grid.png").shape()[0] > 3 * 2 * size
    run("interpolate", "--from", "cat", "--to", "dog", "--frames", 2, "-c", "run", "-o", "between.png")
    run("edit", picture, "-c", "run", "--class", "dog", "-o", "edited.png")
    run("inpaint", picture, "--mask", "top", "-c", "run", "--class", "dog", "-o", "painted.png")
    for name in ("dog.png", "edited.png", "painted.png"):
        assert json.loads(run("reproduce", name, "-c", "run", "--json").stdout)["identical"]
        (tmp_path / "reproduced.png").unlink()
    assert len(json.loads(run("classify", picture, "-c", "run", "--json", "--show").stdout)["probabilities"]) == 3
    for kind in WRITERS:
        run("sample", "-c", "run", "-n", 3, "--seed", 5, "--format", kind, "-o", f"x.{kind}")
        train("--dataset", f"x.{kind}/" if kind == "idx" else f"x.{kind}", "--image-size", size, "--run-dir", kind)
    records = [json.loads(run("inspect", kind, "--json").stdout)["settings"]["pictures"] for kind in WRITERS]
    assert records[0]["digest"] == records[2]["digest"]
    assert all(record["class_names"] == ["cat", "dog", "きの"] for record in records)


def test_a_model_of_one_class(train, folder, invoke, tmp_path):
    train("--dataset", folder / "cat")
    assert invoke("sample", "-c", "run", "-n", 2, "--seed", 1, "-o", "cats.png").returncode == 0
    assert invoke("sample", "-c", "run", "--class", "dog").returncode == 2
    assert json.loads(invoke("inspect", "run", "--json").stdout)["settings"]["pictures"]["class_names"] == ["cat"]


def test_a_model_of_pictures_is_a_start_and_a_teacher(train, folder, invoke, tmp_path):
    train("--dataset", folder, "--image-size", 32)
    done = invoke("train", "--from", "run", "--config", "net.toml", "--max-steps", 2, "--run-dir", "next")
    assert done.returncode == 0, done.stderr
    done = invoke("distill", "run", "--max-steps", 2, "--batch-size", 8, "--teacher-steps", 4, "--run-dir", "student")
    assert done.returncode == 0, done.stderr
    for name in ("run", "next", "student"):
        described = json.loads(invoke("inspect", name, "--json").stdout)["settings"]
        assert (described["dataset"], described["pictures"]["image_size"]) == ("pictures", 32)
        assert invoke("sample", "-c", name, "--class", "dog", "-o", f"{name}.png").returncode == 0


def test_the_python_api_trains_on_a_folder(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    how = {"config": "net.toml", "max_steps": 2, "device": "cpu"}
    for number, dataset in enumerate((folder, str(folder))):
        events = mnistdiff.train(dataset=dataset, fit="crop", image_size=32, run_dir=f"run{number}", **how)
        *_, finished = events
        assert finished.settings.pictures.image_size == 32
    with pytest.raises(SettingsError, match="fit"):
        mnistdiff.train(dataset="mnist", fit="crop", **how)
    assert len(mnistdiff.load("run0").sample(1).array[0]) == 32


def test_a_launcher_that_restarts_the_command_goes_on_with_the_run(train, folder, tmp_path, monkeypatch):
    """As torchrun does it, for one process."""
    train("--dataset", folder)
    expected = tensors(tmp_path / "run")
    monkeypatch.chdir(tmp_path)
    how = {"config": "net.toml", "max_steps": 3, "device": "cpu", "run_dir": "broken", "save_every": 1}
    for event in mnistdiff.train(dataset=folder, **how):
        if getattr(event, "step", 0) == 2:
            break
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")
    train("--dataset", folder, "--save-every", 1, "--run-dir", "broken")
    assert tensors(tmp_path / "broken") == expected
    said = train("--dataset", folder / "cat", "--save-every", 1, "--run-dir", "broken", code=2)  # another training
    assert "broken" in said


def test_two_processes_train_on_pictures(cli, train, folder, tmp_path):
    words = ["--dataset", folder, "--shards", 2]
    train(*words)
    line = ["train", "--config", "net.toml", "--max-steps", 3, *words, "--processes", 2, "--run-dir", "both", "-q"]
    done = cli(*line, cwd=tmp_path, env={"XDG_CACHE_HOME": str(tmp_path / "cache")})
    assert done.returncode == 0, done.stderr.decode()
    assert tensors(tmp_path / "both") == tensors(tmp_path / "run")
