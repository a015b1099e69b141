"""The file that ``export --html`` writes: size, policy, and checkpoints that it refuses."""

import base64
import hashlib
import json
import re
from dataclasses import replace

import numpy as np
import pytest
from demo_pages import page_of, parts_of, random_network

import mnistdiff
from mnistdiff.engine.checkpoint.pretrained import bundled_models
from mnistdiff.engine.outputs.demo_page import demo_page
from mnistdiff.errors import CheckpointError, SettingsError
from mnistdiff.preset_table import PRESETS
from mnistdiff.settings import TrainSettings

SMALL = {"channels": (8,), "patch_size": 4, "embedding": 8}


@pytest.mark.parametrize("preset", ["base", "fast", "tiny"])
def test_the_page_of_every_preset_has_at_most_four_megabytes(preset):
    settings = TrainSettings.model_validate({"preset": preset, **PRESETS[preset]})
    page = demo_page(random_network(settings)[0])
    assert len(page) <= 4_000_000
    assert json.loads(parts_of(page)["facts"])["read"] == "diffusion"


def test_the_python_api_gives_the_bundled_model_of_few_steps():
    page = mnistdiff.export_html("bundled")
    assert page == page_of(bundled_models()["bundled-2"]) == mnistdiff.export_html("bundled-2")
    assert len(page) <= 4_000_000


def test_the_policy_allows_this_script_and_style_alone():
    page = page_of(bundled_models()["bundled-2"]).decode()
    [policy] = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    policy = policy.replace("&#39;", "'")
    rules = {rule.split()[0]: rule.split()[1:] for rule in policy.split(";")}
    [style] = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    digests = [
        f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
        for text in (parts_of(page.encode())["program"], style)
    ]
    assert rules["default-src"] == ["'none'"]
    assert rules["script-src"] == [digests[0], "'wasm-unsafe-eval'"]
    assert rules["style-src"] == [digests[1]]
    assert "connect-src" not in rules
    assert re.findall(r"https?://(?!www\.w3\.org/2000/svg)", page) == []


def test_a_student_of_other_images_reads_nothing_and_one_of_one_step_completes_nothing():
    one = json.loads(parts_of(page_of(bundled_models()["bundled-1"]))["facts"])
    assert (one["read"], one["complete"], one["is_distilled"]) == ("classifier", False, True)
    distillation = {
        "teacher": "0" * 64,
        "prediction": "epsilon",
        "sampling": {"sampler": "ddim", "steps": 4, "spacing": "trailing"},
        "steps": 2,
    }
    settings = TrainSettings.model_validate({"dataset": "fashion-mnist", "distillation": distillation, **SMALL})
    two = json.loads(parts_of(demo_page(random_network(settings)[0]))["facts"])
    assert (two["read"], two["complete"]) == ("", True)
    assert two["options"][0] == "--class=t-shirt"


def altered(change):
    checkpoint, _ = random_network(TrainSettings.model_validate(SMALL))
    tensors = dict(checkpoint.tensors)
    change(tensors)
    return replace(checkpoint, tensors=tensors)


@pytest.mark.parametrize(
    "change",
    [
        lambda tensors: tensors.pop("ema.stem.bias"),
        lambda tensors: tensors.update({"ema.more": np.zeros(3, np.float32)}),
        lambda tensors: tensors.update({"ema.stem.bias": np.zeros((4, 2), np.float32)}),
        lambda tensors: tensors.update({"ema.stem.bias": np.full(8, 1e6, np.float32)}),
    ],
    ids=["missing", "unknown", "shape", "too large"],
)
def test_weights_that_are_not_those_of_the_network_are_refused(change):
    with pytest.raises(CheckpointError, match="random"):
        demo_page(altered(change))


def test_another_network_is_refused():
    checkpoint, _ = random_network(TrainSettings.model_validate(SMALL))
    settings = checkpoint.metadata.settings.model_copy(update={"network": "mine"})
    with pytest.raises(SettingsError, match="mine"):
        demo_page(replace(checkpoint, metadata=checkpoint.metadata.model_copy(update={"settings": settings})))
