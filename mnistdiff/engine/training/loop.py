"""The training loop (Ho et al. 2020, Algorithm 1): a generator that yields after each optimizer step."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mnistdiff.engine.data.batches import batch_indices
from mnistdiff.engine.data.transforms import to_model_range
from mnistdiff.engine.network.device import is_out_of_memory, memory_format
from mnistdiff.engine.training.execution import Predict, prepared
from mnistdiff.engine.training.gradients import batch_gradient
from mnistdiff.engine.training.group import Group
from mnistdiff.engine.training.objective import Draws
from mnistdiff.engine.training.optimizer import learning_rate_factor, set_learning_rate
from mnistdiff.engine.training.state import TrainState
from mnistdiff.errors import DivergedError, OutOfMemoryError
from mnistdiff.settings import TrainSettings


class Objective(Protocol):
    """What training minimises. ``objective.DiffusionLoss`` is one; a distillation loss would be another."""

    def loss(self, model: Predict, x_0: Tensor, labels: Tensor, draws: Draws) -> Tensor:
        """The mean loss of some images, a batch or one of its shards: a scalar with a gradient.

        Args:
            model: (x_t, t, labels) -> prediction, float32.
            x_0: images in [-1, 1], shape (B, 1, 28, 28).
            labels: classes 0 ... C - 1, shape (B,).
            draws: the random numbers of the step.
        """
        ...


Stop = Callable[[], bool]
_ALONE = Group()
ObjectiveFactory = Callable[[TrainSettings, torch.device], Objective]


def never() -> bool:
    """False: not to stop."""
    return False


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
    group: Group = _ALONE,
    stop: Stop = never,
) -> Iterator[TrainStep]:
    """Train ``state`` in place up to ``total_steps``, or until told to stop.

    All processes of a group go through the same steps, and end after the same one.

    Args:
        state: the state to continue from.
        images: grey levels, shape (N, 28, 28).
        labels: classes, shape (N,).
        settings: of the run.
        objective: the loss to minimise.
        total_steps: optimizer steps of the whole run.
        group: the processes that train.
        stop: called before each step; True in any process ends the training in all of them.

    Yields:
        each step once it is done.

    Raises:
        DivergedError: if a loss or a gradient is not finite; the state is then that of the step before.
        OutOfMemoryError: if the batch does not fit.
        ProcessError: if another process of the group ended.
    """
    predict = prepared(state.model, settings)
    group.require_equal(state.digests)
    while state.step < total_steps and not group.any(stop()):
        batch = _Batch.at_step(state.step, images, labels, settings)
        factor = learning_rate_factor(state.step, total_steps, settings)
        set_learning_rate(state.optimizers, factor)
        try:
            loss = _step(
                state, partial(batch.loss, objective, predict, state.device), len(batch.labels), settings, group
            )
        except (MemoryError, RuntimeError) as error:
            if is_out_of_memory(error):
                raise OutOfMemoryError(
                    f"not enough memory for a step with `batch_size` {settings.batch_size}",
                    f"Train with `batch_size` {max(1, settings.batch_size // 2)}, or a smaller network: `preset` tiny.",
                ) from error
            raise
        if settings.is_saved_after(state.step, len(images)):
            group.require_equal(state.digests)
        first_of_epoch = (state.step - 1) % settings.steps_per_epoch(len(images)) == 0
        state.epoch_loss_sum = loss if first_of_epoch else state.epoch_loss_sum + loss
        state.recent_losses.append(loss)
        yield TrainStep(state.step, loss, state.recent_loss, settings.lr * factor, len(batch.labels))
    group.require_equal(state.digests)  # before the last save


@dataclass(frozen=True)
class _Batch:
    """The images, labels and random numbers of one optimizer step."""

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    draws: Draws

    @classmethod
    def at_step(
        cls, step: int, images: NDArray[np.uint8], labels: NDArray[np.uint8], settings: TrainSettings
    ) -> "_Batch":
        chosen = batch_indices(seed=settings.seed, step=step, num_images=len(images), batch_size=settings.batch_size)
        shape = (len(chosen), 1, *images.shape[1:])
        return cls(images[chosen], labels[chosen], Draws.at_step(step, shape, settings))

    def loss(self, objective: Objective, predict: Predict, device: torch.device, shard: slice) -> Tensor:
        """The mean loss of a shard."""
        x_0 = torch.from_numpy(to_model_range(self.images[shard])).to(device, memory_format=memory_format(device))
        y = torch.from_numpy(self.labels[shard].astype(np.int64)).to(device)
        return objective.loss(predict, x_0, y, self.draws.of(shard).to(device))


def _step(
    state: TrainState,
    loss_of: Callable[[slice], Tensor],
    batch_size: int,
    settings: TrainSettings,
    group: Group,
) -> float:
    """Do one optimizer step; returns its loss."""
    loss = batch_gradient(state.model, loss_of, batch_size=batch_size, shards=settings.fixed_shards, group=group).item()
    _require_finite("loss", loss, state.step)
    gradient_norm = nn.utils.clip_grad_norm_(state.model.parameters(), settings.grad_clip or math.inf)
    _require_finite("gradient", gradient_norm.item(), state.step)
    for optimizer in state.optimizers:
        optimizer.step()
    state.step += 1
    state.ema.update(state.model, step=state.step)
    return loss


def _require_finite(name: str, value: float, step: int) -> None:
    if not math.isfinite(value):
        raise DivergedError(
            f"the {name} of step {step + 1} is {value}: the training has diverged",
            "The last saved checkpoint is valid. Train again with a smaller `lr`.",
        )
