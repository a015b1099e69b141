"""Names of classes: how they are typed, and where they are written."""

import csv
import json
from functools import partial

import numpy as np
import pytest

import mnistdiff
from mnistdiff.cli import app
from mnistdiff.cli.interactive import Session
from mnistdiff.engine.data.class_names import DIGITS, file_stems, find_label
from mnistdiff.engine.data.datasets import DatasetSpec, LabelledImages
from mnistdiff.engine.data.image_files import Picture
from mnistdiff.engine.data.mnist_family import EMNIST_BALANCED, FASHION_MNIST, KMNIST
from mnistdiff.engine.outputs.captions import caption
from mnistdiff.errors import SettingsError
from mnistdiff.setting_types import DATASETS

NAMES = ("sneaker", "A", "a", "ankle-boot", "き", "up/down", "Übergröße")


# What is typed.


@pytest.mark.parametrize(
    ("text", "names", "label"),
    [
        ("sneaker", FASHION_MNIST.class_names, 7),
        ("SNEAKER", FASHION_MNIST.class_names, 7),
        ("Ankle boot", FASHION_MNIST.class_names, 9),
        ("a", EMNIST_BALANCED.class_names, 36),
        ("A", EMNIST_BALANCED.class_names, 10),
        ("c", EMNIST_BALANCED.class_names, 12),  # the lower case is in one class with it
        ("7", EMNIST_BALANCED.class_names, 7),
        ("7", FASHION_MNIST.class_names, 7),
        ("3", ("8", "3"), 1),
        ("u\u0308ber", ("\xfcber",), 0),
    ],
)
def test_a_name_is_found_exactly_then_without_case_then_as_a_number(text, names, label):
    assert find_label(text, names, title="mine") == label


@pytest.mark.parametrize(
    ("text", "names", "words"),
    [
        ("sneeker", FASHION_MNIST.class_names, ["sneeker", "sneaker"]),
        ("DOG", ("Dog", "dog"), ["Dog", "dog"]),
        ("0", ("8", "3"), ["8, 3"]),  # no label where a class is a number
        ("10", DIGITS, ["0 to 9"]),
        ("", FASHION_MNIST.class_names, ["t-shirt"]),
        ("12", FASHION_MNIST.class_names, ["12"]),
    ],
)
def test_what_is_no_class_is_refused_with_the_names_it_may_mean(text, names, words):
    with pytest.raises(ValueError, match="mine") as refused:
        find_label(text, names, title="mine")
    assert [word for word in words if word not in str(refused.value)] == []


def test_romanised_names_are_typed_and_shown_for_kana():
    for label, name in enumerate(("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")):
        assert KMNIST.label_of(name) == KMNIST.label_of(KMNIST.class_names[label]) == label
        assert caption(KMNIST.class_names[label], label) == name


def test_captions_are_characters_that_the_font_has():
    assert [caption(name, 3) for name in ("sneaker", "Übergröße", "кот", "猫", "x" * 99)] == [
        *("sneaker", "Übergröße", "кот", "class 3", f"{'x' * 21}..."),
    ]


# Names of files.


def test_file_names_are_unique_and_safe_on_every_file_system():
    names = ("A", "a", "b/c", "b\\c", "", "..", "CON", "a~0", "x" * 255, "x" * 254, "き" * 255, "tab\there", "t-shirt")
    stems = file_stems(names)
    assert len({stem.casefold() for stem in stems}) == len(names)
    for stem in stems:
        assert not set(stem) & set('<>:"/\\|?*\0\t')
        assert len(f"class_{stem}_4294967295.png".encode()) <= 255
    assert stems[-1] == "t-shirt"


# Where they are written.


@pytest.fixture
def command(tmp_path, monkeypatch, capfd):
    """Run a command line in ``tmp_path``, where the run ``run`` has seven classes: exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(DATASETS, "_names", [*DATASETS._names])
    monkeypatch.setattr(DATASETS, "_entries", dict(DATASETS._entries))
    labels = np.arange(56, dtype=np.uint8) % len(NAMES)
    images = np.zeros((56, 28, 28), np.uint8)
    images[np.arange(56), 4:24, 4 + 3 * labels] = 255
    spec = DatasetSpec(
        *("things", "Things", NAMES, (8,) * len(NAMES)), fit="pad", load=lambda split: LabelledImages(images, labels)
    )
    DATASETS.add("things", spec)

    def run(line):
        capfd.readouterr()
        code = app.run(line.split())
        return code, *capfd.readouterr()

    settings = {"preset": "tiny", "dataset": "things", "batch_size": 16, "timesteps": 10, "channels": [8]}
    lines = (f"{name} = {json.dumps(value)}\n" for name, value in settings.items())
    (tmp_path / "tiny.toml").write_text("".join(lines))
    code, _, err = run("train --config tiny.toml --max-steps 4 --run-dir run --processes 1")
    assert code == 0, err
    assert "sample --class 'Übergröße'" in err
    return run


def test_a_model_of_named_classes_names_them_everywhere(command, tmp_path, monkeypatch):
    sample = "sample --checkpoint run --seed 5 --steps 2 --json"
    code, out, _ = command(f"{sample} --class SNEAKER --class A-ankle-boot,up/down -o out/")
    found = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert [(each["label"], each["class"]) for each in found] == [(k, NAMES[k]) for k in (0, 1, 2, 3, 5)]
    stems = ("sneaker", "A~1", "a~2", "ankle-boot", "up-down~5")
    assert [each["path"] for each in found] == [f"out/class_{stem}_5.png" for stem in stems]
    assert all("digit" not in each for each in found)

    code, out, _ = command("reproduce out/class_sneaker_5.png --json")
    assert code == 0
    assert (json.loads(out)["identical"], json.loads(out)["classes"]) == (True, ["sneaker"])

    assert command(f"{sample} -n 2 -o sheet.png --gif sheet.gif --film film.png")[0] == 0
    for name in ("sheet.png", "film.png", "sheet.gif"):
        code, out, err = command(f"reproduce {name} --json -q -o again-{name}")
        assert (code, json.loads(out or "{}").get("identical")) == (0, True), err
    assert command("grid run -n 2 --steps 2 --class き -o one.png")[0] == 0
    heights = [Picture.read(tmp_path / name).shape()[0] for name in ("one.png", "sheet.png")]
    assert heights[0] < heights[1] / 4
    assert command("grid out/class_sneaker_5.png out/class_A~1_5.png out/class_a~2_5.png -o files.png")[0] == 0
    assert command("interpolate --from sneaker --to き --frames 2 --steps 2 --checkpoint run -o between.png")[0] == 0
    code, out, _ = command("classify out/class_sneaker_5.png --checkpoint run --json")
    assert json.loads(out)["class"] in (None, *NAMES)
    assert json.loads(command("inspect run --json")[1])["class_names"] == [*NAMES]
    assert "sneaker, A, a, ankle-boot" in command("inspect run")[1]
    assert command("report run")[0] == 0

    assert command(f"{sample} -n 2 --format npz -o set.npz")[0] == 0
    with np.load("set.npz") as arrays:
        assert arrays["class_names"].tolist() == [*NAMES]
    assert command(f"{sample} --class up/down --format csv -o set.csv")[0] == 0
    with open("set.csv", newline="", encoding="utf-8") as file:
        assert [(row["label"], row["class"]) for row in csv.DictReader(file)] == [("5", "up/down")]
    assert command(f"{sample} -n 2 --format idx -o set")[0] == 0
    assert (tmp_path / "set/MNIST/raw/classes.txt").read_text("utf-8").splitlines() == [*NAMES]
    assert command(f"{sample} -n 2 --format idx -o set")[0] == 2  # they are there


def test_what_is_no_class_of_the_model_is_an_error_of_usage(command):
    sample = partial("sample --checkpoint run --steps 2 {}".format)
    code, _, err = command(sample("--digit 7"))
    assert (code, "--class" in err, "Things" in err) == (2, True, True)
    code, _, err = command(sample("--class sneekers"))
    assert (code, "sneaker" in err) == (2, True)
    assert command(sample("--class a-A"))[0] == 2  # no class is from the third to the second
    assert command(sample("--class b,sneaker"))[0] == 2
    assert command(sample("--digits 12"))[0] in (0, 2)
    assert command(sample("--class sneaker --digits 12"))[0] == 2
    assert command("interpolate --from 3x --to sneaker --checkpoint run")[0] == 2


def test_the_python_api_takes_names(command):
    model = mnistdiff.load("run")
    by_name, by_label = model.sample(["sneaker", "き"], seed=1, steps=2), model.sample([0, 4], seed=1, steps=2)
    assert np.array_equal(by_name.array, by_label.array)
    assert by_name.classes == ("sneaker", "き")
    assert model.sample("ankle boot", seed=1, steps=2).labels.tolist() == [3]
    assert model.interpolate("a", "A", frames=2, steps=2).ends[0].label == 2
    assert sorted(file.name for file in by_name.save("folder/").iterdir()) == ["class_sneaker_1.png", "class_き_1.png"]
    for wrong in ("sneakr", ["sneaker", "B"], "", 7):
        with pytest.raises(SettingsError, match="labels"):
            model.sample(wrong)


def test_a_session_takes_names(command, tmp_path, capfd):
    session = Session()
    session.do("steps 2")
    session.do("Sneaker, a")
    session.do("again")
    session.do("save")
    assert [file.name.rpartition("_")[0] for file in (tmp_path / "inference_samples").iterdir()] == [
        "class_sneaker-and-1"
    ]
    with pytest.raises(SettingsError, match="sneaker"):
        session.do("sneakr")
