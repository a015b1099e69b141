"""The training state, as an object and as named tensors for checkpoints."""

import hashlib
import math
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mnistdiff.engine.checkpoint.metadata import HeldOut
from mnistdiff.engine.network.build import Network, build_network, load_network, place, require_same_shapes
from mnistdiff.engine.network.ema import ExponentialMovingAverage
from mnistdiff.engine.randomness import Stream, generator
from mnistdiff.engine.training.objective import Objective
from mnistdiff.engine.training.optimizer import AdamW, Optimizer, build_optimizers
from mnistdiff.settings import TrainSettings

RECENT_LOSSES = 100
Weights = Mapping[str, NDArray[np.float32]]
"""By parameter name."""


@dataclass
class TrainState:
    """Everything that an optimizer step reads and changes.

    Attributes:
        model: the network in training.
        ema: the moving average of its weights.
        optimizers: of the network's parameters; each parameter belongs to exactly one.
        step: optimizer steps done.
        recent_losses: of the last steps, at most 100.
        epoch_loss_sum: sum of the losses of the current epoch's steps, in the order of the steps.
        of_objective: the tensors of the objective.
        held_out: the loss of held-out images; None before it is measured.
    """

    model: Network
    ema: ExponentialMovingAverage
    optimizers: tuple[Optimizer, ...]
    step: int = 0
    recent_losses: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT_LOSSES))
    epoch_loss_sum: float = 0.0
    of_objective: Mapping[str, Tensor] = field(default_factory=dict)
    held_out: HeldOut | None = None

    @classmethod
    def initial(
        cls,
        settings: TrainSettings,
        device: torch.device,
        objective: Objective | None = None,
        *,
        weights: Weights | None = None,
    ) -> "TrainState":
        """The state before the first step.

        Args:
            settings: of the run.
            device: to train on.
            objective: of the run; None has no tensors.
            weights: to start from, by parameter name; None draws random ones, the same for the same seed.
        """
        if weights is None:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(int(generator(settings.seed, Stream.INITIAL_WEIGHTS).integers(2**63)))
                model = build_network(settings, to_train=True)
        else:
            model = load_network(settings, weights, torch.device("cpu"), source="the start")
            if settings.augment:
                model.add_augmentation()
        return cls._around(place(model, device), settings, objective)

    @classmethod
    def from_tensors(
        cls,
        tensors: Mapping[str, NDArray[np.float32]],
        settings: TrainSettings,
        device: torch.device,
        objective: Objective | None = None,
        *,
        step: int,
        source: str,
    ) -> "TrainState":
        """Restore the state that ``to_tensors`` returned after ``step`` steps; ``source`` is its name in an error.

        Raises:
            CheckpointError: if the tensors are not those of this network.
        """
        weights = {name.removeprefix("model."): a for name, a in tensors.items() if name.startswith("model.")}
        model = load_network(settings, weights, device, source=source, to_train=True)
        state = cls._around(model, settings, objective)
        state.step = step
        parameters = dict(state.model.named_parameters())
        shapes = {f"{prefix}{name}": tuple(p.shape) for prefix in ("model.", "ema.") for name, p in parameters.items()}
        others = {**dict(state._moments()), **state._of_objective()}
        shapes |= {name: tuple(tensor.shape) for name, tensor in others.items()}
        require_same_shapes(shapes, tensors, source=source)
        for name, weight in state.ema.weights.items():
            weight.copy_(torch.tensor(tensors[f"ema.{name}"]))
        for name, tensor in others.items():
            tensor.copy_(torch.tensor(tensors[name]))
        for optimizer in state.optimizers:
            if isinstance(optimizer, AdamW):
                for steps in optimizer.steps:
                    steps.fill_(step)
        return state

    def to_tensors(self) -> dict[str, NDArray[np.float32]]:
        """Copies of all weights, moving averages, optimizer moments and tensors of the objective, by name."""
        tensors = {f"model.{name}": _to_numpy(parameter) for name, parameter in self.model.named_parameters()}
        tensors |= self.ema_tensors()
        tensors |= {name: _to_numpy(moment) for name, moment in self._moments()}
        tensors |= {name: _to_numpy(tensor) for name, tensor in self._of_objective().items()}
        return tensors

    def ema_tensors(self) -> dict[str, NDArray[np.float32]]:
        """Copies of the averaged weights, by name."""
        return {f"ema.{name}": _to_numpy(weight) for name, weight in self.ema.weights.items()}

    def digests(self) -> dict[str, int]:
        """A digest of each tensor, a signed 64-bit number by name."""
        return {
            name: int.from_bytes(hashlib.blake2b(array.data, digest_size=8).digest(), "little", signed=True)
            for name, array in self.to_tensors().items()
        }

    def changing_tensors(self) -> Iterator[Tensor]:
        """All tensors that optimizer steps change, in place."""
        yield from self.model.parameters()
        yield from self.model.buffers()
        yield from self.ema.weights.values()
        yield from (moment for _, moment in self._moments())
        yield from self.of_objective.values()
        for optimizer in self.optimizers:
            if isinstance(optimizer, AdamW):
                yield from optimizer.steps

    @property
    def device(self) -> torch.device:
        """The device of the model."""
        return next(self.model.parameters()).device

    @property
    def recent_loss(self) -> float:
        """Mean loss of the last steps; NaN before the first."""
        return math.fsum(self.recent_losses) / len(self.recent_losses) if self.recent_losses else math.nan

    @classmethod
    def _around(cls, model: Network, settings: TrainSettings, objective: Objective | None) -> "TrainState":
        average = ExponentialMovingAverage(model, decay=settings.ema_decay)
        tensors = objective.tensors() if objective is not None else {}
        return cls(model.train(), average, build_optimizers(model, settings), of_objective=tensors)

    def _of_objective(self) -> dict[str, Tensor]:
        """The tensors of the objective, each with its name in a file."""
        return {f"objective.{name}": tensor for name, tensor in self.of_objective.items()}

    def _moments(self) -> Iterator[tuple[str, Tensor]]:
        """The running means of the optimizers, each with its name in a file."""
        names = {id(parameter): name for name, parameter in self.model.named_parameters()}
        for optimizer in self.optimizers:
            for parameter, moments in zip(optimizer.parameters, optimizer.moments, strict=True):
                for moment, value in moments.items():
                    yield f"optimizer.{moment}.{names[id(parameter)]}", value


def _to_numpy(tensor: Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = tensor.detach().cpu().contiguous().numpy().copy()
    return array
