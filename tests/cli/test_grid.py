import io
import json

import numpy as np
import pytest
from PIL import Image
from tiles import places
from warned import beside_the_warning

FEW = ["--steps", 2, "--quiet"]


def pixels(source):
    with Image.open(source) as picture:
        assert (picture.format, picture.mode) == ("PNG", "L")
        return np.asarray(picture).astype(int)


@pytest.mark.parametrize("source", ["", "conditional_diffusion_mnist.safetensors", "diffusion_checkpoint.safetensors"])
def test_a_model_is_sampled_as_a_row_a_digit(invoke, tiny_run, tmp_path, source):
    line = ["-d", "3,1", "-n", 2, "--seed", 8, *FEW]
    done = invoke("grid", tiny_run / source, "-o", "new/sheet.png", *line)
    assert (done.returncode, done.stdout, beside_the_warning(done.stderr)) == (0, b"new/sheet.png\n", b"")
    apart = invoke("sample", "-c", tiny_run, *line).stdout.decode().splitlines()
    sheet = pixels(tmp_path / "new" / "sheet.png")
    ((a,), (b,), (c,), (d,)) = (places(sheet, pixels(tmp_path / name)) for name in apart)
    assert a[0] == b[0] < c[0] == d[0]
    assert a[1] == c[1] < b[1] == d[1]


def test_without_a_name_the_newest_run_is_sampled_into_grid_png(invoke, run_copy, tmp_path):
    done = invoke("grid", "-n", 1, "--steps", 1)
    assert (done.returncode, done.stdout) == (0, b"grid.png\n")
    assert b"run/conditional_diffusion_mnist.safetensors" in done.stderr
    assert pixels(tmp_path / "grid.png").shape[0] > 10 * 2 * 28


def test_the_hint_to_train_with_previews_names_the_flag_of_train(invoke, tmp_path):
    (tmp_path / "run").mkdir()
    done = invoke("grid", "run", "--over-time")
    assert (done.returncode, done.stdout) == (3, b"")
    assert b"--sample-every 1" in done.stderr


def test_images_are_laid_out_by_the_digits_in_their_names(invoke, tmp_path):
    random = np.random.default_rng(0)
    images = {
        f"digit_{d}_{s}.png": random.integers(0, 200, (28, 28), dtype=np.uint8) for d, s in ((3, 1), (1, 9), (3, 2))
    }
    images["other.png"] = random.integers(0, 200, (28, 28), dtype=np.uint8)
    for name, image in images.items():
        Image.fromarray(image).save(tmp_path / name)
    done = invoke("grid", *images, "-o", "sheet.png", "--json")
    assert (done.returncode, done.stderr) == (0, b"")
    result = {"path": "sheet.png", "bytes": (tmp_path / "sheet.png").stat().st_size, "model": None, "notices": []}
    assert json.loads(done.stdout) == result
    sheet = pixels(tmp_path / "sheet.png")
    ((first,), (one,), (second,), (other,)) = (places(sheet, image.astype(int)) for image in images.values())
    assert other[0] < one[0] < first[0] == second[0]
    assert other[1] == one[1] == first[1] < second[1]


def test_what_sample_gives_can_be_laid_out(invoke, tiny_run, tmp_path):
    drawn = invoke("sample", "-c", tiny_run, "-d", "0-1", "-n", 2, "--seed", 0, *FEW).stdout.decode().splitlines()
    assert invoke("grid", *drawn, "-o", "of_pictures.png").returncode == 0
    assert invoke("grid", tiny_run, "-d", "0-1", "-n", 2, "-o", "of_model.png", *FEW).returncode == 0
    assert np.array_equal(pixels(tmp_path / "of_pictures.png"), pixels(tmp_path / "of_model.png"))


def test_a_pipe_gets_the_png_and_nothing_else(invoke, tiny_run, tmp_path):
    line = ["grid", tiny_run, "-d", 1, "-n", 2, *FEW]
    done = invoke(*line, "-o", "-")
    assert (done.returncode, beside_the_warning(done.stderr)) == (0, b"")
    assert list(tmp_path.iterdir()) == []
    invoke(*line, "-o", "sheet.png")
    assert pixels(io.BytesIO(done.stdout)).tolist() == pixels(tmp_path / "sheet.png").tolist()


def test_a_sheet_that_is_there_is_replaced_only_by_force(invoke, tiny_run, tmp_path):
    (tmp_path / "grid.png").write_bytes(b"precious")
    line = ["grid", tiny_run, "-d", 1, "-n", 1, *FEW]
    done = invoke(*line)
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"grid.png is already there" in done.stderr
    assert (tmp_path / "grid.png").read_bytes() == b"precious"
    assert invoke(*line, "--force").returncode == 0
    assert pixels(tmp_path / "grid.png").ndim == 2


@pytest.mark.parametrize("content", [None, b"", b"not a picture"])
def test_an_image_that_cannot_be_read_is_named(invoke, tmp_path, content):
    if content is not None:
        (tmp_path / "broken.png").write_bytes(content)
    done = invoke("grid", "broken.png", "-o", "sheet.png")
    assert (done.returncode, done.stdout) == (5, b"")
    assert b"broken.png" in done.stderr
    assert b"Traceback" not in done.stderr
    assert not (tmp_path / "sheet.png").exists()


def test_a_sweep_is_one_sheet_from_the_same_noise(invoke, tiny_run, tmp_path):
    line = ["grid", tiny_run, "-d", 1, "-n", 2, "--seed", 4, "-q"]
    done = invoke(*line, "--sweep", "guidance=0,2", "--sweep", "steps=1,2,3", "-o", "compared.png")
    assert (done.returncode, done.stdout, beside_the_warning(done.stderr)) == (0, b"compared.png\n", b"")
    sheet = pixels(tmp_path / "compared.png")
    rows = []
    for guidance in (0, 2):
        invoke(
            "sample", "-c", tiny_run, "-d", 1, "-g", guidance, "--steps", 3, "--seed", 4, "-o", "one.png", "-q", "-f"
        )
        rows += places(sheet, pixels(tmp_path / "one.png"))
    assert len(rows) == 2
    assert rows[0][0] < rows[1][0]
    assert rows[0][1] == rows[1][1]


def test_a_run_is_shown_over_time(invoke, run_copy, tmp_path):
    for line in (["run"], []):
        done = invoke("grid", *line, "--over-time", "--force")
        assert (done.returncode, done.stdout) == (0, b"learning.gif\n")
    with Image.open(tmp_path / "learning.gif") as film:
        assert film.format == "GIF"


@pytest.mark.parametrize(
    ("line", "code", "expected"),
    [
        ("--sweep steps", 2, "'steps' is not NAME=VALUE"),
        ("--sweep steps=0", 2, "'0'"),
        ("--sweep colour=red", 2, "sampler, steps"),
        ("--sweep steps=1 --sweep steps=2", 2, "two different ones"),
        ("--sweep steps=1 --sweep guidance=2 --sweep eta=0", 2, "rows and columns"),
        ("--sweep steps=1,11 run", 2, "--steps 11"),
        ("--over-time -o learning.png", 2, ".gif"),
        ("--over-time nowhere", 3, "there is no run nowhere"),
    ],
)
def test_what_cannot_be_compared_is_refused(invoke, run_copy, tmp_path, line, code, expected):
    done = invoke("grid", *line.split(), "-q")
    assert (done.returncode, done.stdout) == (code, b"")
    assert expected in done.stderr.decode()
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_sheet_of_one_image_is_labelled_and_can_be_sampled_again(invoke, tmp_path):
    line = ["-d", 7, "-n", 1, "--seed", 3, *FEW]
    assert invoke("grid", *line, "-o", "sheet.png").returncode == 0
    invoke("sample", *line, "-o", "image.png")
    sheet, image = pixels(tmp_path / "sheet.png"), pixels(tmp_path / "image.png")
    assert len(places(sheet, image)) == 1
    two = invoke("grid", *line, "-n", 2, "-o", "two.png")
    assert two.returncode == 0
    assert np.array_equal(sheet[:, : sheet.shape[1] // 2], pixels(tmp_path / "two.png")[:, : sheet.shape[1] // 2])
    for name in ("sheet.png", "image.png", "two.png"):
        done = invoke("reproduce", name, "--json", "--force")
        assert (done.returncode, json.loads(done.stdout)["identical"]) == (0, True)


def test_a_bare_image_that_an_earlier_version_wrote_as_a_sheet_can_be_sampled_again(invoke, tmp_path):
    """``grid -d 7 -n 1`` of version 0.1.0 before labels: provenance without the mark, pixels without a label."""
    invoke("sample", "-d", 7, "--seed", 0, *FEW, "-o", "old.png")
    assert b"sheet" not in (tmp_path / "old.png").read_bytes()
    result = json.loads(invoke("reproduce", "old.png", "--json").stdout)
    assert (result["identical"], "sheet" in result) == (True, False)
