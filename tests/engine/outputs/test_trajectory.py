"""Trajectories from noise to image."""

import io

import numpy as np
import pytest
from PIL import Image

from mnistdiff.engine.checkpoint.pretrained import PRETRAINED
from mnistdiff.engine.data.image_files import Picture
from mnistdiff.engine.data.transforms import to_uint8
from mnistdiff.engine.inference.model import load_model
from mnistdiff.engine.inference.sampling import BATCH_SIZE, Sample, SampleSpec, sample, specs_for_labels
from mnistdiff.engine.outputs.animation import animation
from mnistdiff.engine.outputs.sheets import sheet
from mnistdiff.engine.outputs.trajectory import Trajectory
from mnistdiff.engine.progress import collect, finish
from mnistdiff.engine.randomness import sampling_noise
from mnistdiff.errors import OutOfMemoryError, SettingsError
from mnistdiff.sample_settings import SampleSettings

SPECS = [SampleSpec(3, 5), SampleSpec(8, 6)]
STEPS = 7


def frames_of(content):
    with Image.open(io.BytesIO(content)) as moving:
        pictures, durations = [], []
        for number in range(moving.n_frames):
            moving.seek(number)
            pictures.append(np.asarray(moving.convert("L")))
            durations.append(moving.info["duration"])
        return pictures, durations, moving.info.get("loop")


@pytest.fixture(scope="module", params=["x_t", "x_0"])
def watched(request):
    trajectory = Trajectory(SPECS, request.param)
    model = load_model(PRETRAINED, weights="ema", device="cpu")
    images = collect(sample(model, SPECS, SampleSettings(steps=STEPS), on_step=trajectory.record))
    return request.param, trajectory, images


def test_a_trajectory_ends_in_the_image_and_x_t_begins_as_the_noise_of_its_seed(watched):
    view, trajectory, images = watched
    assert len(trajectory.frames) == STEPS + (view == "x_t")
    assert np.array_equal(trajectory.frames[-1], [image.pixels for image in images])
    if view == "x_t":
        assert np.array_equal(trajectory.frames[0], to_uint8(sampling_noise([5, 6], 0, (1, 28, 28))[:, 0]))
    distances = [np.abs(frame.astype(int) - trajectory.frames[-1]).mean() for frame in trajectory.frames]
    assert distances[0] > 4 * distances[-2] > 0


@pytest.mark.parametrize("kind", ["gif", "png"])
def test_an_animation_shows_every_frame_and_holds_the_last(watched, kind):
    _, trajectory, _ = watched
    pictures, durations, loop = frames_of(trajectory.animation(kind, {}))
    assert len(pictures) == len(trajectory.frames)
    for picture, frame in zip(pictures, trajectory.frames, strict=True):
        expected = sheet([Sample(spec.label, spec.seed, image) for spec, image in zip(SPECS, frame, strict=True)])
        assert np.abs(picture.astype(int) - expected).max() <= 1
    assert durations[-1] > 1000 > durations[0] >= 20
    assert loop == 0


def test_a_filmstrip_has_a_row_for_each_image_and_begins_and_ends_as_the_trajectory(watched):
    _, trajectory, _ = watched
    height, width = trajectory.filmstrip().shape
    assert len(trajectory.frames) * 56 < width < len(trajectory.frames) * 75
    assert 2 * 56 < height < 3 * 56


def test_a_long_trajectory_is_shown_in_part():
    trajectory = Trajectory(SPECS[:1], "x_0")
    trajectory.frames.extend(np.full((1, 28, 28), level, np.uint8) for level in range(200))
    strip = trajectory.filmstrip()
    row = strip[strip.shape[0] // 2][29:]  # to the right of the label
    levels = [level for level, before in zip(row[1:], row[:-1], strict=True) if level != before and level < 200]
    assert levels[0] == 0
    assert levels[-1] == 199
    assert len(set(levels)) == 12


def test_a_batch_that_had_to_be_halved_is_not_recorded():
    model = load_model(PRETRAINED, weights="ema", device="cpu")
    trajectory = Trajectory(SPECS, "x_0")
    with pytest.raises(OutOfMemoryError, match="animate 2 images at once"):
        finish(sample(model, SPECS, SampleSettings(steps=1), batch_size=1, on_step=trajectory.record))


def test_more_than_a_batch_is_not_recorded():
    Trajectory(specs_for_labels([1], BATCH_SIZE, 0), "x_t")
    with pytest.raises(SettingsError, match="65 images"):
        Trajectory(specs_for_labels([1], BATCH_SIZE + 1, 0), "x_t")


@pytest.mark.parametrize("kind", ["gif", "png"])
def test_the_same_frames_are_the_same_bytes(kind):
    frames = [np.random.default_rng(k).integers(0, 256, (30, 20), dtype=np.uint8) for k in range(4)]
    assert animation(frames, kind=kind, seconds=1) == animation(frames, kind=kind, seconds=1)
    pictures, durations, _ = frames_of(animation(frames, kind=kind, seconds=1))
    assert np.array_equal(pictures, frames)
    assert durations[:-1] == [250] * 3
    moving, shorter = (Picture("moving", animation(some, kind, seconds=1)) for some in (frames, frames[:-1]))
    assert moving.shows_the_same_as(Picture("slower", animation(frames, kind, seconds=2)))
    assert not moving.shows_the_same_as(shorter)
    assert not shorter.shows_the_same_as(moving)
    text = {"Software": "it", "story": "long: " + "\u00e9" * 1000}
    moving = Picture("moving", animation(frames, kind, text, seconds=1))
    assert [moving.text(keyword) for keyword in (*text, "nothing")] == [*text.values(), None]
