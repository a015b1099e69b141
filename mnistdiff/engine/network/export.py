"""From the network in torch to a graph for ONNX Runtime, and to a complete ONNX file."""

import logging
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor, nn

from mnistdiff.engine.network.denoiser import TorchDenoiser, build_unet
from mnistdiff.engine.network.onnx_cache import keep_graph
from mnistdiff.engine.network.onnx_runtime import (
    IMAGES,
    LABELS,
    PREDICTION,
    TIMESTEPS,
    OnnxDenoiser,
    graph_name,
    shipped_graph,
)
from mnistdiff.engine.network.unet import ConditionalUNet
from mnistdiff.engine.storage import write_atomically
from mnistdiff.errors import SettingsError
from mnistdiff.presets import PRESETS
from mnistdiff.settings import IMAGE_SIZE, NULL_LABEL, TrainSettings

if TYPE_CHECKING:
    import onnx

_OPSET = 20
_MAX_BATCH = 1_000_000
_CHECKED_IMAGES = 16


class _GroupNormByRows(nn.GroupNorm):
    """Group normalisation as a normalisation of rows: ONNX Runtime has no kernel of its own for the former.

    Sample takes three quarters of the time.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        rows = x.reshape(x.shape[0], self.num_groups, -1)  # (B, groups, C / groups H W)
        normalised = F.layer_norm(rows, rows.shape[2:], eps=self.eps).reshape(x.shape)
        return normalised * self.weight[:, None, None] + self.bias[:, None, None]


def graph_of(settings: TrainSettings) -> bytes:
    """The graph of an architecture, without weights.

    Raises:
        SettingsError: if the packages that write ONNX are not installed.
    """
    model = ConditionalUNet.from_settings(settings).eval()
    for module in model.modules():
        if isinstance(module, nn.GroupNorm):
            module.__class__ = _GroupNormByRows
    example = (torch.zeros(2, 1, IMAGE_SIZE, IMAGE_SIZE), torch.arange(2), torch.arange(2))
    batch = torch.export.Dim("batch", min=1, max=_MAX_BATCH)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of how torch uses its own parts
            program = torch.onnx.export(
                model,
                example,
                dynamo=True,
                # Optimised when it is loaded. Here it would fold weights into new constants.
                optimize=False,
                opset_version=_OPSET,
                dynamic_shapes=({0: batch}, {0: batch}, {0: batch}),
                input_names=[IMAGES, TIMESTEPS, LABELS],
                output_names=[PREDICTION],
                verbose=False,
            )
    except ImportError as error:
        raise SettingsError(
            "writing ONNX needs the packages onnx and onnxscript", "Install them: pip install 'mnistdiff[export]'"
        ) from error
    assert program is not None
    graph = program.model_proto
    _forget_origins(graph)
    for tensor in graph.graph.initializer:
        if tensor.name in dict(model.named_parameters()):
            _expect(tensor)
    return bytes(graph.SerializeToString(deterministic=True))


def ship_graphs() -> None:
    """Write the graphs of the presets into the package: to be done after a change of the network."""
    for preset in PRESETS.values():
        settings = TrainSettings(**preset)
        path = shipped_graph(settings)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, graph_of(settings), durable=False)


def _forget_origins(graph: "onnx.ModelProto") -> None:
    """Leave out where each node came from: the files and lines of whoever exported it."""
    graph.graph.ClearField("value_info")
    graph.graph.ClearField("metadata_props")
    graph.ClearField("metadata_props")
    for node in graph.graph.node:
        for field in ("metadata_props", "doc_string", "name"):
            node.ClearField(field)


def _expect(tensor: "onnx.TensorProto") -> None:
    """Declare a weight that is handed over with the session: name, shape and kind stay, the numbers go."""
    import onnx

    length = len(tensor.raw_data)
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("location", "given with the session"), ("offset", "0"), ("length", str(length))):
        tensor.external_data.add(key=key, value=value)


def with_weights(graph: bytes, weights: Mapping[str, NDArray[np.float32]]) -> bytes:
    """A complete ONNX file: a graph with its weights in it. Inputs x_t (B, 1, 28, 28), t (B,), labels (B,)."""
    import onnx

    model = onnx.load_from_string(graph)
    for tensor in model.graph.initializer:
        if tensor.name in weights:
            tensor.ClearField("external_data")
            tensor.ClearField("data_location")
            tensor.raw_data = np.ascontiguousarray(weights[tensor.name], dtype="<f4").tobytes()
    return bytes(model.SerializeToString(deterministic=True))


def export(settings: TrainSettings, weights: Mapping[str, NDArray[np.float32]], *, source: str) -> tuple[bytes, float]:
    """A trained network as an ONNX file; its graph is kept in the user's cache, from where ``sample`` takes it.

    Returns:
        the bytes of the file, and the largest difference between its predictions and those of torch.

    Raises:
        CheckpointError: if the weights are not those of this network.
        SettingsError: if the packages that write ONNX are not installed.
    """
    network = TorchDenoiser(build_unet(settings, weights, torch.device("cpu"), source=source))
    graph = graph_of(settings)
    if not shipped_graph(settings).is_file():
        keep_graph(graph_name(settings), graph)
    content = with_weights(graph, weights)
    rng = np.random.default_rng(0)
    x_t = rng.standard_normal((_CHECKED_IMAGES, 1, IMAGE_SIZE, IMAGE_SIZE), dtype=np.float32)
    labels = np.arange(_CHECKED_IMAGES, dtype=np.int64) % (NULL_LABEL + 1)
    exported = OnnxDenoiser(content, {}, source=source)
    times = (0, settings.timesteps // 2, settings.timesteps - 1)
    return content, max(float(np.abs(exported(x_t, t, labels) - network(x_t, t, labels)).max()) for t in times)
