"""Provenance metadata hold everything that it takes to sample an image again."""

import base64
import json

import numpy as np
import pytest

from mnistdiff.engine.checkpoint.pretrained import PRETRAINED
from mnistdiff.engine.data.image_files import Picture
from mnistdiff.engine.inference.editing import RePaint, SDEdit, half
from mnistdiff.engine.inference.model import load_model
from mnistdiff.engine.inference.sampling import SampleSpec, sample, specs_for_labels
from mnistdiff.engine.outputs.animation import animation
from mnistdiff.engine.outputs.encode import encode_samples
from mnistdiff.engine.outputs.png import encode_png
from mnistdiff.engine.outputs.provenance import KEYWORD, Origin, Provenance
from mnistdiff.engine.outputs.reproduction import reproduce
from mnistdiff.engine.outputs.sheets import require_image_count
from mnistdiff.engine.progress import collect
from mnistdiff.errors import SettingsError, StorageError
from mnistdiff.sample_settings import SampleSettings
from mnistdiff.setting_types import MAX_SEED

SETTINGS = SampleSettings(steps=3, guidance=2.0, guidance_interval="0.1:0.9", sampler="ddim", eta=0.5)
SPECS = {
    "one image": [SampleSpec(7, 42)],
    "a sheet": specs_for_labels(range(10), 3, 5),
    "a number": [SampleSpec(2, 9), SampleSpec(0, 10), SampleSpec(2, 11), SampleSpec(2, 12)],
    "the last seed": [SampleSpec(1, MAX_SEED)],
}


DIGIT = np.pad(np.full((20, 4), 255, np.uint8), ((4, 4), (12, 12)))
BLANK = base64.b64encode(bytes(784)).decode()


@pytest.fixture(scope="module", params=["onnx", "torch"])
def model(request):
    return load_model(PRETRAINED, weights="ema", device="cpu", backend=request.param)


def sampled(model, specs):
    return collect(sample(model, specs, SETTINGS, batch_size=4))


@pytest.mark.parametrize("kind", SPECS)
def test_an_image_holds_what_it_takes_to_sample_it_again(model, kind):
    content = encode_samples(sampled(model, SPECS[kind]), Origin(model, SETTINGS))
    source = Provenance.of(Picture("picture.png", content))
    assert source.settings == SETTINGS
    assert (source.checkpoint, source.backend) == (model.sha256, model.backend)
    assert source.specs == SPECS[kind]
    if model.backend == "onnx":  # in torch, an image may differ by a grey level with the batch it is sampled in
        assert reproduce(source, PRETRAINED) == content


@pytest.mark.parametrize(
    "process",
    [
        SDEdit(image=DIGIT, strength=0.7),
        RePaint(image=DIGIT, missing=half("right", 28), resample_steps=2),
    ],
    ids=["edit", "inpaint"],
)
def test_an_image_sampled_from_an_image_holds_that_too(process):
    model = load_model(PRETRAINED, weights="ema", device="cpu")
    images = collect(sample(model, specs_for_labels([4, 9], 2, 3), SETTINGS, process=process))
    content = encode_samples(images, Origin(model, SETTINGS, process))
    source = Provenance.of(Picture("edited.png", content))
    assert type(source.process) is type(process)
    for name, value in vars(process).items():
        np.testing.assert_array_equal(getattr(source.process, name), value)
    assert reproduce(source, PRETRAINED) == content
    assert reproduce(source.model_copy(update={"walk": None}), PRETRAINED) != content


def valid():
    return {
        "version": "1",
        "checkpoint": "0" * 64,
        "backend": "onnx",
        "settings": SampleSettings().model_dump(mode="json"),
        "rows": [[7, 0, 1]],
    }


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[",
        "[" * 100_000,
        "null",
        "7",
        "{}",
        json.dumps(valid() | {"more": 1}),
        json.dumps(valid() | {"checkpoint": "../../etc"}),
        json.dumps(valid() | {"backend": "os"}),
        json.dumps(valid() | {"rows": []}),
        json.dumps(valid() | {"rows": [[255, 0, 1]]}),
        json.dumps(valid() | {"rows": [[7, 0, 10**9]]}),
        json.dumps(valid() | {"rows": [[7, 0, 9999]] * 2}),
        json.dumps(valid() | {"rows": [[7, 0, 1]] * 10_001}),
        json.dumps(valid() | {"settings": {"steps": 10**9}}),
        json.dumps(valid() | {"settings": {"steps": float("nan")}}),
        json.dumps(valid() | {"walk": {"image": BLANK, "strength": 0}}),
        json.dumps(valid() | {"sweeps": [["__class__", [1]]]}),
        json.dumps(valid() | {"sweeps": [["steps", [0]]]}),
        json.dumps(valid() | {"sweeps": [["steps", []]]}),
        json.dumps(valid() | {"sweeps": [["steps", list(range(1, 200))], ["guidance", list(range(100))]]}),
        json.dumps(valid() | {"sweeps": [["steps", [1]]], "walk": {"image": BLANK, "strength": 1}}),
        json.dumps(valid() | {"frames": 5}),
        json.dumps(valid() | {"frames": 10**9, "rows": [[7, 0, 2]]}),
        json.dumps(valid() | {"film": "x_T"}),
        json.dumps(valid() | {"film": "x_t", "frames": 5, "rows": [[7, 0, 2]]}),
        json.dumps(valid() | {"film": "x_t", "sweeps": [["steps", [1]]]}),
        json.dumps(valid() | {"film": "x_t", "animated": "mp4"}),
        json.dumps(valid() | {"animated": "gif"}),
        json.dumps(valid() | {"film": "x_t", "rows": [[7, 0, 65]]}),
        json.dumps(valid() | {"walk": {"image": BLANK[:-4], "strength": 1}}),
        json.dumps(valid() | {"walk": {"image": "\u00e4" * 1048, "strength": 1}}),
        json.dumps(valid() | {"walk": {"image": 784 * [0], "strength": 1}}),
        json.dumps(valid() | {"walk": {"image": BLANK, "missing": BLANK, "rounds": 10**9}}),
        json.dumps(valid() | {"walk": {"image": BLANK, "missing": BLANK, "rounds": 1, "strength": 1}}),
    ],
    ids=lambda text: text[:20],
)
def test_a_forged_provenance_is_refused(text):
    forged = encode_png(np.zeros((28, 28), np.uint8), {KEYWORD: text})
    with pytest.raises(StorageError, match=r"forged.png"):
        Provenance.of(Picture("forged.png", forged))
    moving = animation([np.zeros((28, 28), np.uint8)] * 2, "gif", {KEYWORD: text}, seconds=1)
    with pytest.raises(StorageError, match=r"forged.gif"):
        Provenance.of(Picture("forged.gif", moving))


def test_what_is_no_image_or_has_no_provenance_is_named():
    with pytest.raises(StorageError, match="silent.png"):
        Provenance.of(Picture("silent.png", encode_png(np.zeros((28, 28), np.uint8))))
    with pytest.raises(StorageError, match="text.png"):
        Provenance.of(Picture("text.png", b"I am a picture"))


def test_a_sheet_has_an_end():
    require_image_count(10_000)
    with pytest.raises(SettingsError, match="10,001"):
        require_image_count(10_001)
