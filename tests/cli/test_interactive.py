"""What is saved in interactive mode says how it was sampled, whatever was set, sampled or trained since."""

import json
import shutil

import pytest

import mnistdiff
from mnistdiff.cli import interactive
from mnistdiff.engine.checkpoint.pretrained import bundled_models
from mnistdiff.errors import SettingsError


def reproduced(invoke, name):
    done = invoke("reproduce", name, "--json", "--force")
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


@pytest.fixture
def session(invoke):
    """After ``7`` from seed 5."""
    session = interactive.Session()
    session.do("s 5")
    session.do("7")
    return session


@pytest.mark.parametrize("changes", [["g 5"], ["steps 3"], ["g 0", "steps 7", "s 99"]])
def test_settings_changed_after_sampling_are_not_those_of_the_image(invoke, session, changes):
    for line in (*changes, "save x.png"):
        session.do(line)
    seen, usual = reproduced(invoke, "x.png"), mnistdiff.load().sample_settings()
    assert (seen["identical"], seen["settings"]) == (True, usual.model_dump(mode="json"))
    assert seen["rows"] == [[7, 5, 1]]


def test_settings_changed_before_sampling_are(invoke, session):
    for line in ("g 5", "steps 3", "again", "save x.png"):
        session.do(line)
    seen = reproduced(invoke, "x.png")
    assert (seen["identical"], seen["settings"]["guidance"], seen["settings"]["steps"]) == (True, 5.0, 3)


def test_digits_that_could_not_be_sampled_do_not_change_what_is_saved(invoke, session, tmp_path):
    session.do("s 4294967295")
    with pytest.raises(SettingsError):
        session.do("12345")
    session.do("save")
    [saved] = (tmp_path / "inference_samples").iterdir()
    assert saved.name == "digits_7_5.png"
    assert reproduced(invoke, saved)["identical"]


def test_a_model_trained_later_is_not_that_of_the_image(invoke, session, tiny_run, tmp_path, monkeypatch, capfdbinary):
    monkeypatch.setattr(interactive, "show_training", lambda *_, **__: shutil.copytree(tiny_run, tmp_path / "run"))
    monkeypatch.setattr(interactive, "conclude", lambda *_, **__: None)
    session.do("t tiny")
    session.do("save before.png")
    assert b"hardly trained" not in capfdbinary.readouterr().err
    session.do("again")
    assert b"warning: run/conditional_diffusion_mnist.safetensors is hardly trained" in capfdbinary.readouterr().err
    session.do("save after.png")
    before, after = reproduced(invoke, "before.png"), reproduced(invoke, "after.png")
    assert [seen["model"]["checkpoint"] for seen in (before, after)] == [
        next(iter(bundled_models())),
        "run/conditional_diffusion_mnist.safetensors",
    ]
    assert before["identical"]
    assert after["identical"]


def test_variables_say_where_to_sample(invoke, monkeypatch):
    monkeypatch.setenv("MNISTDIFF_BACKEND", "onnx")
    monkeypatch.setenv("MNISTDIFF_DEVICE", "cuda")
    with pytest.raises(SettingsError, match="cuda"):
        interactive.Session().do("7")
