"""Estimates of the time and memory of a training, from its settings alone."""

from dataclasses import dataclass

import torch

from mnistdiff.engine.network.build import build_network
from mnistdiff.engine.threads import usable_cores
from mnistdiff.pictures import MNIST_SIZE
from mnistdiff.settings import TrainSettings

_OPERATIONS_PER_PARAMETER = 400
"""Of a forward and backward pass, for an image of 28x28: 317 to 404 for the networks of the presets."""
_OPERATIONS_PER_SECOND = 5e10
"""Of one core, roughly."""
_COPIES = 1.3
"""The memory of a step, as a multiple of the tensors that the backward pass needs: 1.2 to 1.4 where it was measured."""


@dataclass(frozen=True)
class Estimate:
    """What a training takes.

    Attributes:
        seconds: on all cores of this machine.
        bytes: of the images and of a step, without those of the program.
        pixels: of an image, as a multiple of those of MNIST.
    """

    seconds: float
    bytes: int
    pixels: float


def seconds_on_one_core(settings: TrainSettings, steps: int) -> float:
    """The time of some steps, which does not depend on what else runs here."""
    with torch.device("meta"):
        parameters = build_network(settings).num_parameters
    operations = steps * settings.batch_size * parameters * _OPERATIONS_PER_PARAMETER
    return operations * _pixels(settings) / _OPERATIONS_PER_SECOND


def estimate(settings: TrainSettings) -> Estimate:
    """The time and memory of a training."""
    count = sum(settings.spec.class_counts)
    seconds = seconds_on_one_core(settings, settings.total_steps(count)) / usable_cores()
    step = _bytes_for_backward(settings) * settings.batch_size // settings.fixed_shards * _COPIES
    return Estimate(seconds, round(step) + count * settings.spec.image_size**2, _pixels(settings))


def _pixels(settings: TrainSettings) -> float:
    return (settings.spec.image_size / MNIST_SIZE) ** 2


def _bytes_for_backward(settings: TrainSettings) -> int:
    """Bytes of the tensors that autograd keeps for an image: shapes alone, nothing is computed."""
    sizes: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        sizes[storage._cdata] = storage.nbytes()
        return tensor

    with torch.device("meta"), torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        number = torch.zeros(2, dtype=torch.int64)
        build_network(settings)(torch.zeros(2, *settings.spec.image_shape), number, number)
    return sum(sizes.values()) // 2
