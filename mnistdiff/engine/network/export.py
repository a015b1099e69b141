"""Conversion of a PyTorch network into an ONNX graph, and into a complete ONNX file."""

import importlib
import json
import logging
import warnings
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from mnistdiff.engine.network import onnx_runtime
from mnistdiff.engine.network.build import build_network, load_network
from mnistdiff.engine.network.denoiser import TorchDenoiser
from mnistdiff.errors import SettingsError
from mnistdiff.settings import TrainSettings

if TYPE_CHECKING:
    import onnx

_OPSET = 20
_MAX_BATCH = 1_000_000
_CHECKED_IMAGES = 16


def make_graph(settings: TrainSettings) -> bytes:
    """Convert the network of the settings into an ONNX graph without weights.

    Raises:
        SettingsError: if the packages that write ONNX are not installed.
    """
    model = build_network(settings).eval()
    example = (torch.zeros(2, *settings.spec.image_shape), torch.arange(2), torch.zeros(2, dtype=torch.int64))
    batch = torch.export.Dim("batch", min=1, max=_MAX_BATCH)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    try:
        importlib.import_module("onnxscript")  # before the conversion, which takes seconds
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # deprecations within torch
            program = torch.onnx.export(
                model.for_export(),
                example,
                dynamo=True,
                optimize=False,  # this would fold weights, and round other than ONNX Runtime
                opset_version=_OPSET,
                dynamic_shapes=({0: batch}, {0: batch}, {0: batch}),
                input_names=[onnx_runtime.IMAGES, onnx_runtime.TIMESTEPS, onnx_runtime.LABELS],
                output_names=[onnx_runtime.PREDICTION],
                verbose=False,
            )
    except ImportError as error:
        raise SettingsError(
            "writing ONNX needs the packages onnx and onnxscript", "Install them: pip install 'mnistdiff[export]'"
        ) from error
    assert program is not None
    graph = _fold_constants(program.model_proto, {name for name, _ in model.named_parameters()})
    _strip_origins(graph)
    return bytes(graph.SerializeToString(deterministic=True))


def _fold_constants(graph: "onnx.ModelProto", weights: Collection[str]) -> "onnx.ModelProto":
    """Compute what does not depend on inputs or weights, and strip the weights; sessions then open in 3/4 of the time.

    Until then the weights are inputs, so that none is folded into a constant.
    """
    import onnx

    onnxruntime = onnx_runtime.import_onnxruntime()
    number, tensors = len(graph.graph.input), list(graph.graph.initializer)
    given = [tensor for tensor in tensors if tensor.name in weights]
    graph.graph.input.extend(onnx.helper.make_tensor_value_info(each.name, each.data_type, each.dims) for each in given)
    del graph.graph.initializer[:]
    graph.graph.initializer.extend(tensor for tensor in tensors if tensor.name not in weights)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.log_severity_level = 4
    with TemporaryDirectory() as folder:
        options.optimized_model_filepath = str(Path(folder, "graph.onnx"))
        onnxruntime.InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"])
        graph = onnx.load(options.optimized_model_filepath)
    del graph.graph.input[number:], graph.opset_import[:]  # which lists the operators of ONNX Runtime, too
    graph.opset_import.add(domain="", version=_OPSET)
    for tensor in given:
        _strip_weight(tensor)
    graph.graph.initializer.extend(given)
    return graph


def _strip_origins(graph: "onnx.ModelProto") -> None:
    """Remove the source files and lines of each node, which belong to the machine that exported it."""
    graph.graph.ClearField("value_info")
    graph.graph.ClearField("metadata_props")
    graph.ClearField("metadata_props")
    for node in graph.graph.node:
        for field in ("metadata_props", "doc_string", "name"):
            node.ClearField(field)


def _strip_weight(tensor: "onnx.TensorProto") -> None:
    """Remove the numbers of a weight; its name, shape and type stay, since a session is given the numbers."""
    import onnx

    length = len(tensor.raw_data)
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("location", "given with the session"), ("offset", "0"), ("length", str(length))):
        tensor.external_data.add(key=key, value=value)


def with_weights(graph: bytes, weights: Mapping[str, NDArray[np.float32]], *, class_names: Sequence[str] = ()) -> bytes:
    """Insert weights into a graph: a complete ONNX file. Inputs x_t (B, 1, H, W), t (B,), labels (B,).

    Class names are stored as the metadata ``class_names``, in JSON.
    """
    import onnx

    model = onnx.load_from_string(graph)
    if class_names:
        model.metadata_props.add(key="class_names", value=json.dumps(class_names, ensure_ascii=False))
    for tensor in model.graph.initializer:
        if tensor.name in weights:
            tensor.ClearField("external_data")
            tensor.ClearField("data_location")
            tensor.raw_data = np.ascontiguousarray(weights[tensor.name], dtype="<f4").tobytes()
    return bytes(model.SerializeToString(deterministic=True))


def export(settings: TrainSettings, weights: Mapping[str, NDArray[np.float32]], *, source: str) -> tuple[bytes, float]:
    """Convert a trained network into an ONNX file, and cache its graph for sampling without PyTorch.

    Returns:
        the bytes of the file, and the largest difference between its predictions and those of PyTorch.

    Raises:
        CheckpointError: if the weights are not those of this network.
        SettingsError: if the packages that write ONNX are not installed.
    """
    network = TorchDenoiser(load_network(settings, weights, torch.device("cpu"), source=source))
    graph = make_graph(settings)
    if not onnx_runtime.shipped_graph(settings).is_file():
        onnx_runtime.cache_graph(settings, graph)
    dataset = settings.spec
    content = with_weights(graph, weights, class_names=() if dataset.has_digits else dataset.class_names)
    rng = np.random.default_rng(0)
    x_t = rng.standard_normal((_CHECKED_IMAGES, *settings.spec.image_shape), dtype=np.float32)
    labels = np.arange(_CHECKED_IMAGES, dtype=np.int64) % (settings.spec.null_label + 1)
    exported = onnx_runtime.OnnxDenoiser(content, {}, source=source)
    times = (0, settings.timesteps // 2, settings.timesteps - 1)
    return content, max(float(np.abs(exported(x_t, t, labels) - network(x_t, t, labels)).max()) for t in times)
