"""The training loop (Ho et al. 2020, Algorithm 1): a generator that yields after each optimizer step."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mnistdiff.engine.data.batches import batch_indices
from mnistdiff.engine.data.transforms import to_model_range
from mnistdiff.engine.network.device import is_out_of_memory, memory_format
from mnistdiff.engine.training.objective import Draws
from mnistdiff.engine.training.optimizer import learning_rate_factor, set_learning_rate
from mnistdiff.engine.training.state import TrainState
from mnistdiff.errors import DivergedError, OutOfMemoryError
from mnistdiff.settings import TrainSettings


class Objective(Protocol):
    """What training minimises. ``objective.DiffusionLoss`` is one; a distillation loss would be another."""

    def loss(self, model: nn.Module, x_0: Tensor, labels: Tensor, draws: Draws) -> Tensor:
        """The loss of a batch, a scalar with a gradient.

        Args:
            model: (x_t, t, labels) -> prediction.
            x_0: images in [-1, 1], shape (B, 1, 28, 28).
            labels: classes 0 ... C - 1, shape (B,).
            draws: the random numbers of the step.
        """
        ...


ObjectiveFactory = Callable[[TrainSettings, torch.device], Objective]


@dataclass(frozen=True)
class TrainStep:
    """A finished optimizer step.

    Attributes:
        step: number of optimizer steps done, this one included.
        loss: of this step's batch.
        recent_loss: mean of the last 100 steps.
        lr: the learning rate of this step.
        batch_size: images in the batch.
    """

    step: int
    loss: float
    recent_loss: float
    lr: float
    batch_size: int


def train_steps(
    state: TrainState,
    images: NDArray[np.uint8],
    labels: NDArray[np.uint8],
    settings: TrainSettings,
    objective: Objective,
    *,
    total_steps: int,
) -> Iterator[TrainStep]:
    """Train ``state`` in place up to ``total_steps``.

    Args:
        state: the state to continue from.
        images: grey levels, shape (N, 28, 28).
        labels: classes, shape (N,).
        settings: of the run.
        objective: the loss to minimise.
        total_steps: optimizer steps of the whole run.

    Yields:
        each step once it is done.

    Raises:
        DivergedError: if a loss or a gradient is not finite; the state is then that of the step before.
        OutOfMemoryError: if the batch does not fit.
    """
    device = state.device
    while state.step < total_steps:
        chosen = batch_indices(
            seed=settings.seed, step=state.step, num_images=len(images), batch_size=settings.batch_size
        )
        x_0 = torch.from_numpy(to_model_range(images[chosen])).to(device, memory_format=memory_format(device))
        y = torch.from_numpy(labels[chosen].astype(np.int64)).to(device)
        draws = Draws.at_step(state.step, tuple(x_0.shape), settings).to(device)
        factor = learning_rate_factor(state.step, total_steps, settings)
        set_learning_rate(state.optimizers, factor)
        try:
            loss = _step(state, objective, x_0, y, draws, settings)
        except (MemoryError, RuntimeError) as error:
            if is_out_of_memory(error):
                raise OutOfMemoryError(
                    f"not enough memory for a step with `batch_size` {settings.batch_size}",
                    f"Train with `batch_size` {max(1, settings.batch_size // 2)}, or a smaller network: `preset` tiny.",
                ) from error
            raise
        first_of_epoch = (state.step - 1) % settings.steps_per_epoch(len(images)) == 0
        state.epoch_loss_sum = loss if first_of_epoch else state.epoch_loss_sum + loss
        state.recent_losses.append(loss)
        yield TrainStep(state.step, loss, state.recent_loss, settings.lr * factor, len(chosen))


def _step(
    state: TrainState, objective: Objective, x_0: Tensor, y: Tensor, draws: Draws, settings: TrainSettings
) -> float:
    """Do one optimizer step; returns its loss."""
    state.model.zero_grad(set_to_none=True)
    loss = objective.loss(state.model, x_0, y, draws)
    loss_value = loss.item()
    _require_finite("loss", loss_value, state.step)
    loss.backward()  # type: ignore[no-untyped-call]
    gradient_norm = nn.utils.clip_grad_norm_(state.model.parameters(), settings.grad_clip or math.inf)
    _require_finite("gradient", gradient_norm.item(), state.step)
    for optimizer in state.optimizers:
        optimizer.step()
    state.step += 1
    state.ema.update(state.model, step=state.step)
    return loss_value


def _require_finite(name: str, value: float, step: int) -> None:
    if not math.isfinite(value):
        raise DivergedError(
            f"the {name} of step {step + 1} is {value}: the training has diverged",
            "The last saved checkpoint is valid. Train again with a smaller `lr`.",
        )
