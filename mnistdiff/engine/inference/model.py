"""Trained models: a network and the settings of its training, read from a checkpoint."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Protocol, Self, assert_never

import numpy as np
from numpy.typing import NDArray

from mnistdiff.engine.checkpoint.distilled import require_able
from mnistdiff.engine.checkpoint.file import read_checkpoint
from mnistdiff.engine.checkpoint.header import CheckpointFile
from mnistdiff.engine.checkpoint.model_info import UNSAVED, ModelInfo
from mnistdiff.engine.diffusion.schedule import NoiseSchedule
from mnistdiff.engine.libraries import require
from mnistdiff.engine.network.onnx_runtime import OnnxDenoiser
from mnistdiff.errors import NeedsTeacherError, SettingsError, field_errors
from mnistdiff.sample_settings import SampleSettings
from mnistdiff.setting_types import NETWORKS, BackendName, WeightsName
from mnistdiff.settings import TrainSettings
from mnistdiff.shell import quoted


class Denoiser(Protocol):
    """A trained network: (x_t, t, labels) -> prediction."""

    def __call__(self, x_t: NDArray[np.float32], t: int, labels: NDArray[np.int64], /) -> NDArray[np.float32]:
        """Evaluate the network once.

        Args:
            x_t: noisy images, shape (B, 1, H, W).
            t: their timestep, 0 ... T - 1.
            labels: shape (B,).

        Returns:
            what the network was trained to predict, the shape of ``x_t``.
        """
        ...


@dataclass(frozen=True)
class DiffusionModel:
    """A network with the settings of its training; ``mnistdiff.Model`` adds the methods of the Python API.

    Attributes:
        denoiser: the network.
        settings: of its training.
        backend: the library that evaluates the network.
        info: the checkpoint that it was read from.
        weights: which of the checkpoint's weights the network has.
        device: that the network computes on: ``cpu``, ``cuda`` or ``mps``.
        teacher_file: the checkpoint of the teacher of a bundled student, if it is loaded as well when it is needed.
    """

    denoiser: Denoiser
    settings: TrainSettings
    backend: Literal["onnx", "torch"] = "torch"
    info: ModelInfo = UNSAVED
    weights: WeightsName = "ema"
    device: str = "cpu"
    teacher_file: Path | None = None

    @property
    def sha256(self) -> str:
        """SHA-256 of the checkpoint; empty for a model still in training."""
        return self.info.sha256

    @cached_property
    def schedule(self) -> NoiseSchedule:
        """Its noise schedule: ``alphas`` and ``sigmas``, float64 (T,)."""
        return NoiseSchedule.from_settings(self.settings)

    def require_able(self, task: str = "", /, **settings: Any) -> None:
        """Refuse a task or sample settings that a distilled model leaves to its teacher.

        Raises:
            NeedsTeacherError: naming the first of them.
        """
        values = {name: [value] for name, value in settings.items()}
        require_able(self.settings, task, values, lambda name: f"`{name}` {settings[name]}")

    @cached_property
    def teacher(self) -> Self | None:
        """The model of ``teacher_file``."""
        if self.teacher_file is None:
            return None
        loaded = load_model(self.teacher_file, weights=self.weights, device=self.device, backend=self.backend)
        return type(self)(**vars(loaded))

    def able_to(self, task: str = "", /, **given: Any) -> Self:
        """This model, or its teacher for a task or sample settings that this one leaves to it.

        Raises:
            NeedsTeacherError: if that is not loaded.
            SettingsError: as ``sample_settings``.
        """
        try:
            self.require_able(task)
            self._settings(given)
        except NeedsTeacherError:
            if self.teacher is None:
                raise
            return self.teacher
        return self

    def sample_settings(self, **given: Any) -> SampleSettings:
        """Sample settings: ``given``, and for the rest the defaults of this model, or of its teacher if that is needed.

        Raises:
            SettingsError: for an unknown name, a value out of range, or other weights than the model has.
            NeedsTeacherError: for a value that a distilled model leaves to its teacher, which is not loaded.
        """
        return self.able_to(**given)._settings(given)

    def _settings(self, given: Mapping[str, Any]) -> SampleSettings:
        known = SampleSettings.model_fields
        for name in given.keys() - known:
            raise SettingsError(f"there is no setting `{name}`", f"The settings are: {', '.join(known)}.")
        with field_errors():
            settings = SampleSettings.for_model(
                self.settings, {"weights": self.weights, **given}, images_seen=self.info.images_seen
            )
        if settings.weights != self.weights:
            raise SettingsError(f"`weights` {settings.weights}: the model was loaded with {self.weights}")
        self.require_able(**dict(settings))
        return settings


def load_model(
    source: Path | CheckpointFile, *, weights: WeightsName, device: str, backend: BackendName = "auto"
) -> DiffusionModel:
    """Read a checkpoint and build its network.

    Args:
        source: the checkpoint: its path, or the file with its header read already.
        weights: ``ema`` or ``raw``.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        backend: ``onnx``, ``torch``, or ``auto``: ONNX Runtime if ``device`` is ``auto`` or ``cpu`` and a graph of this
            network exists, since importing torch takes longer than sampling; else torch.

    Raises:
        CheckpointError: if the file cannot be read or does not hold those weights.
        SettingsError: if the device or, with ``onnx``, the graph is not available.
    """
    checkpoint = read_checkpoint(source)
    path, settings, arrays = checkpoint.path, checkpoint.metadata.settings, checkpoint.weights(weights)
    info = ModelInfo.of(path, checkpoint.metadata, checkpoint.sha256)
    on_cpu = device in ("auto", "cpu")
    match backend:
        case "torch":
            graph = None
        case "auto" | "onnx":
            make = backend == "onnx"
            graph = OnnxDenoiser.open(settings, arrays, source=str(path), make=make) if on_cpu else None
        case _:
            assert_never(backend)
    if graph is not None:
        return DiffusionModel(graph, settings, "onnx", info, weights)
    if backend == "onnx":
        why = f"there is no graph for {path}" if on_cpu else f"it does not run on {device}"
        # The command line knows the networks of the package alone, and the cache keeps no graph of another.
        can_export = on_cpu and NETWORKS.is_builtin(settings.network)
        make_it = f", or make the graph once: mnistdiff export {quoted(path)} -o model.onnx" if can_export else ""
        raise SettingsError(f"`backend` onnx: {why}", f"Use `backend` auto{make_it or '.'}")
    require("torch")
    from mnistdiff.engine.network.build import load_network
    from mnistdiff.engine.network.denoiser import TorchDenoiser
    from mnistdiff.engine.network.device import resolve_device

    where = resolve_device(device)
    network = load_network(settings, arrays, where, source=str(path))
    return DiffusionModel(TorchDenoiser(network), settings, "torch", info, weights, where.type)
