"""Evaluation of a network with ONNX Runtime: sampling a digit takes a third of the time of importing torch.

A graph is a network without its weights, so that one file serves every checkpoint of an architecture. The graphs of the
presets come with the package; ``export`` makes others once and keeps them in the user's cache. The weights are given to
the session, which compares their names, shapes and types with the graph.
"""

import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from mnistdiff.engine.libraries import require
from mnistdiff.engine.threads import thread_limit
from mnistdiff.errors import CheckpointError, MnistDiffError
from mnistdiff.setting_types import NETWORKS
from mnistdiff.settings import TrainSettings

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

SHIPPED_GRAPHS = Path(__file__).parents[2] / "assets" / "graphs"
IMAGES, TIMESTEPS, LABELS, PREDICTION = "x_t", "t", "labels", "prediction"
"""The names of the inputs and the output of a graph."""


def graph_name(settings: TrainSettings) -> str:
    """The name of the graph of an architecture: the network and every setting that its shape depends on."""

    def listed(numbers: tuple[int, ...]) -> str:
        return ".".join(map(str, numbers))

    down, up = map(listed, settings.blocks_by_level())
    dataset, shape = settings.spec, ""
    if (dataset.num_classes, dataset.image_size) != (10, 28):
        shape = f"_classes-{dataset.num_classes}_size-{dataset.image_size}"
    return (
        f"{settings.network}_channels-{listed(settings.channels)}_down-{down}_up-{up}"
        f"_embedding-{settings.embedding}_patch-{settings.patch_size}{shape}"
    )


def shipped_graph(settings: TrainSettings) -> Path:
    """The path of the graph of an architecture in the package; there is a file only for the presets."""
    return SHIPPED_GRAPHS / f"{graph_name(settings)}.onnx"


def cache_graph(settings: TrainSettings, graph: bytes) -> None:
    """Keep the graph of an architecture in the user's cache.

    That of a network which another program registered is not kept: the cache could not tell when its code changes.
    """
    if NETWORKS.is_builtin(settings.network):
        from mnistdiff.engine.network.onnx_cache import keep_graph

        keep_graph(graph_name(settings), graph)


def import_onnxruntime() -> ModuleType:
    """Import ONNX Runtime with its telemetry disabled: sampling may open no connection.

    From version 1.29 it reports usage to its makers unless that is disabled before the import (its docs/Privacy.md).
    """
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    require("onnxruntime")
    import onnxruntime

    onnxruntime.disable_telemetry_events()
    module: ModuleType = onnxruntime
    return module


class OnnxDenoiser:
    """A graph and its weights as a function of NumPy arrays, on the CPU.

    A batch is divided among threads, each of which evaluates its part alone: they wait for each other once an
    evaluation, not in every layer, which takes a sixth less time. The images of a batch do not depend on each other.

    Args:
        graph: the bytes of a graph without weights.
        weights: by parameter name.
        source: the name of the weights in an error.

    Raises:
        CheckpointError: if the weights are not those of this network.
    """

    def __init__(self, graph: bytes, weights: Mapping[str, NDArray[np.float32]], *, source: str) -> None:
        onnxruntime = import_onnxruntime()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 4  # errors are raised as well
        # Kept alive, since the session does not copy the weights.
        arrays = {name: np.ascontiguousarray(array) for name, array in weights.items()}
        self._given = graph, arrays, source
        values = [onnxruntime.OrtValue.ortvalue_from_numpy(array) for array in arrays.values()]
        options.add_external_initializers(list(arrays), values)
        try:
            self._session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        # It raises an exception for each status of its C interface, without a common base class.
        except Exception as error:
            raise CheckpointError(
                f"{source} is corrupt: its tensors are not those of the network that its settings describe",
                "Use an earlier checkpoint of the run's checkpoints/ folder.",
            ) from error
        self._threads = thread_limit().number
        self._others: ThreadPoolExecutor | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        """What another process makes the same network of."""
        graph, weights, source = self._given
        return partial(OnnxDenoiser, source=source), (graph, weights)

    @classmethod
    def open(
        cls, settings: TrainSettings, weights: Mapping[str, NDArray[np.float32]], *, source: str, make: bool
    ) -> Self | None:
        """Open a network in ONNX Runtime; None if there is no graph of its architecture.

        Args:
            settings: of the training.
            weights: by parameter name.
            source: the name of the weights in an error.
            make: whether to make the graph again, which takes half a minute, if the cached one cannot be trusted.

        Raises:
            CheckpointError: if the weights are not those of this network.
        """
        shipped = shipped_graph(settings)
        if shipped.is_file():
            return cls(shipped.read_bytes(), weights, source=source)
        from mnistdiff.engine.network.onnx_cache import discard_graph, kept_graph

        name = graph_name(settings)
        graph = kept_graph(name)
        if graph is None and discard_graph(name) and make:
            graph = _make_again(settings)
        if graph is None:
            return None
        try:
            return cls(graph, weights, source=source)
        except CheckpointError:  # the cached graph may be at fault; PyTorch, which builds the network itself, decides
            discard_graph(name)
            return None

    def __call__(self, x_t: NDArray[np.float32], t: int, labels: NDArray[np.int64]) -> NDArray[np.float32]:
        """The prediction for ``x_t``, shape (B, 1, H, W), at timestep ``t``, given ``labels``, shape (B,)."""
        number = min(self._threads, len(x_t))
        if number <= 1:
            return self._evaluate(x_t, t, labels)
        if self._others is None:
            from concurrent.futures import ThreadPoolExecutor  # not at the top: it takes time to import

            self._others = ThreadPoolExecutor(self._threads - 1, "denoiser")
        (first, own), *parts = zip(np.array_split(x_t, number), np.array_split(labels, number), strict=True)
        futures = [self._others.submit(self._evaluate, part, t, theirs) for part, theirs in parts]
        return np.concatenate([self._evaluate(first, t, own), *(future.result() for future in futures)])

    def _evaluate(self, x_t: NDArray[np.float32], t: int, labels: NDArray[np.int64]) -> NDArray[np.float32]:
        timesteps = np.full(len(x_t), t, dtype=np.int64)
        [prediction] = self._session.run([PREDICTION], {IMAGES: x_t, TIMESTEPS: timesteps, LABELS: labels})
        array: NDArray[np.float32] = prediction
        return array


def _make_again(settings: TrainSettings) -> bytes | None:
    """Make and cache the graph of an architecture; None if the packages that write ONNX are not installed."""
    try:
        require("torch")
        from mnistdiff.engine.network.export import make_graph

        graph = make_graph(settings)
    except MnistDiffError:
        return None
    cache_graph(settings, graph)
    return graph
