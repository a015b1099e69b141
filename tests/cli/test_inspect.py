import json
import re

import pytest

FIELDS = {
    "path": str,
    "bytes": int,
    "format_version": int,
    "kind": str,
    "step": int,
    "total_steps": int,
    "epoch": int,
    "images_seen": int,
    "num_train_images": int,
    "seed": int,
    "class_names": list,
    "loss": float,
    "parameters": int,
    "has_ema": bool,
    "has_raw": bool,
    "settings": dict,
    "fingerprint": dict,
    "held_out": type(None),
    "sha256": str,
    "digest_valid": bool,
    "card": type(None),
}


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_both_names_say_the_same(invoke, tiny_run, form):
    short, long = (invoke(name, tiny_run, *form) for name in ("inspect", "inspect-checkpoint"))
    assert (short.returncode, short.stderr) == (0, b"")
    assert (long.returncode, long.stdout, long.stderr) == (short.returncode, short.stdout, short.stderr)


def test_json_tells_every_field_of_a_training_state(invoke, tiny_run):
    file = tiny_run / "diffusion_checkpoint.safetensors"
    result = json.loads(invoke("inspect", file, "--json").stdout)
    assert {name: type(value) for name, value in result.items()} == FIELDS
    assert result["path"] == str(file)
    assert result["bytes"] == file.stat().st_size
    assert (result["kind"], result["step"], result["total_steps"], result["epoch"]) == ("training", 45, 45, 1)
    assert result["images_seen"] == 5000 + 5 * 128
    assert (result["num_train_images"], result["seed"]) == (5000, 0)
    assert 0.0 < result["loss"] < 2.0
    assert (result["has_ema"], result["has_raw"], result["digest_valid"]) == (True, True, True)
    assert result["settings"] == json.loads((tiny_run / "settings.json").read_text())
    assert result["fingerprint"].keys() == {"mnistdiff", "torch", "threads", "device", "layout"}
    assert re.fullmatch("[0-9a-f]{64}", result["sha256"])


def test_the_final_weights_are_told_from_a_training_state(invoke, tiny_run):
    state = json.loads(invoke("inspect", tiny_run, "--json").stdout)
    weights = json.loads(invoke("inspect", tiny_run / "conditional_diffusion_mnist.safetensors", "--json").stdout)
    assert (weights["kind"], weights["has_ema"], weights["has_raw"]) == ("weights", True, False)
    assert weights["parameters"] == state["parameters"]
    assert weights["bytes"] < state["bytes"] / 3
    assert weights["sha256"] != state["sha256"]


def test_a_pipe_gets_a_name_and_a_value_a_line(invoke, tiny_run):
    rows = [line.split("\t") for line in invoke("inspect", tiny_run).stdout.decode().splitlines()]
    table = dict(rows)
    assert [*table] == [
        *("file", "format version", "kind", "step", "epoch", "images seen", "loss", "seed", "classes", "parameters"),
        *("weights", "settings", "written by", "SHA-256"),
    ]
    assert table["step"] == "45 of 45"
    assert table["weights"] == "ema, raw"
    assert "timesteps=10" in table["settings"]
    assert table["SHA-256"].endswith(" (valid)")


def test_an_altered_file_is_described_and_called_invalid(invoke, altered):
    for form in ([], ["--json"]):
        done = invoke("inspect", altered, *form)
        assert done.returncode == 3
        assert b"corrupt" in done.stderr
        if form:
            assert json.loads(done.stdout)["digest_valid"] is False
        else:
            assert "(INVALID)" in done.stdout.decode()


def test_without_a_name_the_newest_run_is_taken(invoke, run_copy):
    assert "run/diffusion_checkpoint.safetensors" in invoke("inspect").stdout.decode()


def test_a_file_name_cannot_steer_the_terminal(invoke, run_copy, tmp_path):
    file = tmp_path / "evil\x1b[31m\r.safetensors"
    (run_copy / "diffusion_checkpoint.safetensors").rename(file)
    done = invoke("inspect", file)
    assert done.returncode == 0
    assert b"\\x1b[31m\\r" in done.stdout
    assert b"\x1b" not in done.stdout
    assert b"\r" not in done.stdout


def test_without_a_run_the_bundled_model_shows_its_card(invoke):
    result = json.loads(invoke("inspect", "--json").stdout)
    assert result["kind"] == "weights"
    assert result["digest_valid"]
    card = result["card"]
    assert card["command"].startswith("mnistdiff train ")
    assert card["evaluation"]["model"]["sha256"] == result["sha256"]
    for metrics in card["evaluation"]["classifiers"].values():
        assert metrics["accuracy"]["share"] >= 0.995
    shown = invoke("inspect").stdout.decode()
    for word in ("intended use", "limits", "license", "classifier conv", "classifier residual", "accuracy"):
        assert word in shown
