"""Numbers, films, and digits in the terminal, through the real program."""

import io
import json

import numpy as np
import pytest
from PIL import Image
from tiles import places

QUICK = ["--steps", 3, "--seed", 1, "-q"]


def test_a_number_is_a_strip_and_its_digits_are_those_sampled_alone(invoke, tmp_path):
    done = invoke("sample", "--digits", "2026", "-o", "year.png", *QUICK)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"year.png\n", b"")
    strip = np.asarray(Image.open(tmp_path / "year.png")).astype(int)
    assert 56 < strip.shape[0] < 2 * 56
    left = -1
    for place, digit in enumerate("2026"):
        line = ["sample", "-d", digit, "--steps", 3, "--seed", 1 + place, "-o", "-", "-q"]
        alone = np.asarray(Image.open(io.BytesIO(invoke(*line).stdout))).astype(int)
        [(_, found)] = places(strip, alone)
        assert found > left
        left = found
    assert invoke("reproduce", "year.png", "-o", "-").stdout == (tmp_path / "year.png").read_bytes()


def test_a_number_into_a_folder_is_a_file_a_digit(invoke):
    names = invoke("sample", "--digits", "707", "-n", 2, "-o", "here/", *QUICK).stdout.decode().split()
    assert names == [f"here/digit_{digit}_{seed}.png" for seed, digit in enumerate("707707", start=1)]


def test_animations_are_named_after_the_images_and_a_pipe_gets_the_png_alone(invoke, tmp_path):
    films = ["--gif", "born.gif", "--film", "film.png"]
    done = invoke("sample", "-d", "3,8", "-o", "digits.png", *films, *QUICK)
    assert (done.returncode, done.stdout) == (0, b"digits.png\nborn.gif\nfilm.png\n")
    with Image.open(tmp_path / "born.gif") as film:
        assert film.n_frames == 4
    done = invoke("sample", "-d", 3, "-o", "-", "--gif", "born.png", "--view", "x_0", *QUICK)
    assert done.stdout.startswith(b"\x89PNG")
    assert done.stdout.endswith(b"IEND\xaeB`\x82")
    done = invoke("sample", "-d", 3, "--gif", "again.gif", "--json", *QUICK)
    assert [json.loads(line)["path"] for line in done.stdout.splitlines()] == [
        "inference_samples/digit_3_1.png",
        "again.gif",
    ]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("--digits seven", "'seven' is not a number"),
        ("--digits ٣", "'٣' is not a number"),
        ("--digits -5", "'-5' is not a number"),
        ("--gif born.mp4", ".gif or .png"),
        ("--film born.gif", ".png"),
        ("--gif mine.png", "mine.png is already there"),
        ("--gif a.png --film a.png", "a.png"),
        ("--gif a.png -o a.png", "a.png"),
        ("--gif a.gif -n 7", "70 images"),
        ("--gif a.gif --view x_9", "x_9"),
    ],
)
def test_what_cannot_be_animated_is_refused_before_it_is_sampled(invoke, tmp_path, line, expected):
    (tmp_path / "mine.png").write_text("mine")
    done = invoke("sample", *line.split(), *QUICK)
    assert (done.returncode, done.stdout) == (2, b"")
    assert expected in done.stderr.decode()
    assert [path.name for path in tmp_path.iterdir()] == ["mine.png"]


def test_digits_are_shown_on_stderr_as_letters_where_there_is_no_colour(invoke):
    done = invoke("sample", "-d", 1, "--show", "--seed", 1, "-q")
    assert done.stdout == b"inference_samples/digit_1_1.png\n"
    shown = done.stderr.decode().splitlines()
    assert len(shown) == 14
    assert {letter for line in shown for letter in line} <= set(" .:-=+*#%@")
    assert sum(letter in "#%@" for line in shown for letter in line) > 10
    assert max(map(len, shown)) <= 29
