"""How a training computes: precision, compiler, threads."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from mnistdiff.engine.network.build import Network
from mnistdiff.settings import TrainSettings

Predict = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(x_t, t, labels) -> prediction in float32, with gradients."""


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


def prepared(model: Network, settings: TrainSettings) -> Predict:
    """The function of a network in the precision of the settings, compiled if they say so.

    Parameters, prediction and gradients are float32; in ``bf16``, convolutions and linear layers compute in bfloat16.
    """
    # One kernel for each batch size: those that serve several would depend on the order in which the sizes came.
    predict: Predict = torch.compile(model, dynamic=False) if settings.compile == "on" else model
    if settings.precision != "bf16":
        return predict
    device = next(model.parameters()).device.type

    def in_bfloat16(x_t: Tensor, t: Tensor, labels: Tensor) -> Tensor:
        with torch.autocast(device, dtype=torch.bfloat16):
            return predict(x_t, t, labels).float()

    return in_bfloat16


@contextmanager
def one_thread(settings: TrainSettings, device: torch.device) -> Iterator[None]:
    """Compute with one thread where batches have shards, so that the bits do not depend on the number of cores."""
    before = torch.get_num_threads()
    if settings.shards != 1 and device.type == "cpu":
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def compiler() -> str:
    """The C++ compiler that torch.compile needs on the CPU; empty if there is none."""
    names = (os.environ.get("CXX", ""), "g++", "clang++", "c++", "cl")
    return next((path for name in names if name and (path := shutil.which(name))), "")


def is_compiler_available(device: torch.device) -> bool:
    """Whether torch.compile can work here: on the CPU it needs a C++ compiler."""
    return device.type != "cpu" or bool(compiler())


def with_available_compiler(settings: TrainSettings, device: torch.device) -> tuple[TrainSettings, str]:
    """The settings of a run to resume, without the compiler if there is none here, and a notice if so."""
    if settings.compile == "off" or is_compiler_available(device):
        return settings, ""
    notice = "there is no C++ compiler here: training continues uncompiled, and will not be bit-exact"
    return settings.model_copy(update={"compile": "off"}), notice
