"""What a checkpoint's own record says of how far it was trained."""

import pytest
from checkpoints import metadata_at

from mnistdiff.engine.checkpoint.metadata import Fingerprint
from mnistdiff.engine.checkpoint.model_info import HARDLY_TRAINED_IMAGES, ModelInfo
from mnistdiff.engine.checkpoint.pretrained import PRETRAINED
from mnistdiff.preset_table import PRESETS
from mnistdiff.settings import TrainSettings


def subject(step, num_images=60_000, **settings):
    preset = PRESETS[settings.get("preset", "base")]
    metadata = metadata_at(
        step,
        TrainSettings(**{**preset, **settings}),
        num_images,
        kind="training",
        recent_losses=(),
        epoch_loss_sum=0.0,
        fingerprint=Fingerprint(mnistdiff="1", torch="2", threads="1", device="cpu", layout="channels_last"),
    )
    return ModelInfo.of(PRETRAINED.parent / "mine.safetensors", metadata, "ab" * 32)


@pytest.mark.parametrize("num_images", [5_000, 60_000])
@pytest.mark.parametrize(("preset", "steps"), [("tiny", 1_500), ("fast", 2_500)])
def test_a_finished_run_of_a_preset_is_fully_trained_and_one_step_before_it_is_not(preset, steps, num_images):
    assert subject(steps, num_images, preset=preset).notices == ()
    [notice] = subject(steps - 1, num_images, preset=preset).notices
    assert "unfinished" in notice
    assert f"step {steps - 1:,} of {steps:,}" in notice


@pytest.mark.parametrize(
    ("step", "num_images", "planned", "word"),
    [
        (0, 60_000, {"preset": "fast"}, "unfinished"),
        (25, 60_000, {"preset": "fast"}, "unfinished"),
        (469 * 199, 60_000, {}, "unfinished"),  # of 200 epochs
        (469 * 200, 60_000, {}, ""),
        (25, 60_000, {"max_steps": 25}, "hardly trained"),
        (40, 5_000, {"epochs": 1}, "hardly trained"),
        (39, 5_000, {"epochs": 1}, "unfinished"),
        (469, 60_000, {"epochs": 1}, ""),
        (469, 60_000, {"epochs": 2, "max_steps": 469}, ""),
        (840, 60_000, {"preset": "fast", "max_steps": 840}, ""),  # five minutes
    ],
)
def test_the_planned_end_and_the_images_seen_decide(step, num_images, planned, word):
    notices = subject(step, num_images, **planned).notices
    assert [word in notice for notice in notices] == ([True] if word else [])


def test_the_number_of_images_decides_to_the_image():
    at, below = (subject(1, n, batch_size=n, max_steps=1) for n in (HARDLY_TRAINED_IMAGES, HARDLY_TRAINED_IMAGES - 1))
    assert not at.is_hardly_trained
    assert below.is_hardly_trained


def test_the_bundled_model_is_fully_trained():
    assert ModelInfo.read(PRETRAINED).notices == ()


def test_the_bundled_model_is_offered_in_place_of_models_of_digits_alone():
    assert "bundled" in subject(25, dataset="mnist-5k").notices[0]
    assert "bundled" not in subject(25, dataset="kmnist").notices[0]
    assert "is_of_digits" not in subject(25).to_dict()
