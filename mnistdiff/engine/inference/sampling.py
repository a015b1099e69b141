"""From a trained model to images: noise by seed, a sampler, guidance.

``sample``, ``grid`` and the previews of a training all draw through ``draw``, so the same weights and seeds give the
same pixels everywhere.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, Protocol, assert_never

import numpy as np
from numpy.typing import NDArray

from mnistdiff.engine.checkpoint.file import Checkpoint, read_checkpoint
from mnistdiff.engine.checkpoint.model_info import UNSAVED, ModelInfo
from mnistdiff.engine.diffusion.guidance import guided
from mnistdiff.engine.diffusion.parameterization import Array, eps_from_prediction
from mnistdiff.engine.diffusion.samplers import PredictEps, SampleStep
from mnistdiff.engine.diffusion.schedule import NoiseSchedule
from mnistdiff.engine.inference.process import FROM_NOISE, SamplingProcess
from mnistdiff.engine.libraries import require
from mnistdiff.engine.network.onnx_runtime import open_graph
from mnistdiff.engine.outputs.png import to_uint8
from mnistdiff.engine.randomness import sampling_noise
from mnistdiff.errors import CheckpointError, OutOfMemoryError, SettingsError
from mnistdiff.settings import (
    IMAGE_SIZE,
    MAX_SEED,
    NULL_LABEL,
    NUM_DIGITS,
    BackendName,
    SampleSettings,
    TrainSettings,
    WeightsName,
)
from mnistdiff.shell import quoted

BATCH_SIZE = 64
"""Images drawn at once: enough to keep two cores busy, little enough to see the first ones soon."""
ALL_DIGITS = tuple(range(NUM_DIGITS))
IMAGE_SHAPE = (1, IMAGE_SIZE, IMAGE_SIZE)
View = Literal["x_t", "x_0"]
"""What of a step is looked at: the noisy state, or the image predicted from it."""


class Denoiser(Protocol):
    """A trained network: x_t (B, 1, 28, 28), t, labels (B,) -> what it was trained to predict."""

    def __call__(self, x_t: NDArray[np.float32], t: int, labels: NDArray[np.int64], /) -> NDArray[np.float32]:
        """Evaluate the network once."""
        ...


@dataclass(frozen=True, slots=True)
class SampleSpec:
    """One image to draw: (digit, seed) determines it for a given model and given sample settings."""

    digit: int
    seed: int


@dataclass(frozen=True)
class Sample:
    """One image drawn: ``pixels`` are grey levels, shape (28, 28), white on black as in MNIST."""

    digit: int
    seed: int
    pixels: NDArray[np.uint8]


@dataclass(frozen=True)
class Progress:
    """After a network evaluation.

    Attributes:
        done: evaluations, and total: those planned.
        step: what it made of the batch being drawn.
        drawings: the images that it completed; mostly none.
    """

    done: int
    total: int
    step: SampleStep
    drawings: tuple[Sample, ...] = ()


@dataclass(frozen=True)
class Model:
    """What drawing needs of a trained model.

    Attributes:
        denoiser: the network.
        settings: of its training.
        backend: what evaluates it.
        subject: the checkpoint that it was read from.
    """

    denoiser: Denoiser
    settings: TrainSettings
    backend: Literal["onnx", "torch"] = "torch"
    subject: ModelInfo = UNSAVED

    @property
    def sha256(self) -> str:
        """Of its checkpoint; empty for a model still in training."""
        return self.subject.sha256

    def sample_settings(self, given: Mapping[str, Any] = MappingProxyType({})) -> SampleSettings:
        """How to draw from it: the defaults for this model, under what was given."""
        return SampleSettings.for_model(self.settings, given, images_seen=self.subject.images_seen)


def requests(digits: Sequence[int], count: int, seed: int) -> list[SampleSpec]:
    """``count`` images of each digit, with the seeds ``seed``, ``seed + 1``, ...

    Raises:
        SettingsError: if the seeds run out of their range.
    """
    if seed + count - 1 > MAX_SEED:
        raise SettingsError(f"seed {seed} and {count} images need a seed above {MAX_SEED}", "Use a smaller --seed.")
    return [SampleSpec(digit, seed + k) for digit in digits for k in range(count)]


def number(digits: str, count: int, seed: int) -> list[SampleSpec]:
    """The digits of a number in its order, ``count`` times, with the seeds ``seed``, ``seed + 1``, ...

    Raises:
        SettingsError: if the seeds run out of their range.
    """
    wanted = requests([0], count * len(digits), seed)
    return [SampleSpec(int(digit), request.seed) for digit, request in zip(digits * count, wanted, strict=True)]


def load_weights(path: Path, weights: WeightsName) -> tuple[Checkpoint, dict[str, NDArray[np.float32]]]:
    """Read a checkpoint, and of it the ``ema`` or the ``raw`` weights, by parameter name.

    Raises:
        CheckpointError: if the file cannot be read or does not hold those weights.
    """
    checkpoint = read_checkpoint(path)
    match weights:
        case "ema":
            arrays = checkpoint.weights("ema")
        case "raw":
            arrays = checkpoint.weights("model")
        case _:
            assert_never(weights)
    if not arrays:
        raise CheckpointError(
            f"{path} holds no {weights} weights", "Leave out --weights, or use a training checkpoint."
        )
    return checkpoint, arrays


def load_model(path: Path, *, weights: WeightsName, device: str, backend: BackendName = "auto") -> Model:
    """Read a checkpoint and build its network, with the ``ema`` or the ``raw`` weights.

    Args:
        path: of the checkpoint.
        weights: ``ema`` or ``raw``.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        backend: ``onnx``, ``torch``, or ``auto``, which is ONNX Runtime if no GPU was asked for and the graph of this
            network is there: it needs no torch, whose import takes longer than drawing.

    Raises:
        CheckpointError: if the file cannot be read or does not hold those weights.
        SettingsError: if the device is not there, or the graph.
    """
    checkpoint, arrays = load_weights(path, weights)
    settings = checkpoint.metadata.settings
    subject = ModelInfo.of(path, checkpoint.metadata, checkpoint.sha256)
    on_cpu = device in ("auto", "cpu")
    match backend:
        case "torch":
            through_onnx = None
        case "auto" | "onnx":
            wants_onnx = backend == "onnx"
            through_onnx = open_graph(settings, arrays, source=str(path), make=wants_onnx) if on_cpu else None
        case _:
            assert_never(backend)
    if through_onnx is not None:
        return Model(through_onnx, settings, "onnx", subject)
    if backend == "onnx":
        why = f"there is no graph for {path}" if on_cpu else f"it does not run on {device}"
        raise SettingsError(
            f"--backend onnx: {why}",
            f"Use --backend auto, or make the graph once: mnistdiff export {quoted(path)} -o model.onnx",
        )
    require("torch")
    from mnistdiff.engine.network.denoiser import TorchDenoiser, build_unet
    from mnistdiff.engine.network.device import resolve_device

    network = build_unet(settings, arrays, resolve_device(device), source=str(path))
    return Model(TorchDenoiser(network), settings, "torch", subject)


def draw(
    model: Model,
    wanted: Sequence[SampleSpec],
    settings: SampleSettings,
    *,
    walk: SamplingProcess = FROM_NOISE,
    batch_size: int = BATCH_SIZE,
) -> Iterator[Progress]:
    """Draw images in batches, in the order asked for. A batch that does not fit into memory is halved and drawn again.

    Yields:
        progress after every network evaluation; the last of a batch carries its images.

    Raises:
        OutOfMemoryError: if not even one image fits.
        SettingsError: at the first step, if more steps are asked for than the model was trained with.
        DivergedError: if an image is not finite.
    """
    schedule = NoiseSchedule.from_settings(model.settings)
    evaluations = walk.evaluations(schedule, settings)
    start = done = 0
    while start < len(wanted):
        batch = wanted[start : start + batch_size]
        total = done + -(-(len(wanted) - start) // batch_size) * evaluations
        seeds = [request.seed for request in batch]

        def noise(draw_number: int, seeds: Sequence[int] = seeds) -> NDArray[np.float32]:
            return sampling_noise(seeds, draw_number, IMAGE_SHAPE)

        labels = np.array([request.digit for request in batch], dtype=np.int64)
        steps = walk(guided_eps(model, schedule, labels, settings), noise, schedule, settings)
        try:
            for number, step in enumerate(steps, start=1):
                yield Progress(done + number, total, step, _drawings(batch, step.x_t) if number == evaluations else ())
        except OutOfMemoryError:
            if batch_size == 1:
                raise
            batch_size = max(1, min(batch_size, len(batch)) // 2)  # an image does not depend on its neighbours
            continue
        start, done = start + len(batch), done + evaluations


def _drawings(batch: Sequence[SampleSpec], x_0: NDArray[np.float32]) -> tuple[Sample, ...]:
    pixels = to_uint8(x_0[:, 0])
    return tuple(Sample(request.digit, request.seed, image) for request, image in zip(batch, pixels, strict=True))


def guided_eps(
    model: Model, schedule: NoiseSchedule, labels: NDArray[np.int64], settings: SampleSettings
) -> PredictEps:
    """The guided noise prediction for a batch with ``labels``, shape (B,).

    Guidance 1 (conditional) and 0 (unconditional) evaluate the network on the batch alone; other scales evaluate the
    batch with and without labels, in one call.
    """
    null = np.full_like(labels, NULL_LABEL)

    def eps(x_t: Array, t: int, y: NDArray[np.int64]) -> Array:
        prediction = model.denoiser(x_t, t, y)
        return eps_from_prediction(prediction, x_t, schedule.alpha_bar(t), model.settings.prediction)

    def predict(x_t: Array, t: int) -> Array:
        guidance_scale = settings.guidance_at(t, schedule.num_train_timesteps)
        if guidance_scale == 1:
            return eps(x_t, t, labels)
        if guidance_scale == 0:
            return eps(x_t, t, null)
        both = eps(np.concatenate([x_t, x_t]), t, np.concatenate([null, labels]))
        eps_uncond, eps_cond = np.split(both, 2)
        return guided(eps_uncond, eps_cond, guidance_scale)

    return predict
