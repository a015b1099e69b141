"""How a training computes: precision, compiler, threads, deterministic algorithms."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec

import torch
from torch import Tensor

from mnistdiff.engine.network.build import Network
from mnistdiff.settings import TrainSettings

Predict = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(x_t, t, labels) -> prediction in float32, with gradients."""
PreparedNetwork = Callable[..., Tensor]
"""``Predict`` that also takes ``augmentation``, if the network of the training does."""


@dataclass(frozen=True)
class Execution:
    """How a run computes.

    Attributes:
        settings: of the run, with shards, precision and compiler chosen.
        reason: what was measured to choose them, as a phrase; empty if nothing was.
    """

    settings: TrainSettings
    reason: str = ""

    def describe(self, processes: int) -> str:
        """Processes, precision and compiler as a phrase; empty if they are those of a plain float32 training."""
        parts = [f"{processes} processes"] if processes > 1 else []
        parts += [self.settings.precision] if self.settings.precision != "fp32" else []
        parts += ["compiled"] if self.settings.compile == "on" else []
        return ", ".join([*parts, *filter(None, [self.reason])])


def prepared(model: Network, settings: TrainSettings) -> PreparedNetwork:
    """The function of a network in the precision of the settings, compiled if they say so.

    Parameters, prediction and gradients are float32; in ``bf16``, convolutions and linear layers compute in bfloat16.
    Every batch size is compiled by itself: code for any size would have other bits, and a run that is resumed would use
    it from another step on. On CUDA the compiled operations are recorded in CUDA graphs, which read a copy of the
    inputs and the parameters where they are.
    """
    device = next(model.parameters()).device.type
    predict: PreparedNetwork = model
    if settings.compile == "on":
        predict = torch.compile(model, dynamic=False, mode="reduce-overhead" if device == "cuda" else "default")
    if settings.precision != "bf16":
        return predict

    def in_bfloat16(x_t: Tensor, t: Tensor, labels: Tensor, **told: Tensor) -> Tensor:
        with torch.autocast(device, dtype=torch.bfloat16):
            return predict(x_t, t, labels, **told).float()

    return in_bfloat16


def told(predict: PreparedNetwork, augmentation: Tensor | None) -> Predict:
    """The function of a network that is told the augmentation of its images, shape (B, 5); None if there is none."""
    return predict if augmentation is None else partial(predict, augmentation=augmentation)


@contextmanager
def reproducible(settings: TrainSettings, device: torch.device) -> Iterator[None]:
    """Compute so that the bits depend on nothing but the settings and the kind of machine.

    On the CPU with one thread where batches have shards, whatever the number of cores. On CUDA with deterministic
    algorithms: the gradients of attention and of embeddings are otherwise summed in any order.
    """
    threads, is_deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    if settings.shards != 1 and device.type == "cpu":
        torch.set_num_threads(1)
    if device.type == "cuda":
        torch.use_deterministic_algorithms(True)
        # Nothing here reads such memory.
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        if device.type == "cuda":
            torch.use_deterministic_algorithms(is_deterministic)


def compiler() -> str:
    """The C++ compiler that torch.compile needs; empty if there is none."""
    names = (os.environ.get("CXX", ""), "g++", "clang++", "c++", "cl")
    return next((path for name in names if name and (path := shutil.which(name))), "")


def is_compiler_available(device: torch.device) -> bool:
    """Whether torch.compile can work here: it needs a C++ compiler, on CUDA also Triton."""
    return bool(compiler()) and (device.type != "cuda" or find_spec("triton") is not None)


def with_available_compiler(settings: TrainSettings, device: torch.device) -> tuple[TrainSettings, str]:
    """The settings of a run to resume, without the compiler if there is none here, and a notice if so."""
    if settings.compile == "off" or is_compiler_available(device):
        return settings, ""
    notice = "there is no C++ compiler here: training continues uncompiled, and will not be bit-exact"
    return settings.model_copy(update={"compile": "off"}), notice
