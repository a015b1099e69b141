"""Pictures of users through the program: the same kinds everywhere, by content, and named where they cannot be read."""

import io
import json
import os
import re
import shlex
import time

import numpy as np
import pytest
from hostile_pictures import CUT_OFF_BIGTIFF, DESCRIPTION_OF_DOUBLES, HOSTILE, chunk, png_with, zeros
from mutations import saved
from PIL import Image

KINDS = ("PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP")
SECONDS, MEBIBYTES = 10, 350
"""The program itself takes some 110 MiB more."""
COMMANDS = {
    "classify": "classify FILE --evaluations 1 -q",
    "inpaint": "inpaint FILE --mask left --digit 1 --steps 2 --rounds 1 --seed 0 -o new.png -q -f",
    "grid": "grid FILE other.png -o new.png -f",
    "reproduce": "reproduce FILE -f",
}


@pytest.fixture(scope="module")
def seven():
    """A dark seven on light paper."""
    picture = np.full((112, 112), 230, np.uint8)
    picture[24:34, 30:80] = 20
    for row in range(34, 92):
        left = 70 - (row - 34) // 2
        picture[row, left : left + 10] = 20
    return Image.fromarray(picture).convert("RGB")


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("commands", ["classify", pytest.param("inpaint grid reproduce", marks=pytest.mark.soak)])
def test_a_hostile_image_costs_little_and_is_read_or_refused_in_a_sentence(forks, tmp_path, name, commands):
    content = HOSTILE[name]()
    assert len(content) < 10**6
    (tmp_path / "file.png").write_bytes(content)
    (tmp_path / "other.png").write_bytes(saved(Image.new("L", (28, 28)), "PNG"))
    for command in commands.split():
        code, fork = forks.run(*COMMANDS[command].replace("FILE", "file.png").split(), cwd=tmp_path)
        seconds, message = time.monotonic() - fork.began, fork.err.decode()
        assert code in {0, 2, 5}, (command, message)
        lines = [line for line in message.splitlines() if not line.startswith(("error: ", "warning: ", "Give", "Save"))]
        assert code == 0 or "file.png" in message or "sheet" in message, (command, message)
        assert "Traceback" not in message
        assert not [line for line in lines if "PIL" in line or "Warning" in line or ".py" in line], (command, message)
        assert seconds < SECONDS, command
        assert fork.mebibytes < MEBIBYTES, command


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_images_are_taken_everywhere_whatever_their_names_say(invoke, tmp_path, seven, kind):
    options = {"lossless": True} if kind == "WEBP" else {}
    (tmp_path / "seven.txt").write_bytes(saved(seven, kind, **options))
    (tmp_path / "mask").write_bytes(saved(Image.new("RGB", (28, 28), "white"), kind))
    for line in (
        "classify seven.txt --evaluations 2 -q",
        "edit seven.txt -d 1 --steps 1 --seed 0 -o edited.png -q",
        "inpaint seven.txt --mask mask -d 1 --steps 2 --rounds 1 --seed 0 -o inpainted.png -q",
    ):
        done = invoke(*line.split())
        assert done.returncode == 0, (line, done.stderr)


def test_grid_tells_images_from_a_model_by_their_names(invoke, tmp_path, seven):
    """Whatever their content; both at once are refused."""
    (tmp_path / "seven.jpg").write_bytes(saved(seven, "PNG"))
    (tmp_path / "plain.png").write_bytes(saved(Image.new("L", (28, 28)), "PNG"))
    (tmp_path / "seven.txt").write_bytes(saved(seven, "PNG"))
    assert invoke("grid", "plain.png", "seven.jpg", "-o", "sheet.png").returncode == 0
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width > 2 * 2 * 112
    assert invoke("grid", "seven.txt", "-o", "alone.png").returncode == 3
    done = invoke("grid", "plain.png", "seven.txt", "-o", "both.png")
    assert done.returncode == 2
    assert b"plain.png" in done.stderr
    assert b"seven.txt" in done.stderr


@pytest.mark.parametrize(
    ("content", "expected"),
    [(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", b"a HEIC photo"), (b"", b"empty"), (b"%PDF-1.4", b"a PDF document")],
)
def test_what_cannot_be_read_is_called_by_its_name(invoke, tmp_path, content, expected):
    (tmp_path / "photo.jpg").write_bytes(content)
    for command in ("classify", "edit -d 1", "inpaint --mask left -d 1", "grid", "reproduce"):
        word, *options = command.split()
        done = invoke(word, "photo.jpg", *options)
        assert (done.returncode, done.stdout) == (5, b""), command
        assert b"photo.jpg" in done.stderr
        assert expected in done.stderr


def test_metadata_neither_hides_pixels_nor_makes_noise(cli, tmp_path, seven):
    """Through a real process, where a library's warning would be seen; all without ``-q``."""
    plain = saved(seven, "PNG")
    (tmp_path / "plain.png").write_bytes(plain)
    makers = {
        "cut-off.png": lambda: png_with(chunk(b"eXIf", CUT_OFF_BIGTIFF)),
        "doubles.png": lambda: png_with(chunk(b"eXIf", DESCRIPTION_OF_DOUBLES)),
        "text.png": lambda: plain[:33] + chunk(b"zTXt", b"Comment\0\0" + zeros(2**28)) + plain[33:],
        "profile.png": lambda: plain[:33] + chunk(b"iCCP", b"x\0\0" + b"not packed") + plain[33:],
        "resolution.jpg": lambda: saved(seven, "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\x01\0\x1a\x01\2\0\xff\0\0\0"),
        "profile.jpg": lambda: saved(seven, "JPEG", icc_profile=b"no profile" * 9000),
    }
    names = []
    for name, make in makers.items():
        (tmp_path / name).write_bytes(make())
        names += [name] if name not in {"cut-off.png", "doubles.png"} else []
    done = cli("classify", "plain.png", *names, "--evaluations", 2, cwd=tmp_path)
    assert done.returncode == 0, done.stderr.decode()
    [plain_digit, *digits] = [line.split("\t")[1] for line in done.stdout.decode().splitlines()]
    assert digits == [plain_digit] * len(names)
    assert done.stderr.decode().count("\n") <= 1  # which model reads
    done = cli("grid", *makers, "-o", "sheet.png", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("command", ["classify", "edit", "inpaint", "grid", "reproduce", "report", "inspect", "resume"])
@pytest.mark.parametrize("name", ["-dash.png", "--dash.jpg", "-nothing"])
def test_a_file_whose_name_looks_like_an_option_is_named_how_to_be_written(invoke, tmp_path, command, name):
    (tmp_path / name).write_bytes(b"")
    done = invoke(command, name)
    assert (done.returncode, done.stdout) == (2, b"")
    assert f"-- {name}" in done.stderr.decode()
    done = invoke(command, "--no-such-option")
    assert b"-- --no" not in done.stderr


def test_a_file_whose_name_looks_like_an_option_is_read_after_two_dashes(invoke, tmp_path, seven):
    (tmp_path / "-dash.png").write_bytes(saved(seven, "PNG"))
    assert invoke("classify", "--evaluations", 1, "-q", "--", "-dash.png").returncode == 0


@pytest.mark.parametrize("command", ["classify", "edit -d 1", "inpaint --mask left -d 1", "reproduce", "grid"])
def test_a_pipe_or_device_is_refused_without_waiting_for_it(forks, tmp_path, command):
    os.mkfifo(tmp_path / "pipe.png")
    for path in ("pipe.png", "/dev/zero"):
        code, fork = forks.run(*command.split(), path, cwd=tmp_path)
        # To grid, a device is no image but a model by its name.
        assert (code, fork.out) == (3 if command == "grid" and path == "/dev/zero" else 5, b""), (path, fork.err)
        assert path.encode() in fork.err


def test_a_pipe_that_the_shell_has_opened_is_read(shell, tmp_path, seven):
    (tmp_path / "seven.png").write_bytes(saved(seven, "PNG"))
    done = shell("mnistdiff classify --evaluations 1 -q <(sleep 0.2; cat seven.png)", tmp_path)
    assert done.returncode == 0, done.stderr.decode()
    assert shell("mnistdiff classify --evaluations 1 -q - < seven.png", tmp_path).returncode == 0
    assert shell("mnistdiff grid - -o sheet.png < seven.png", tmp_path).returncode == 0


@pytest.mark.parametrize("others", [25, 65])
def test_a_sheet_of_too_many_pixels_is_refused_before_it_is_made(forks, tmp_path, others):
    (tmp_path / "large.png").write_bytes(HOSTILE["png-of-4096x4096"]())
    names = [f"{number}.png" for number in range(others)]
    for name in names:
        (tmp_path / name).write_bytes(saved(Image.new("L", (28, 28)), "PNG"))
    code, fork = forks.run("grid", *names, "large.png", cwd=tmp_path)
    assert code == 2, fork.err
    assert re.search(rb"sheet .*pixels", fork.err)
    assert fork.mebibytes < 50
    assert not (tmp_path / "grid.png").exists()


def test_a_sweep_whose_sheet_would_be_too_large_is_refused_before_sampling(invoke, tmp_path):
    values = ",".join(str(1 + k / 10**5) for k in range(6000))
    began = time.monotonic()
    done = invoke("grid", "-d", 1, "-n", 1, "--sweep", f"guidance={values}")
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"pixels" in done.stderr
    assert time.monotonic() - began < SECONDS


@pytest.fixture
def wide_run(run_copy):
    """A run somebody else sent: its previews are far larger than any that this program draws."""
    for epoch in range(1, 61):
        (run_copy / "samples" / f"epoch_{epoch:04d}.png").write_bytes(HOSTILE["png-of-4096x4096"]())
    return run_copy


def test_previews_larger_than_previews_are_refused(forks, wide_run, tmp_path):
    for line in ("grid run --over-time -o film.gif", "report run -o page.html"):
        code, fork = forks.run(*shlex.split(line), cwd=tmp_path)
        assert code == 5, fork.err
        assert b"epoch_0001.png" in fork.err
        assert fork.mebibytes < 100


@pytest.mark.parametrize("line", ["grid run --over-time -o film.gif", "report run -o page.html"])
def test_a_pipe_as_preview_is_refused_without_waiting_for_it(forks, run_copy, tmp_path, line):
    preview = run_copy / "samples" / "epoch_0001.png"
    preview.unlink()
    os.mkfifo(preview)
    code, fork = forks.run(*line.split(), cwd=tmp_path)
    assert (code, fork.out) == (5, b"")
    assert b"epoch_0001.png" in fork.err


def test_very_many_previews_are_shown_in_part(run_copy, invoke, monkeypatch, tmp_path):
    from mnistdiff.engine.runs import preview_animation

    monkeypatch.setattr(preview_animation, "_LARGEST_ANIMATION", 5 * 100 * 100)
    for epoch in range(1, 21):
        content = saved(Image.new("L", (100, 100), epoch * 10), "PNG")
        (run_copy / "samples" / f"epoch_{epoch:04d}.png").write_bytes(content)
    assert invoke("grid", "run", "--over-time", "-o", "film.gif").returncode == 0
    with Image.open(tmp_path / "film.gif") as shown:
        assert shown.n_frames == 5
        levels = []
        for number in range(5):
            shown.seek(number)
            levels.append(shown.convert("L").getpixel((50, shown.height - 10)))
    assert levels[0] == 10
    assert levels[-1] == 200
    assert sorted(levels) == levels


def test_what_is_sent_twice_through_one_pipe_is_named(cli, seven):
    done = cli("inpaint", "-", "--mask", "-", "-d", 1, input=saved(seven, "PNG"))
    assert done.returncode == 5
    assert b"stdin is empty" in done.stderr


def test_json_names_what_cannot_be_read(invoke, tmp_path):
    (tmp_path / "seven.png").write_bytes(HOSTILE["png-of-400-million-pixels"]())
    done = invoke("classify", "seven.png", "--json")
    assert done.returncode == 5
    assert "seven.png" in json.loads(done.stderr)["error"]["message"]
    assert io.BytesIO(done.stdout).read() == b""
