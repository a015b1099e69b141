"""``mnistdiff reproduce``: the same bytes, from the provenance metadata of an image."""

import base64
import json
import shutil
import struct
import time

import numpy as np
import pytest
from hostile_pictures import HOSTILE, chunk, png_with
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from warned import beside_the_warning

from mnistdiff.engine.checkpoint.describe import describe
from mnistdiff.engine.checkpoint.pretrained import PRETRAINED
from mnistdiff.engine.data.image_files import Picture
from mnistdiff.engine.outputs import reproduction
from mnistdiff.engine.outputs.png import encode_png
from mnistdiff.engine.outputs.provenance import KEYWORD
from mnistdiff.sample_settings import SampleSettings


def test_what_was_sampled_is_sampled_again_to_the_byte(cli, tmp_path):
    """From the bundled model, by real processes."""
    assert cli("sample", "-d", 7, "-n", 2, "--seed", 9, "-g", 2, cwd=tmp_path).returncode == 0
    path = "inference_samples/digit_7_10.png"
    done = cli("reproduce", path, "-o", "again.png", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, b"again.png\n")
    assert path in done.stderr.decode()
    assert (tmp_path / "again.png").read_bytes() == (tmp_path / path).read_bytes()


@pytest.mark.parametrize(
    "line",
    [
        "grid -d 1-3 -n 2 --steps 2 -o drawn.png",
        "sample -d 0,4 -n 2 --steps 2 --seed 1 -o drawn.png",
        "grid -d 3,8 -n 2 --sweep guidance=0,1.5 --sweep steps=1,3 -o drawn.png --seed 4",
        "grid -d 3 -n 1 --sweep guidance_interval=0:1,0.2:0.5 --steps 2 -o drawn.png",
        "grid -d 3 -n 1 --sweep sampler=ddpm,ddim --steps 2 -o drawn.png",
        "sample -d 2,7 --seed 3 --steps 3 -o x.png --film drawn.png",
        "sample -d 2 --seed 3 --steps 3 -o x.png --film drawn.png --view x_0",
        "interpolate --from 3 --to 8 --frames 5 --steps 2 --seed 1 --to-seed 2 --film drawn.png",
        "interpolate --from 3 --to 3 --frames 3 --steps 2 --seed 1 --to-seed 2 --film drawn.png",
        "edit x.png -d 4 --steps 2 --seed 1 -o y.png --film drawn.png",
        "inpaint x.png --mask top -d 4,5 --steps 2 --seed 1 -o y.png --film drawn.png",
        "sample -d 2,7 --seed 3 --steps 3 -o x.png --gif drawn.png",
        "sample -d 2,7 --seed 3 --steps 3 -o x.png --gif drawn.gif --view x_0",
        "sample --digits 27 -n 2 --seed 3 --steps 3 -o x.png --gif drawn.gif",
        "interpolate --from 3 --to 8 --frames 5 --steps 2 --seed 1 -o drawn.png",
        "interpolate --from 3 --to 8 --frames 5 --steps 2 --seed 1 -o drawn.gif",
        "edit x.png -d 4 --steps 2 --seed 1 -o y.png --gif drawn.gif",
        "inpaint x.png --mask top -d 4,5 --steps 2 --seed 1 -o y.png --gif drawn.png",
    ],
)
def test_every_kind_of_image_is_sampled_again_to_the_byte(invoke, tmp_path, line):
    if "x.png" in line.split("-o")[0]:
        assert invoke("sample", "-d", 9, "--seed", 3, "-o", "x.png", "-q").returncode == 0
    drawn = invoke(*line.split(), "-q")
    assert drawn.returncode == 0, drawn.stderr.decode()
    [name] = (path.name for path in tmp_path.glob("drawn.*"))
    again = invoke("reproduce", name)
    assert again.returncode == 0
    reproduced = again.stdout.decode().rstrip()
    assert reproduced == name.replace("drawn", "reproduced")
    assert (tmp_path / reproduced).read_bytes() == (tmp_path / name).read_bytes()


def test_the_checkpoint_is_found_by_its_digest_or_asked_for(invoke, run_copy, tmp_path):
    invoke("sample", "-c", run_copy, "-d", "4", "--seed", 1, "-o", "four.png", "-q")
    done = invoke("reproduce", "four.png", "--json")
    result = json.loads(done.stdout)
    assert (done.returncode, result["identical"], result["rows"]) == (0, True, [[4, 1, 1]])
    assert beside_the_warning(done.stderr) == b""
    elsewhere = run_copy.rename(tmp_path / "elsewhere").rename(tmp_path.parent / f"{tmp_path.name}-elsewhere")
    try:
        done = invoke("reproduce", "four.png", "--force")
        assert (done.returncode, done.stdout) == (3, b"")
        assert result["checkpoint"][:12] in done.stderr.decode()
        assert b"--checkpoint" in done.stderr
        assert invoke("reproduce", "four.png", "--force", "--checkpoint", elsewhere).returncode == 0
        assert (
            invoke("reproduce", "four.png", "-o", "-", "-c", elsewhere).stdout == (tmp_path / "four.png").read_bytes()
        )
        state = elsewhere / "checkpoints" / "diffusion_checkpoint_epoch_0001.safetensors"
        assert invoke("reproduce", "four.png", "--force", "-c", state).returncode == 3
    finally:
        shutil.rmtree(elsewhere)


def test_an_image_that_was_saved_again_or_changed_is_named_from_one_that_was_not(invoke, tmp_path):
    invoke("sample", "-d", "4", "--seed", 1, "--steps", 2, "-o", "four.png", "-q")
    with Image.open(tmp_path / "four.png") as image:
        chunks = PngInfo()
        chunks.add_text("mnistdiff", image.info["mnistdiff"])
        image.convert("RGB").save(tmp_path / "saved.png", pnginfo=chunks)
        image.putpixel((3, 3), 90)
        image.save(tmp_path / "changed.png", pnginfo=chunks)
    for name, expected in (
        ("saved.png", b"the same image as saved.png"),
        ("changed.png", b"warning: not the same image as changed.png"),
    ):
        done = invoke("reproduce", name, "--force")
        assert (done.returncode, done.stdout) == (0, b"reproduced.png\n")
        assert done.stderr.startswith(expected)
        assert (tmp_path / "reproduced.png").read_bytes() == (tmp_path / "four.png").read_bytes()
        found = json.loads(invoke("reproduce", name, "--force", "--json").stdout)
        assert (found["identical"], found["same_image"]) == (False, name == "saved.png")


def test_nothing_is_replaced_unasked_and_what_says_nothing_is_refused(invoke, tmp_path):
    Image.new("L", (28, 28)).save(tmp_path / "plain.png")
    Image.new("L", (28, 28)).save(tmp_path / "plain.gif", comment=b"drawn by hand")
    for line, code, expected in (
        (["plain.png"], 5, b"plain.png"),
        (["missing.png"], 5, b"No such file"),
        (["plain.png", "-o", "plain.png"], 2, b"already there"),
        (["plain.png", "-o", "folder/"], 2, b"folder/"),
        (["plain.gif", "-o", "again.png"], 2, b".gif"),
        (["plain.gif"], 5, b"plain.gif"),
    ):
        done = invoke("reproduce", *line)
        assert (done.returncode, done.stdout) == (code, b"")
        assert expected in done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"plain.png", "plain.gif"}


def forged(**changes):
    """A small picture that says it was drawn from the bundled model, in one step, with these changes."""
    settings = SampleSettings(steps=1, guidance=1).model_dump(mode="json")
    usual = {"version": "1", "checkpoint": describe(PRETRAINED).sha256, "backend": "onnx", "rows": [[7, 0, 1]]}
    result = {**usual, **changes, "settings": {**settings, **changes.get("settings", {})}}
    return encode_png(np.zeros((28, 28), np.uint8), {KEYWORD: json.dumps(result)})


BLANK = base64.b64encode(bytes(784)).decode()
INPAINTED = {"image": BLANK, "missing": BLANK, "rounds": 100}


@pytest.mark.parametrize(
    "changes",
    [
        {"rows": [[7, 0, 10_000]], "settings": {"steps": 500}},
        {"rows": [[7, 0, 64]], "settings": {"steps": 500}, "film": "x_t", "animated": "gif"},
        {"settings": {"steps": 500}, "walk": INPAINTED, "film": "x_t", "animated": "gif"},
        {"rows": [[7, 0, 2]], "settings": {"steps": 500}, "frames": 200},
        {"sweeps": [["steps", [500] * 100]], "rows": [[7, 0, 100]]},
    ],
    ids=["images", "film", "inpainting", "interpolation", "sweep"],
)
def test_an_image_that_asks_for_hours_is_sampled_only_if_the_user_allows_it(invoke, tmp_path, changes):
    (tmp_path / "hours.png").write_bytes(forged(**changes))
    began = time.monotonic()
    done = invoke("reproduce", "hours.png")
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"hours.png" in done.stderr
    assert b"--any-size" in done.stderr
    assert time.monotonic() - began < 10


def test_what_is_large_is_sampled_again_when_asked_for(invoke, monkeypatch):
    monkeypatch.setattr(reproduction, "MAX_EVALUATIONS", 5)
    assert invoke("grid", "-d", "1-3", "-n", 2, "--steps", 1, "-o", "sheet.png", "-q").returncode == 0
    assert invoke("reproduce", "sheet.png").returncode == 2
    done = invoke("reproduce", "sheet.png", "--any-size")
    assert (done.returncode, done.stderr) == (0, b"the same bytes as sheet.png\n")


@pytest.mark.parametrize(
    "changes",
    [
        lambda: {"sweeps": [["guidance", ["0" * 900_000 + "1"]]]},
        lambda: {"sweeps": [["guidance", ["\n" * 20_000 + "1"]]]},
        lambda: {"sweeps": [["g" * 900_000, [1]]]},
        lambda: {"sweeps": [["guidance", [10**400]]]},
        lambda: {"settings": {"guidance_interval": [0, 10**400]}},
        lambda: {"rows": [[77, -k, 1] for k in range(50_000)]},
        lambda: {"walk": {"image": "A" * 900_000, "strength": 1}},
    ],
    ids=["zeros", "line-feeds", "name", "number", "interval", "rows", "image"],
)
def test_a_provenance_of_great_length_is_refused_at_once(forks, tmp_path, changes):
    (tmp_path / "long.png").write_bytes(forged(**changes()))
    code, fork = forks.run("reproduce", "long.png", cwd=tmp_path)
    assert code == 5, fork.err
    assert b"long.png" in fork.err
    assert b"Traceback" not in fork.err
    assert fork.mebibytes < 200
    assert time.monotonic() - fork.began < 10


def test_the_labels_of_a_sheet_are_the_values_and_not_how_they_are_spelled(invoke, tmp_path):
    for name, values in (("plain.png", [1.0, 2.0]), ("spelled.png", ["0" * 30 + "1", " 2.000 "])):
        (tmp_path / name).write_bytes(forged(sweeps=[["guidance", values]]))
        assert invoke("reproduce", name, "-o", f"new-{name}").returncode == 0
    plain, spelled = (Picture.read(tmp_path / f"new-{name}") for name in ("plain.png", "spelled.png"))
    assert plain.shows_the_same_as(spelled)


def test_a_sheet_wider_than_any_photograph_is_sampled_again(invoke, tmp_path):
    assert invoke("grid", "-d", 3, "-n", 80, "--steps", 1, "-o", "wide.png", "-q").returncode == 0
    with Image.open(tmp_path / "wide.png") as image:
        assert image.width > 4096
    done = invoke("reproduce", "wide.png")
    assert (done.returncode, done.stderr) == (0, b"the same bytes as wide.png\n")
    with Image.open(tmp_path / "wide.png") as image:
        chunks = PngInfo()
        chunks.add_text(KEYWORD, image.info[KEYWORD], zip=True)
        image.convert("RGB").save(tmp_path / "saved.png", pnginfo=chunks)
    done = invoke("reproduce", "saved.png", "--force")
    assert (done.returncode, done.stderr[:14]) == (0, b"the same image")


@pytest.mark.parametrize("name", ["gif-whose-later-frame-is-larger", "png-of-two-billion-frames"])
def test_frames_that_lie_are_refused_or_differ(invoke, tmp_path, name):
    (tmp_path / "moving").write_bytes(HOSTILE[name]())
    done = invoke("reproduce", "moving")
    assert (done.returncode, done.stdout) == (5, b"")
    assert b"moving" in done.stderr
    text = chunk(b"tEXt", KEYWORD.encode() + b"\0" + Picture("x", forged()).text(KEYWORD).encode())
    (tmp_path / "frames.png").write_bytes(png_with(text, chunk(b"acTL", struct.pack(">II", 2**31 - 1, 0))))
    assert b"not the same image" in invoke("reproduce", "frames.png", "--force").stderr
