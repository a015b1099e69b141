"""Bundled models by name; ``bundled`` samples with the student what that can do, and does the rest with its teacher."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image
from students import bundle_student

import mnistdiff
from mnistdiff.cli import interactive
from mnistdiff.engine.checkpoint.header import read_checkpoint_file
from mnistdiff.engine.checkpoint.pretrained import EARLIER_MODELS, PRETRAINED, bundled_models
from mnistdiff.engine.evaluation.model_card import model_card
from mnistdiff.engine.outputs.png import encode_png
from mnistdiff.errors import CheckpointError, NeedsTeacherError
from mnistdiff.sample_settings import SampleSettings

STUDENT, TEACHER = "bundled-2", "bundled-teacher"
CHOICES = {
    "sample -d 7 --seed 1": STUDENT,
    "sample -d 7 --seed 1 --format npz": STUDENT,
    "sample -d 7 --seed 1 --steps 2 --guidance 1": STUDENT,
    "sample -d 7 --seed 1 --steps 3": TEACHER,
    "sample -d 7 --seed 1 --guidance 2": TEACHER,
    "sample -d 7 --seed 1 --guidance-interval 0:0.5": TEACHER,
    "sample -d 7 --seed 1 --spacing even": TEACHER,
    "sample -d 7 --seed 1 --sampler ddpm": TEACHER,
    "grid -d 7 -n 2": STUDENT,
    "grid -d 7 -n 2 --sweep steps=2,3": TEACHER,
    "interpolate --from 3 --to 8 --frames 2": STUDENT,
    "interpolate --from 3 --to 8 --frames 2 --steps 1": TEACHER,
    "evaluate -n 10": STUDENT,
    "evaluate -n 10 --by guidance=1,2": TEACHER,
    "edit seven.png -d 1": TEACHER,
    "inpaint seven.png --mask left -d 1 --rounds 1": TEACHER,
    "classify seven.png --evaluations 1": TEACHER,
    "export": TEACHER,
    "export --html x.html": STUDENT,
}


@pytest.fixture
def here(invoke, tmp_path, tmp_path_factory, monkeypatch):
    """A folder with a picture of a seven, and a student of two steps among the bundled models."""
    bundle_student(monkeypatch, tmp_path_factory.mktemp("assets"), 2)
    monkeypatch.setattr("mnistdiff.engine.network.export.export", lambda *_, **__: (b"onnx", 0.0))
    image = np.zeros((28, 28), np.uint8)
    image[5:8, 7:21] = image[5:24, 14:17] = 255
    Image.fromarray(image).save(tmp_path / "seven.png")
    return tmp_path


def model_of(done):
    """The model that a result names."""
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)["model"]


@pytest.mark.parametrize("line", CHOICES)
def test_the_student_samples_what_it_can_and_the_teacher_does_the_rest(invoke, here, line):
    assert model_of(invoke(*line.split(), "--json"))["checkpoint"] == CHOICES[line]


def test_a_line_says_which_model_it_is_unless_quiet(invoke, here):
    for model, words in ((STUDENT, []), (TEACHER, ["--guidance", 2])):
        line = ["sample", "-d", 7, "--seed", 1, "--force", *words]
        [said] = invoke(*line).stderr.decode().splitlines()
        assert model in said
        assert invoke(*line, "-q").stderr == b""


def test_a_name_means_one_model_and_each_is_as_its_file(invoke, here):
    first, second = (invoke("sample", "-d", 7, "--seed", 1, "-o", "-", "-c", name) for name in (TEACHER, PRETRAINED))
    assert first.stdout == second.stdout != b""
    for name, path in bundled_models().items():
        assert model_of(invoke("grid", name, "--json", "--force"))["sha256"] == read_checkpoint_file(path).sha256
    done = invoke("sample", "-d", 7, "-c", STUDENT, "--steps", 3)
    assert done.returncode == 2
    assert TEACHER.encode() in done.stderr


def test_a_file_or_folder_of_that_name_goes_first(invoke, here):
    for name in (STUDENT, TEACHER):
        shutil.copy(PRETRAINED, here / name)
        seen = model_of(invoke("sample", "-c", name, "-d", 7, "--steps", 1, "--json", "--seed", 1, "--force"))
        assert seen["checkpoint"] == name


@pytest.mark.parametrize(
    "line", ["sample -d 7 -c bundled-9", "grid bundled-9", "inspect bundled-9", "resume bundled-9"]
)
def test_an_unknown_name_gets_the_list(invoke, here, line):
    done = invoke(*line.split())
    assert (done.returncode, done.stdout) == (3, b"")
    message, hint = done.stderr.decode().splitlines()
    assert "bundled-9" in message
    assert [name for name in ("bundled", STUDENT, TEACHER) if name not in hint] == []


def test_each_model_has_its_card(invoke, here):
    for name, distilled in ((STUDENT, True), (TEACHER, False)):
        seen = json.loads(invoke("inspect", name, "--json").stdout)
        assert seen["card"]["license"]
        assert (seen["settings"]["distillation"] is not None) == distilled
    assert json.loads(invoke("inspect", "--json").stdout)["path"] == str(PRETRAINED)


def test_each_bundled_model_of_the_package_has_the_card_of_its_digest():
    for name, path in bundled_models().items():
        card = model_card(path)
        assert card is not None, name
        assert card.evaluation.model.sha256 == read_checkpoint_file(path).sha256


def test_images_of_both_are_reproduced(invoke, here):
    for name, words in ((STUDENT, []), (TEACHER, ["--guidance", 2])):
        invoke("sample", "-d", 7, "--seed", 1, "-o", "seven.png", "--force", *words)
        for named in ([], ["-c", "bundled"], ["-c", name]):
            result = json.loads(invoke("reproduce", "seven.png", "--json", "--force", *named).stdout)
            assert (result["identical"], result["model"]["checkpoint"]) == (True, name)


def test_an_image_of_an_earlier_bundled_model_names_the_versions_that_contain_it(invoke, here, monkeypatch):
    monkeypatch.setattr("mnistdiff.engine.checkpoint.pretrained.PRETRAINED", here / "pretrained-2.safetensors")
    for digest, versions in EARLIER_MODELS.items():
        values = {"version": "0.1.0", "checkpoint": digest, "backend": "onnx", "rows": [[7, 0, 1]]}
        text = json.dumps({**values, "settings": SampleSettings(steps=1).model_dump(mode="json")})
        (here / "old.png").write_bytes(encode_png(np.zeros((28, 28), np.uint8), {"mnistdiff": text}))
        done = invoke("reproduce", "old.png")
        assert (done.returncode, done.stdout) == (3, b"")
        assert f"mnistdiff {versions}" in done.stderr.decode()
        assert digest[:12] in done.stderr.decode()


def test_an_interactive_session_takes_the_teacher_for_what_the_student_cannot_do(here, capfdbinary):
    session, seen = interactive.Session(), []
    for line in ("7", "again", "g 3", "7", "g 1", "7"):
        session.do(line)
        said = capfdbinary.readouterr().err.decode()
        seen.append(next((name for name in (STUDENT, TEACHER) if f"sampling from {name}" in said), ""))
    assert seen == [STUDENT, "", TEACHER, "", STUDENT, ""]


@pytest.mark.usefixtures("here")
def test_a_model_of_the_api_has_its_teacher_for_what_it_cannot_do():
    model = mnistdiff.load()
    sampled = model.sample(7, seed=1)
    assert "teacher" not in vars(model)  # not loaded yet
    assert sampled.origin.model is model
    assert (model.info.checkpoint, model.settings.distillation.steps) == (STUDENT, 2)
    assert STUDENT in repr(model)
    assert TEACHER in repr(model.teacher)
    guided, edited = model.sample(7, seed=1, guidance=2), model.edit(sampled[0], 4, seed=1, guidance=1)
    inpainted = model.inpaint(sampled[0], "left", 7, seed=1, resample_steps=1)
    for images in (guided, edited, inpainted, model.interpolate(3, 8, frames=2, seed=1, steps=3)):
        assert images.origin.model is model.teacher
    teacher = mnistdiff.load(TEACHER)
    assert np.array_equal(guided, teacher.sample(7, seed=1, guidance=2))
    assert np.array_equal(edited, teacher.edit(sampled[0], 4, seed=1, guidance=1))
    assert model.classify(sampled[0], evaluations=2) == teacher.classify(sampled[0], evaluations=2)
    own, guided = model.sample_settings(), model.sample_settings(guidance=2)
    assert (own.sampler, own.steps, own.guidance) == ("ddim", 2, 1)
    assert guided == teacher.sample_settings(guidance=2)
    assert list(model.sampling([], own)) == list(model.sampling([], guided)) == []


@pytest.mark.usefixtures("here")
def test_a_model_of_the_api_that_was_named_does_nothing_else():
    model = mnistdiff.load(STUDENT)
    image = model.sample(7, seed=1)[0]
    for ask in (
        lambda: model.sample(7, steps=3),
        lambda: model.sample_settings(guidance=2),
        lambda: model.interpolate(3, 8, eta=0.5, sampler="ddim"),
        lambda: model.edit(image, 4),
        lambda: model.inpaint(image, "left", 4),
        lambda: model.classify(image),
        lambda: mnistdiff.evaluate(model, n=10, steps=3),
        lambda: next(model.sampling([], SampleSettings())),
    ):
        with pytest.raises(NeedsTeacherError, match=TEACHER):
            ask()
    assert model.teacher is None
    with pytest.raises(CheckpointError, match="bundled-9"):
        mnistdiff.load("bundled-9")
