"""A trained network through ONNX Runtime: digits are drawn in the time that importing torch would take a third of.

A graph is the network without its weights, so that one file serves every checkpoint of the same architecture: those of
the presets come with the package, others are made once by ``export`` and kept in the user's cache. The weights are
handed over when a session is made, and compared with the graph by name, shape and kind.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from mnistdiff.engine.libraries import require
from mnistdiff.engine.network.onnx_cache import discard_graph, keep_graph, kept_graph
from mnistdiff.engine.threads import thread_limit
from mnistdiff.errors import CheckpointError, MnistDiffError
from mnistdiff.settings import TrainSettings

SHIPPED_GRAPHS = Path(__file__).parents[2] / "assets" / "graphs"
IMAGES, TIMESTEPS, LABELS, PREDICTION = "x_t", "t", "labels", "prediction"
"""What a graph calls its inputs and its output."""


def graph_name(settings: TrainSettings) -> str:
    """What the graph of an architecture is called: everything that the network's shape depends on."""

    def listed(numbers: tuple[int, ...]) -> str:
        return ".".join(map(str, numbers))

    down, up = map(listed, settings.blocks_by_level())
    return (
        f"unet_channels-{listed(settings.channels)}_down-{down}_up-{up}"
        f"_embedding-{settings.embedding}_patch-{settings.patch_size}"
    )


def shipped_graph(settings: TrainSettings) -> Path:
    """Where the graph of an architecture is, if it came with the package."""
    return SHIPPED_GRAPHS / f"{graph_name(settings)}.onnx"


def _onnxruntime() -> ModuleType:
    """ONNX Runtime without its telemetry: from 1.29 on it reports to its makers unless told not to, before its import.

    See its docs/Privacy.md. Nothing that this program draws with may open a connection.
    """
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    require("onnxruntime")
    import onnxruntime

    onnxruntime.disable_telemetry_events()
    module: ModuleType = onnxruntime
    return module


class OnnxDenoiser:
    """A graph and its weights as a function of NumPy arrays, on the CPU.

    Args:
        graph: the bytes of a graph without weights.
        weights: by parameter name.
        source: what to call the weights in an error.

    Raises:
        CheckpointError: if the weights are not those of this network.
    """

    def __init__(self, graph: bytes, weights: Mapping[str, NDArray[np.float32]], *, source: str) -> None:
        onnxruntime = _onnxruntime()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = thread_limit().number
        # Threads that spin while they wait cost more than they save wherever something else wants the processor.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 4  # what it has to say, it also raises
        # Kept, since the session reads the weights where they are.
        self._arrays = [np.ascontiguousarray(array) for array in weights.values()]
        values = [onnxruntime.OrtValue.ortvalue_from_numpy(array) for array in self._arrays]
        options.add_external_initializers(list(weights), values)
        try:
            self._session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        # One exception for each status of its C interface, with no base of their own.
        except Exception as error:
            raise CheckpointError(
                f"{source} is corrupt: its tensors are not those of the network that its settings describe",
                "Use an earlier checkpoint of the run's checkpoints/ folder.",
            ) from error

    def __call__(self, x_t: NDArray[np.float32], t: int, labels: NDArray[np.int64]) -> NDArray[np.float32]:
        """The prediction for ``x_t``, shape (B, 1, 28, 28), at timestep ``t``, given ``labels``, shape (B,)."""
        timesteps = np.full(len(x_t), t, dtype=np.int64)
        [prediction] = self._session.run([PREDICTION], {IMAGES: x_t, TIMESTEPS: timesteps, LABELS: labels})
        array: NDArray[np.float32] = prediction
        return array


def open_graph(
    settings: TrainSettings, weights: Mapping[str, NDArray[np.float32]], *, source: str, make: bool
) -> OnnxDenoiser | None:
    """The network through ONNX Runtime; None if there is no graph of its architecture.

    Args:
        settings: of its training.
        weights: by parameter name.
        source: what to call the weights in an error.
        make: whether to make a graph anew, which takes half a minute, if the one that was kept cannot be believed.

    Raises:
        CheckpointError: if the weights are not those of this network.
    """
    shipped, name = shipped_graph(settings), graph_name(settings)
    if shipped.is_file():
        return OnnxDenoiser(shipped.read_bytes(), weights, source=source)
    graph = kept_graph(name)
    if graph is None and discard_graph(name) and make:
        graph = _made_anew(settings)
    if graph is None:
        return None
    try:
        return OnnxDenoiser(graph, weights, source=source)
    except CheckpointError:  # by a graph from elsewhere; PyTorch, which knows the network itself, decides whose fault
        discard_graph(name)
        return None


def _made_anew(settings: TrainSettings) -> bytes | None:
    """The graph of an architecture, kept from now on; None if the packages that write ONNX are not installed."""
    try:
        require("torch")
        from mnistdiff.engine.network.export import graph_of

        graph = graph_of(settings)
    except MnistDiffError:
        return None
    keep_graph(graph_name(settings), graph)
    return graph
