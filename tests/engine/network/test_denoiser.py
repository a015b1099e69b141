import re

import numpy as np
import pytest
import torch

from mnistdiff.engine.network.build import build_network, load_network, require_same_shapes
from mnistdiff.engine.network.denoiser import TorchDenoiser
from mnistdiff.errors import CheckpointError
from mnistdiff.setting_types import NETWORKS
from mnistdiff.settings import TrainSettings

CPU = torch.device("cpu")
SETTINGS = TrainSettings(patch_size=4, channels=(4,), embedding=4)


@pytest.fixture
def weights():
    shapes = {name: tuple(p.shape) for name, p in build_network(SETTINGS).named_parameters()}
    rng = np.random.default_rng(0)
    return {name: rng.standard_normal(shape, dtype=np.float32) for name, shape in shapes.items()}


def test_a_loaded_network_has_a_copy_of_the_weights(weights):
    model = load_network(SETTINGS, weights, CPU, source="a file")
    for name, parameter in model.named_parameters():
        np.testing.assert_array_equal(parameter.detach().numpy(), weights[name])
    weights["head.bias"] += 1
    assert not np.array_equal(model.head.bias.detach().numpy(), weights["head.bias"])


@pytest.mark.parametrize(
    ("spoil", "found", "wanted"),
    [
        (lambda weights: weights.pop("head.bias"), "missing", "(16,)"),
        (lambda weights: weights.update({"head.extra": np.zeros(3, np.float32)}), "(3,)", "missing"),
        (lambda weights: weights.update({"head.bias": np.zeros((16, 1), np.float32)}), "(16, 1)", "(16,)"),
        (lambda weights: weights.update({"head.bias": np.zeros((), np.float32)}), "()", "(16,)"),
        (lambda weights: weights.update({"head.scalar": np.zeros((), np.float32)}), "()", "missing"),
    ],
    ids=["missing", "unknown", "another shape", "a number", "unknown number"],
)
def test_weights_of_another_network_are_refused_by_name(weights, spoil, found, wanted):
    spoil(weights)
    said = rf"a file is corrupt: tensor 'head\.\w+' is {re.escape(found)}, but its settings make it {re.escape(wanted)}"
    with pytest.raises(CheckpointError, match=said):
        load_network(SETTINGS, weights, CPU, source="a file")


def test_the_weights_of_a_network_of_other_settings_are_refused(weights):
    wider = SETTINGS.model_copy(update={"channels": (8,)})
    with pytest.raises(CheckpointError, match="but its settings make it"):
        load_network(wider, weights, CPU, source="a file")


def test_equal_names_and_shapes_are_accepted():
    require_same_shapes({"a": (2, 3), "b": ()}, {"b": np.float32(1), "a": np.ones((2, 3))}, source="a file")


def test_a_network_too_large_for_the_machine_is_refused_before_it_takes_memory(weights, monkeypatch):
    built, build = [], NETWORKS["unet"]
    monkeypatch.setitem(NETWORKS._entries, "unet", lambda values: built.append(build(values)) or built[0])
    huge = TrainSettings(patch_size=1, channels=(256, 256, 256), down_blocks=(8,), up_blocks=(8,), embedding=1024)
    with pytest.raises(CheckpointError, match="corrupt"):
        load_network(huge, weights, CPU, source="a file")
    assert all(parameter.is_meta for parameter in built[0].parameters())


def test_a_denoiser_is_the_network_as_a_function_of_arrays(weights):
    model = load_network(SETTINGS, weights, CPU, source="a file")
    x_t = np.random.default_rng(1).standard_normal((3, 1, 28, 28), dtype=np.float32)
    labels = np.array([0, 7, 10])
    found = TorchDenoiser(model)(x_t, 41, labels)
    with torch.no_grad():
        expected = model(torch.from_numpy(x_t), torch.full((3,), 41), torch.from_numpy(labels))
    assert found.dtype == np.float32
    assert found.flags.c_contiguous
    torch.testing.assert_close(torch.from_numpy(found), expected.contiguous(), rtol=1e-5, atol=1e-5)
    assert not np.array_equal(found, TorchDenoiser(model)(x_t, 40, labels))
