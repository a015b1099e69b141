import io
import json
import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image
from tiles import places
from warned import beside_the_warning

LATEST, WEIGHTS = "diffusion_checkpoint.safetensors", "conditional_diffusion_mnist.safetensors"
FEW = ["--steps", 2, "--quiet"]


def lines(done):
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode().splitlines()


def files_in(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def pixels(path):
    with Image.open(path) as picture:
        assert (picture.format, picture.mode) == ("PNG", "L")
        return np.asarray(picture).astype(int)


def test_each_path_is_a_line_and_each_image_28_by_28_grey(invoke, tiny_run, tmp_path):
    done = invoke("sample", "--checkpoint", tiny_run, "--digit", "7,0", "-n", 2, "--seed", 11, *FEW)
    names = [f"inference_samples/digit_{digit}_{seed}.png" for digit in (7, 0) for seed in (11, 12)]
    assert lines(done) == names
    assert beside_the_warning(done.stderr) == b""
    assert files_in(tmp_path) == sorted(names)
    pictures = [pixels(tmp_path / name) for name in names]
    assert {picture.shape for picture in pictures} == {(28, 28)}
    assert all(np.abs(pictures[0] - other).max() > 1 for other in pictures[1:])


def test_without_a_seed_the_seed_is_named_and_gives_the_image_again(invoke, tiny_run, tmp_path):
    first = invoke("sample", "--checkpoint", tiny_run, "-d", 3)
    (name,) = lines(first)
    seed = first.stderr.decode().split("--seed ")[1].split()[0]
    assert name == f"inference_samples/digit_3_{seed}.png"
    (again,) = lines(invoke("sample", "--checkpoint", tiny_run, "-d", 3, "--seed", seed, "-o", "again", "-q"))
    assert (tmp_path / again).read_bytes() == (tmp_path / name).read_bytes()


def test_image_k_of_a_seed_is_that_of_seed_plus_k(invoke, tiny_run, tmp_path):
    many = lines(invoke("sample", "--checkpoint", tiny_run, "-d", 5, "-n", 3, "--seed", 20, "-o", "many", *FEW))
    (alone,) = lines(invoke("sample", "--checkpoint", tiny_run, "-d", 5, "--seed", 22, "-o", "alone", *FEW))
    assert np.abs(pixels(tmp_path / many[2]) - pixels(tmp_path / alone)).max() <= 1


@pytest.mark.parametrize("target", ["inference_samples/", "seven.png"])
def test_an_image_that_is_there_is_replaced_only_by_force(invoke, tiny_run, tmp_path, target):
    """The second of two is in the way: the first must not be drawn either."""
    line = ["sample", "--checkpoint", tiny_run, "-d", 7, "-n", 2, "--seed", 4, "-o", target, *FEW]
    there = tmp_path / ("seven.png" if target.endswith(".png") else "inference_samples/digit_7_5.png")
    there.parent.mkdir(exist_ok=True)
    there.write_bytes(b"precious")
    before = files_in(tmp_path)
    refusal = invoke(*line)
    assert (refusal.returncode, refusal.stdout) == (2, b"")
    assert there.name in refusal.stderr.decode()
    assert "--force" in refusal.stderr.decode()
    assert files_in(tmp_path) == before
    assert there.read_bytes() == b"precious"
    assert len(lines(invoke(*line, "--force"))) == (1 if target.endswith(".png") else 2)
    assert there.read_bytes() != b"precious"


def test_one_image_fills_the_file_named_and_several_make_a_sheet(invoke, tiny_run, tmp_path):
    line = ["sample", "--checkpoint", tiny_run, "-d", "1-2", "--seed", 0, *FEW]
    assert lines(invoke(*line, "-d", 1, "-o", "new/folder/both.PNG")) == ["new/folder/both.PNG"]
    (one, two) = lines(invoke(*line, "-o", "apart"))
    assert lines(invoke("sample", "--checkpoint", tiny_run, "-d", 1, "--seed", 0, *FEW, "-o", "one.png")) == ["one.png"]
    assert np.abs(pixels(tmp_path / "one.png") - pixels(tmp_path / one)).max() <= 1
    sheet = pixels(tmp_path / "new" / "folder" / "both.PNG")
    assert min(sheet.shape) > 2 * 28
    for picture in (one, two):  # each tile lies on the sheet, twice as large
        assert places(sheet, pixels(tmp_path / picture))


def test_a_pipe_gets_the_png_and_nothing_else(invoke, tiny_run, tmp_path):
    line = ["sample", "--checkpoint", tiny_run, "--digit", 7, "--seed", 1]
    done = invoke(*line, "-o", "-")
    assert done.returncode == 0
    [note] = beside_the_warning(done.stderr).decode().splitlines()
    assert str(tiny_run / WEIGHTS) in note
    assert note.endswith("--seed 1")
    assert np.asarray(Image.open(io.BytesIO(done.stdout))).shape == (28, 28)
    assert list(tmp_path.iterdir()) == []
    (name,) = lines(invoke(*line))
    assert (tmp_path / name).read_bytes() == done.stdout


def test_json_is_a_line_per_image_and_nothing_else(invoke, tiny_run):
    line = ["sample", "--checkpoint", tiny_run, "-d", "4,2", "--seed", 6, "--steps", 2, "--json"]
    done = invoke(*line)
    pictures = [json.loads(text) for text in lines(done)]
    assert [(each["path"], each["digit"], each["seed"]) for each in pictures] == [
        (f"inference_samples/digit_{digit}_6.png", digit, 6) for digit in (4, 2)
    ]
    assert beside_the_warning(done.stderr) == b""
    (line,) = lines(invoke(*line, "-o", "sheet.png"))
    sheet = json.loads(line)
    assert (sheet["path"], sheet["images"]) == ("sheet.png", [{"digit": k, "class": str(k), "seed": 6} for k in (4, 2)])


@pytest.mark.parametrize("file", [LATEST, WEIGHTS, "checkpoints/diffusion_checkpoint_epoch_0001.safetensors"])
def test_a_checkpoint_alone_is_enough(invoke, tiny_run, tmp_path, file):
    shutil.copy(tiny_run / file, tmp_path / "alone.safetensors")
    (name,) = lines(invoke("sample", "-c", "alone.safetensors", "-d", 7, "--seed", 1, *FEW))
    (same,) = lines(invoke("sample", "-c", tiny_run / file, "-d", 7, "--seed", 1, "-o", "again", *FEW))
    assert (tmp_path / name).read_bytes() == (tmp_path / same).read_bytes()


def test_a_finished_run_and_its_last_state_sample_the_same(invoke, tiny_run, tmp_path):
    drawn = [
        lines(invoke("sample", "-c", source, "-d", 7, "--seed", 1, "-o", f"{number}/", *FEW))[0]
        for number, source in enumerate((tiny_run, tiny_run / LATEST, tiny_run / WEIGHTS))
    ]
    assert len({pixels(tmp_path / name).tobytes() for name in drawn}) == 1


def test_raw_weights_are_in_the_state_alone(invoke, tiny_run, tmp_path):
    line = ["sample", "-d", 7, "--seed", 1, *FEW]
    done = invoke(*line, "-c", tiny_run / WEIGHTS, "--weights", "raw")
    assert (done.returncode, done.stdout) == (3, b"")
    assert "holds no raw weights" in done.stderr.decode()
    (raw,) = lines(invoke(*line, "-c", tiny_run / LATEST, "--weights", "raw", "-o", "raw"))
    (ema,) = lines(invoke(*line, "-c", tiny_run / LATEST, "--weights", "ema", "-o", "ema"))
    assert not np.array_equal(pixels(tmp_path / raw), pixels(tmp_path / ema))


def test_every_sampling_option_changes_the_image(invoke, tiny_run, tmp_path):
    def drawn(*options):
        line = ["sample", "-c", tiny_run, "-d", 7, "--seed", 1, "-o", "x.png", "--force", "-q", "--steps", 4]
        lines(invoke(*line, *options))
        return pixels(tmp_path / "x.png")

    ways = [
        [],
        ["--steps", 5],
        ["--guidance", 1],
        ["-g", 0],
        ["-g", 3],
        ["-g", 3, "--guidance-interval", "0.5:1"],
        ["--sampler", "ddpm"],
        ["--sampler", "ddim"],
        ["--sampler", "ddim", "--eta", 0.5],
    ]
    pictures = [drawn(*way) for way in ways]
    assert len({picture.tobytes() for picture in pictures}) == len(ways)
    # Song et al. 2021: with eta = 1, ddim is ddpm.
    assert np.abs(drawn("--sampler", "ddim", "--eta", 1) - pictures[ways.index(["--sampler", "ddpm"])]).max() <= 1


def test_without_a_name_the_newest_run_is_sampled_from(invoke, tiny_run, tmp_path):
    for name in ("older", "runs/newest"):
        shutil.copytree(tiny_run, tmp_path / name, copy_function=shutil.copyfile)
    done = invoke("sample", "-d", 1, "--steps", 1)
    assert f"runs/newest/{WEIGHTS}" in done.stderr.decode()
    assert len(lines(done)) == 1


def test_a_file_name_cannot_steer_the_terminal(invoke, run_copy, tmp_path):
    name = "evil\x1b[31m\r.safetensors"
    missing = invoke("sample", "-c", f"missing{name}", "-d", 1)
    (run_copy / WEIGHTS).rename(tmp_path / name)
    there = invoke("sample", "-c", name, "-d", 1, "--steps", 1)
    assert (missing.returncode, there.returncode) == (3, 0)
    for done in (missing, there):
        assert b"evil\\x1b[31m\\r.safetensors" in done.stderr
        assert b"\x1b" not in done.stderr
        assert b"\r" not in done.stderr


def test_who_stops_reading_ends_the_sampling_without_a_traceback(program, environment, tiny_run, tmp_path):
    words = [*program, "sample", "--checkpoint", str(tiny_run), "-d1", "-n200", "--seed=0", "--steps=1"]
    done = subprocess.run(
        ["bash", "-c", '"$@" | head -1; echo "${PIPESTATUS[@]}"', "bash", *words],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.decode().splitlines() == ["inference_samples/digit_1_0.png", "141 0"]
    assert "Traceback" not in done.stderr.decode()
    assert "BrokenPipe" not in done.stderr.decode()
    assert 1 <= len(files_in(tmp_path)) < 200


@pytest.mark.parametrize("arguments", [["train", "--help"], ["inspect", "RUN"]])
def test_who_never_reads_ends_the_program_without_a_traceback(program, environment, tiny_run, arguments):
    words = [*program, *(str(tiny_run) if word == "RUN" else word for word in arguments)]
    done = subprocess.run(
        ["bash", "-c", '"$@" | true; echo "${PIPESTATUS[0]}"', "bash", *words],
        env=environment(),
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert (done.stdout, done.stderr) == (b"141\n", b"")
