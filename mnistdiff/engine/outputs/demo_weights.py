"""The weights of a page: those of the network in the order that is stored, and those of the classifier that reads."""

from collections.abc import Mapping
from importlib import resources

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray

from mnistdiff.errors import CheckpointError, SettingsError
from mnistdiff.settings import TrainSettings

NETWORK = "unet"
"""The network that the page can compute."""
_TIME_WIDTH = 64
_EPSILON = 1e-5
_CLASSIFIER = "classifier_conv.safetensors"
_CONVOLUTIONS = (0, 4, 7, 11, 14, 18)
"""Places of the convolutions in ``ConvClassifier.body``; a pooling, if any, and a normalisation follow."""
_POOLED = (0, 7, 14)
_DENSE = 22

Arrays = Mapping[str, NDArray[np.floating]]


def require_network(settings: TrainSettings, weights: Arrays, *, source: str) -> None:
    """Check that weights are those of the network ``unet`` of these settings.

    Raises:
        SettingsError: for another network.
        CheckpointError: if a weight is missing, unknown, of another shape, or too large for half precision.
    """
    if settings.network != NETWORK:
        raise SettingsError(
            f"{source} is of the network {settings.network}, and a page computes the network {NETWORK} alone",
            "Export it as ONNX.",
        )
    found = {name: array.shape for name, array in weights.items()}
    if found != _shapes(settings):
        raise CheckpointError(
            f"{source} is corrupt: its tensors are not those of the network that its settings describe",
            "Use an earlier checkpoint of the run's checkpoints/ folder.",
        )
    for name, array in weights.items():
        if np.abs(array).max() > np.finfo(np.float16).max:
            raise CheckpointError(f"{source} holds a weight that is too large for half precision, in {name}")


def _shapes(settings: TrainSettings) -> dict[str, tuple[int, ...]]:
    """The shape of each weight of ``ConditionalUNet``."""
    channels, embedding, patch = settings.channels, settings.embedding, settings.patch_size**2
    weights: dict[str, tuple[int, ...]] = {
        "embed_time.0": (embedding, _TIME_WIDTH),
        "embed_time.2": (embedding, embedding),
        "stem": (channels[0], patch, 3, 3),
        "head": (patch, channels[0], 3, 3),
        "attention.query_key_value": (3 * channels[-1], channels[-1], 1, 1),
        "attention.project": (channels[-1], channels[-1], 1, 1),
    }
    norms = {"norm": channels[0], "attention.norm": channels[-1]}
    for way, numbers in zip(("down", "up"), settings.blocks_by_level(), strict=True):
        for level, (width, number) in enumerate(zip(channels, numbers, strict=True)):
            for block in (f"{way}.{level}.{each}" for each in range(number)):
                weights |= {f"{block}.conv_{each}": (width, width, 3, 3) for each in (1, 2)}
                weights[f"{block}.scale_shift"] = (2 * width, embedding)
                norms |= {f"{block}.norm_{each}": width for each in (1, 2)}
    for level, (fine, coarse) in enumerate(zip(channels, channels[1:], strict=False)):
        weights[f"downsample.{level}"] = (coarse, fine, 2, 2)
        weights[f"upsample.{level}.expand"] = (4 * fine, coarse, 1, 1)
        weights[f"upsample.{level}.merge"] = (fine, 2 * fine, 1, 1)
    shapes = {f"{name}.weight": shape for name, shape in weights.items()}
    shapes |= {f"{name}.bias": shape[:1] for name, shape in weights.items()}
    shapes |= {f"{name}.{part}": (width,) for name, width in norms.items() for part in ("weight", "bias")}
    return {**shapes, "embed_label.weight": (settings.spec.num_classes + 1, embedding)}


def classifier_weights() -> dict[str, NDArray[np.floating]]:
    """The weights of the bundled classifier ``conv`` of MNIST; each normalisation is a scale and a shift."""
    content = resources.files("mnistdiff").joinpath("assets", _CLASSIFIER).read_bytes()
    stored = safetensors.numpy.load(content)

    def layer(name: str, place: int, normalisation: int) -> dict[str, NDArray[np.floating]]:
        norm = {part: stored[f"model.body.{normalisation}.{part}"] for part in ("weight", "bias", "running_mean")}
        scale = norm["weight"] / np.sqrt(stored[f"model.body.{normalisation}.running_var"] + _EPSILON)
        shift = norm["bias"] - norm["running_mean"] * scale
        parts = {"weight": stored[f"model.body.{place}.weight"], "scale": scale, "shift": shift}
        return {f"classifier.{name}.{part}": array for part, array in parts.items()}

    weights: dict[str, NDArray[np.floating]] = {}
    for number, place in enumerate(_CONVOLUTIONS):
        weights |= layer(str(number), place, place + 1 + (place in _POOLED))
    weights |= layer("dense", _DENSE, _DENSE + 1)
    return weights | {f"classifier.head.{part}": stored[f"model.head.{part}"] for part in ("weight", "bias")}
