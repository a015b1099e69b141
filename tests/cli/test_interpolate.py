"""``mnistdiff interpolate``, through the real program."""

import json

import numpy as np
import pytest
from PIL import Image
from tiles import places

QUICK = ["--steps", 2, "--seed", 3, "-q"]


@pytest.mark.parametrize(("name", "kind"), [("morph.gif", "GIF"), ("morph.png", "PNG")])
def test_an_interpolation_goes_there_and_back(invoke, tmp_path, name, kind):
    done = invoke("interpolate", "--from", 3, "--to", 8, "--frames", 6, "-o", name, *QUICK)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{name}\n".encode(), b"")
    with Image.open(tmp_path / name) as film:
        assert film.format == kind
        frames = []
        for number in range(film.n_frames):
            film.seek(number)
            frames.append(np.asarray(film.convert("L")))
    assert len(frames) >= 10
    assert np.array_equal(frames[1], frames[-1]) or np.array_equal(frames[0], frames[-1])


def test_a_strip_begins_and_ends_with_what_sample_gives(invoke, tmp_path):
    line = ["--from", 4, "--to", 9, "--to-seed", 8, "--frames", 14, "--film", "strip.png", "--json", *QUICK]
    done = invoke("interpolate", *line)
    result = {"path": "strip.png", "frames": 14, "from": [4, 3], "to": [9, 8]}
    assert (done.returncode, json.loads(done.stdout) | result, done.stderr) == (0, json.loads(done.stdout), b"")
    strip = np.asarray(Image.open(tmp_path / "strip.png")).astype(int)
    for digit, seed in ((4, 3), (9, 8)):
        invoke("sample", "-d", digit, "--seed", seed, "--steps", 2, "-o", "one.png", "-q", "--force")
        assert places(strip, np.asarray(Image.open(tmp_path / "one.png")))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("--from 3", "--to"),
        ("--from 3 --to 10", "'10'"),
        ("--from 3 --to 8 --frames 1", "'1'"),
        ("--from 3 --to 8 -o morph.mp4", ".gif or .png"),
        ("--from 3 --to 8 --film strip.gif", ".png"),
        ("--from 3 --to 8 -o mine.png", "mine.png is already there"),
    ],
)
def test_what_cannot_be_is_refused_before_it_is_sampled(invoke, tmp_path, line, expected):
    (tmp_path / "mine.png").write_text("mine")
    done = invoke("interpolate", *line.split(), *QUICK)
    assert (done.returncode, done.stdout) == (2, b"")
    assert expected in done.stderr.decode()
    assert [path.name for path in tmp_path.iterdir()] == ["mine.png"]
