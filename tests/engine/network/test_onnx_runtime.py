"""ONNX Runtime and PyTorch compute the same predictions and pixels, and refuse the same weights."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from mnistdiff.engine.checkpoint.pretrained import PRETRAINED
from mnistdiff.engine.inference.model import load_model
from mnistdiff.engine.inference.sampling import sample, specs_for_labels
from mnistdiff.engine.network.build import build_network
from mnistdiff.engine.network.denoiser import TorchDenoiser
from mnistdiff.engine.network.onnx_runtime import SHIPPED_GRAPHS, OnnxDenoiser, graph_name, shipped_graph
from mnistdiff.engine.progress import collect
from mnistdiff.errors import CheckpointError, SettingsError
from mnistdiff.pictures import Pictures
from mnistdiff.preset_table import PRESETS
from mnistdiff.sample_settings import SampleSettings
from mnistdiff.settings import TrainSettings

RNG = np.random.default_rng(0)


def random_network(settings):
    """All weights random: a network fresh from its initialisation predicts nothing but zeros."""
    model = build_network(settings)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.from_numpy(0.3 * RNG.standard_normal(parameter.shape, dtype=np.float32)))
    return model, {name: p.detach().numpy() for name, p in model.named_parameters()}


@pytest.fixture(scope="module", params=PRESETS)
def preset(request):
    settings = TrainSettings(**PRESETS[request.param])
    return settings, *random_network(settings)


def pixels(model, wanted, settings, **options):
    drawings = collect(sample(model, wanted, settings, **options))
    return np.array([drawing.pixels for drawing in drawings]).astype(int)


@pytest.mark.parametrize("batch", [1, 7])
def test_the_graph_of_a_preset_predicts_what_its_network_predicts(preset, batch):
    settings, model, weights = preset
    path = shipped_graph(settings)
    through_onnx, through_torch = OnnxDenoiser(path.read_bytes(), weights, source="it"), TorchDenoiser(model)
    x_t = RNG.standard_normal((batch, 1, 28, 28), dtype=np.float32)
    labels = RNG.integers(0, 11, batch)
    for t in (0, 77, settings.timesteps - 1):
        expected = through_torch(x_t, t, labels)
        assert np.abs(expected).max() > 0.1
        np.testing.assert_allclose(
            through_onnx(x_t, t, labels), expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max()
        )


def test_the_shipped_graphs_are_those_of_the_presets():
    names = {graph_name(TrainSettings(**PRESETS[name])) for name in PRESETS}
    assert {path.stem for path in SHIPPED_GRAPHS.glob("*.onnx")} == names


SETTINGS_OF_THE_SHAPE = {
    "patch_size": 1,
    "channels": (8, 16),
    "down_blocks": (2, 1),
    "up_blocks": (1, 1),
    "embedding": 64,
}


def test_the_name_of_a_graph_is_a_function_of_the_architecture_alone():
    usual = graph_name(TrainSettings())
    different = {graph_name(TrainSettings(**{name: value})) for name, value in SETTINGS_OF_THE_SHAPE.items()}
    assert len(different | {usual}) == len(SETTINGS_OF_THE_SHAPE) + 1
    assert graph_name(TrainSettings(down_blocks=(1, 1), timesteps=1000, prediction="v_prediction", lr=1.0)) == usual


@pytest.mark.parametrize("kind", ["missing", "unknown", "smaller", "reshaped", "double"])
def test_weights_of_another_network_are_refused(kind):
    settings = TrainSettings(**PRESETS["tiny"])
    _, weights = random_network(settings)
    name = "stem.weight"
    array = weights[name]
    if kind == "missing":
        del weights[name]
    else:
        change = {
            "unknown": {"stem.height": array},
            "smaller": {name: array[:1]},
            "reshaped": {name: array.reshape(-1)},
            "double": {name: array.astype(np.float64)},
        }
        weights |= change[kind]
    with pytest.raises(CheckpointError, match="my file is corrupt: its tensors are not those of the network"):
        OnnxDenoiser(shipped_graph(settings).read_bytes(), weights, source="my file")


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"guidance": 0.0, "sampler": "ddim", "eta": 1.0},
        {"guidance": 3.0, "sampler": "ddpm", "steps": 12},
        {"guidance_interval": "0.2:0.8", "spacing": "even"},
    ],
    ids=str,
)
def test_both_backends_sample_the_same_pixels(changes):
    settings = SampleSettings(**changes)
    wanted = specs_for_labels(range(10), 1, 5)
    through_onnx, through_torch = (
        pixels(load_model(PRETRAINED, weights="ema", device="cpu", backend=backend), wanted, settings)
        for backend in ("onnx", "torch")
    )
    assert np.abs(through_onnx - through_torch).max() <= 1


def test_an_image_does_not_depend_on_its_batch():
    model = load_model(PRETRAINED, weights="ema", device="auto")
    assert isinstance(model.denoiser, OnnxDenoiser)
    wanted = specs_for_labels(range(10), 1, 3)
    together, alone = (pixels(model, wanted, SampleSettings(), batch_size=size) for size in (10, 1))
    assert np.abs(together - alone).max() <= 1


def test_an_unavailable_backend_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("mnistdiff.engine.network.onnx_runtime.SHIPPED_GRAPHS", tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert isinstance(load_model(PRETRAINED, weights="ema", device="cpu").denoiser, TorchDenoiser)
    with pytest.raises(SettingsError, match="`backend` onnx: there is no graph for") as refused:
        load_model(PRETRAINED, weights="ema", device="cpu", backend="onnx")
    assert "mnistdiff export" in refused.value.hint
    with pytest.raises(SettingsError, match="`backend` onnx: it does not run on cuda"):
        load_model(PRETRAINED, weights="ema", device="cuda", backend="onnx")


SAMPLES = """
import os, sys
from mnistdiff.cli.app import run
unneeded = {"torch", "matplotlib", "rich", "platformdirs", "PIL.GifImagePlugin", "mnistdiff.engine.data.decoding"}
assert run(["sample", "-d", "7", "-n", "2", "-o", "here/"]) == 0
print(sorted({"PIL", *unneeded} & sys.modules.keys()))
assert run(["grid", "-n", "1"]) == 0
print(sorted(unneeded & sys.modules.keys()), os.environ["ORT_DISABLE_TELEMETRY"])
"""


def test_sampling_loads_only_what_it_needs_and_leaves_no_telemetry(environment, tmp_path):
    """From 1.29 on, ONNX Runtime keeps an identifier of the machine in the cache folder and sends usage data."""
    home = {"HOME": str(tmp_path / "home"), "XDG_CACHE_HOME": None}
    done = subprocess.run(
        [sys.executable, "-c", SAMPLES], cwd=tmp_path, env=environment(**home), capture_output=True, check=True
    )
    assert done.stdout.decode().splitlines()[2::2] == ["[]", "[] 1"]
    assert list(tmp_path.glob("home/**/*")) == []
    assert len(list(tmp_path.rglob("*.png"))) == 3


def test_the_number_of_threads_changes_no_pixel(monkeypatch):
    images = []
    for number in ("1", "2"):
        monkeypatch.setenv("OMP_NUM_THREADS", number)
        images.append(
            pixels(
                load_model(PRETRAINED, weights="ema", device="cpu"), specs_for_labels((3, 8), 2, 0), SampleSettings()
            )
        )
    assert np.array_equal(*images)


@pytest.mark.soak  # the conversion takes most of its time for an import
def test_the_graph_of_larger_images_of_other_classes_predicts_what_its_network_predicts():
    pytest.importorskip("onnxscript")
    from mnistdiff.engine.network.export import make_graph

    record = {"title": "it", "class_names": ["a", "b"], "class_counts": [2, 2], "digest": "0" * 64, "fit": "pad"}
    settings = TrainSettings(
        **{"dataset": "pictures", "channels": (4, 8), "embedding": 8},
        pictures=Pictures(**record, image_size=64, inverted=False, border=0),
    )
    model, weights = random_network(settings)
    through_onnx = OnnxDenoiser(make_graph(settings), weights, source="it")
    x_t, labels = RNG.standard_normal((3, 1, 64, 64), dtype=np.float32), np.arange(3)
    expected = TorchDenoiser(model)(x_t, 7, labels)
    np.testing.assert_allclose(through_onnx(x_t, 7, labels), expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())
    assert graph_name(settings) != graph_name(settings.model_copy(update={"dataset": "mnist", "pictures": None}))
