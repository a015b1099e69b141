"""``mnistdiff edit``, ``mnistdiff inpaint`` and ``mnistdiff classify``."""

import json

import numpy as np
import pytest
from PIL import Image

from mnistdiff.engine.data.image_files import Picture
from mnistdiff.engine.outputs.provenance import Provenance

QUICK = ["--steps", 3, "--seed", 5]


def pixels(path):
    return np.asarray(Image.open(path))


def guidance_of(path):
    return Provenance.of(Picture.read(path)).settings.guidance


@pytest.fixture
def nine(invoke, tmp_path):
    assert invoke("sample", "-d", 9, "--seed", 3, "-o", "nine.png", "-q").returncode == 0
    return tmp_path / "nine.png"


def test_a_photograph_becomes_another_digit_in_the_same_style(invoke, cli, nine, tmp_path):
    """Dark ink on grey paper: a sheet, the same again by reproduce, and one image through pipes."""
    large = Image.open(nine).resize((280, 280), Image.Resampling.BICUBIC)
    Image.fromarray((200 - np.asarray(large) * 0.6).astype(np.uint8)).convert("RGB").save(tmp_path / "photo.jpg")
    done = invoke("edit", "photo.jpg", "-d", "4,9", "-n", "2", "-o", "sheet.png", "--seed", "1")
    assert (done.returncode, done.stdout) == (0, b"sheet.png\n")
    assert b"--seed 1" in done.stderr
    assert json.loads(invoke("reproduce", "sheet.png", "--json").stdout)["identical"]
    assert json.loads(invoke("classify", "photo.jpg", "--evaluations", "16", "--json").stdout)["digit"] == 9

    done = invoke("edit", "photo.jpg", "-d", "4", "-o", "-", "--seed", "1")
    read = cli("classify", "-", "--evaluations", "16", "--json", input=done.stdout)
    result = json.loads(read.stdout)
    assert (result["path"], result["digit"], len(result["probabilities"])) == ("stdin", 4, 10)


@pytest.mark.parametrize("command", ["edit", "inpaint"])
def test_images_go_where_sample_puts_them(invoke, nine, tmp_path, command):
    line = [command, nine, "-d", "3,8", "-n", 2, *QUICK, *(["--mask", "left"] if command == "inpaint" else [])]
    done = invoke(*line, "-o", "folder/", "--json", "--gif", "way.gif", "--film", "way.png")
    result = [json.loads(part) for part in done.stdout.splitlines()]
    assert (done.returncode, done.stderr) == (0, b"")
    names = ["digit_3_5", "digit_3_6", "digit_8_5", "digit_8_6"]
    assert [one["path"] for one in result] == [*(f"folder/{name}.png" for name in names), "way.gif", "way.png"]
    one = invoke(*line[:3], 8, *line[4:5], 1, "--steps", 3, "--seed", 6, *line[10:], "-o", "alone.png", "-q")
    assert (one.returncode, one.stdout) == (0, b"alone.png\n")
    assert np.array_equal(pixels(tmp_path / "alone.png"), pixels(tmp_path / "folder/digit_8_6.png"))
    with Image.open(tmp_path / "way.gif") as film:
        assert film.n_frames >= 3


def test_the_default_edit_follows_its_label_harder_than_sample_does(invoke, nine, tmp_path):
    invoke("edit", nine, "-d", 4, *QUICK, "-o", "a.png")
    assert guidance_of(tmp_path / "a.png") == 2
    invoke("edit", nine, "-d", 4, *QUICK, "-g", 1.25, "-o", "b.png")
    assert guidance_of(tmp_path / "b.png") == 1.25


def test_a_mask_is_a_side_or_an_image(invoke, nine, tmp_path):
    mask = np.zeros((28, 28), np.uint8)
    mask[:14] = 255
    Image.fromarray(mask).resize((280, 280), Image.Resampling.NEAREST).save(tmp_path / "mask.png")
    for name in ("top", "mask.png"):
        assert invoke("inpaint", nine, "--mask", name, "-d", 5, *QUICK, "-o", f"by_{name}.png").returncode == 0
    by_side, by_picture = pixels(tmp_path / "by_top.png"), pixels(tmp_path / "by_mask.png.png")
    assert np.array_equal(by_side, by_picture)
    assert np.array_equal(by_side[14:], pixels(nine)[14:])
    assert not np.array_equal(by_side[:14], pixels(nine)[:14])


@pytest.mark.parametrize(
    ("line", "code", "expected"),
    [
        ("edit blank.png", 2, "blank.png shows no digit"),
        ("edit missing.png", 5, "missing.png: No such file"),
        ("edit text.png", 5, "text.png is not a PNG, JPEG"),
        ("edit nine.png --strength 0", 2, "'0'"),
        ("edit nine.png --strength 1.1", 2, "'1.1'"),
        ("edit nine.png -o nine.png", 2, "nine.png is already there"),
        ("edit nine.png --steps 900", 2, "--steps 900"),
        ("edit -", 5, "stdin is not a PNG, JPEG"),
        ("inpaint nine.png", 2, "--mask"),
        ("inpaint nine.png --mask centre", 5, "centre: No such file"),
        ("inpaint nine.png --mask blank.png", 2, "marks nothing as missing"),
        ("inpaint nine.png --mask left --rounds 0", 2, "'0'"),
        ("inpaint nine.png --mask left --sampler ddim", 2, "--sampler"),
        ("classify", 2, "IMAGE"),
        ("classify blank.png", 2, "blank.png shows no digit"),
        ("classify nine.png text.png", 5, "text.png"),
        ("classify nine.png --evaluations 400", 2, "--evaluations 400 is more than the 374"),
        ("classify nine.png --steps 3", 2, "--steps"),
    ],
)
def test_what_cannot_be_is_one_sentence(invoke, nine, tmp_path, monkeypatch, line, code, expected):
    Image.new("L", (60, 60), 90 if "mask" not in line else 0).save(tmp_path / "blank.png")
    (tmp_path / "text.png").write_text("I am a picture")
    before = sorted(path.name for path in tmp_path.iterdir())
    with open(tmp_path / "text.png", "rb") as stdin:
        monkeypatch.setattr("sys.stdin", type("Stdin", (), {"buffer": stdin, "isatty": lambda self: False})())
        done = invoke(*line.split(), "-q")
    assert (done.returncode, done.stdout) == (code, b"")
    assert expected in done.stderr.decode()
    assert "Traceback" not in done.stderr.decode()
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_each_image_is_read_on_a_line_of_its_own(invoke, nine, tmp_path):
    invoke("sample", "-d", 4, "--seed", 1, "-o", "four.png", "-q")
    done = invoke("classify", "nine.png", "four.png", "--evaluations", 16, "-q")
    assert (done.returncode, done.stderr) == (0, b"")
    lines = [line.split("\t") for line in done.stdout.decode().splitlines()]
    assert [line[:2] for line in lines] == [["nine.png", "9"], ["four.png", "4"]]
    assert all(line[2].endswith("%") for line in lines)
    shown = invoke("classify", "four.png", "--evaluations", 1, "--show")
    assert shown.stdout.startswith(b"four.png\t")
    assert b"@" in shown.stderr
