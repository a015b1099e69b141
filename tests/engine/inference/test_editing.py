"""Sample that begins with a picture."""

import numpy as np
import pytest

from mnistdiff.engine.checkpoint.pretrained import PRETRAINED
from mnistdiff.engine.inference.editing import HALVES, RePaint, SDEdit, half
from mnistdiff.engine.inference.sampling import ALL_DIGITS, SampleSpec, draw, load_model, requests
from mnistdiff.errors import SettingsError
from mnistdiff.settings import SampleSettings

WALKS = [("dpmpp_2m", 0.0), ("ddim", 0.5), ("ddpm", 0.0)]


@pytest.fixture(scope="module")
def model():
    return load_model(PRETRAINED, weights="ema", device="cpu")


@pytest.fixture(scope="module")
def nine(model):
    return drawn(model, [SampleSpec(9, 3)], SampleSettings())[0]


def drawn(model, wanted, settings, walk=None, **how):
    steps = list(draw(model, wanted, settings, **({"walk": walk} if walk else {}), **how))
    assert [step.done for step in steps] == list(range(1, steps[-1].total + 1))
    return np.stack([drawing.pixels for step in steps for drawing in step.drawings])


def distance(a, b):
    return float(np.abs(a.astype(float) - b).mean())


@pytest.mark.parametrize(("sampler", "eta"), WALKS)
def test_the_stronger_the_edit_the_less_is_left_of_the_picture(model, nine, sampler, eta):
    settings = SampleSettings(sampler=sampler, eta=eta, steps=6)
    wanted = requests(ALL_DIGITS, 2, 1)
    edits = [drawn(model, wanted, settings, SDEdit(image=nine, strength=s)) for s in (0.05, 0.5, 0.8, 1.0)]
    distances = [distance(images, nine) for images in edits]
    assert distances == sorted(distances)
    assert distances[0] < 4
    assert distances[-1] > 20


def test_at_full_strength_nothing_is_left_of_it(model, nine):
    """Cosine betas leave nothing of an image in x_T, so this is what sample draws."""
    wanted, settings = requests([2, 7], 2, 5), SampleSettings(steps=5)
    assert distance(drawn(model, wanted, settings, SDEdit(image=nine, strength=1)), drawn(model, wanted, settings)) < 1


@pytest.mark.parametrize(
    ("strength", "steps", "evaluations"), [(1, 10, 10), (0.5, 10, 10), (0.01, 10, 5), (0.0001, 10, 1), (0.6, 1, 1)]
)
def test_steps_are_evaluations_as_far_as_there_are_timesteps(model, nine, strength, steps, evaluations):
    settings = SampleSettings(steps=steps)
    assert (
        len(list(draw(model, [SampleSpec(4, 0)], settings, walk=SDEdit(image=nine, strength=strength)))) == evaluations
    )


@pytest.mark.parametrize("side", HALVES)
def test_inpainting_leaves_what_is_there_to_the_bit_and_draws_the_rest(model, nine, side):
    missing = half(side)
    walk = RePaint(image=nine, missing=missing, rounds=2)
    images = drawn(model, requests([9, 4], 2, 7), SampleSettings(steps=4), walk)
    assert (images[:, ~missing] == nine[~missing]).all()
    assert all(image[missing].max() > 100 for image in images)
    assert len({image.tobytes() for image in images}) == 4
    # What is hidden is not looked at.
    hidden = RePaint(image=np.where(missing, 77, nine).astype(np.uint8), missing=walk.missing, rounds=2)
    assert np.array_equal(drawn(model, requests([9, 4], 2, 7), SampleSettings(steps=4), hidden), images)


def test_the_four_halves_are_halves():
    assert all(half(side).sum() == 28 * 14 for side in HALVES)
    assert (half("left") ^ half("right")).all()
    assert (half("top") ^ half("bottom")).all()
    assert half("left")[5, 0]
    assert half("top")[0, 5]


@pytest.mark.parametrize("kind", ["edit", "inpaint"])
def test_an_image_does_not_depend_on_its_neighbours(model, nine, kind):
    walk = SDEdit(image=nine, strength=0.8)
    if kind == "inpaint":
        walk = RePaint(image=nine, missing=half("top"), rounds=3)
    wanted, settings = requests([3, 8], 3, 11), SampleSettings(steps=4, sampler="ddim", eta=1)
    together = drawn(model, wanted, settings, walk)
    assert np.array_equal(drawn(model, wanted, settings, walk, batch_size=4), together)
    for k, request in enumerate(wanted):
        assert np.array_equal(drawn(model, [request], settings, walk)[0], together[k])


@pytest.mark.parametrize(
    "make", [lambda i: SDEdit(image=i, strength=0.5), lambda i: RePaint(image=i, missing=i, rounds=1)]
)
def test_more_steps_than_timesteps_are_refused(model, nine, make):
    with pytest.raises(SettingsError, match="--steps 501"):
        next(draw(model, [SampleSpec(1, 1)], SampleSettings(steps=501), walk=make(nine)))
