"""The training loop (Ho et al. 2020, Algorithm 1): a generator that yields after each optimizer step.

On the CPU every loss is read before its step is applied. On CUDA that would make the host wait for the device: several
steps are applied before their losses are read. If one of them is not finite, the state from before these steps is
restored and they are repeated, each loss being read before its step is applied. Both ways end in the same bits.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mnistdiff.engine.network.device import is_out_of_memory
from mnistdiff.engine.training.execution import PreparedNetwork, prepared, told
from mnistdiff.engine.training.gradients import batch_gradient
from mnistdiff.engine.training.group import ALONE, Group
from mnistdiff.engine.training.inputs import Inputs, inputs_of
from mnistdiff.engine.training.objective import Objective
from mnistdiff.engine.training.optimizer import learning_rate_factor, set_learning_rate
from mnistdiff.engine.training.snapshot import Snapshot
from mnistdiff.engine.training.state import TrainState
from mnistdiff.errors import DivergedError, OutOfMemoryError
from mnistdiff.settings import TrainSettings

Stop = Callable[[], bool]
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


def steps_between_reads(device: torch.device) -> int:
    """How many steps are applied before their losses are read, at most."""
    return 8 if device.type == "cuda" else 1


def train_steps(
    state: TrainState,
    images: NDArray[np.uint8],
    labels: NDArray[np.uint8],
    settings: TrainSettings,
    objective: Objective,
    *,
    total_steps: int,
    group: Group = ALONE,
    stop: Stop = never,
    read_every: int | None = None,
) -> Iterator[TrainStep]:
    """Train ``state`` in place up to ``total_steps``, or until told to stop.

    All processes of a group go through the same steps, and end after the same one.

    Args:
        state: the state to continue from.
        images: grey levels, shape (N, H, W).
        labels: classes, shape (N,).
        settings: of the run.
        objective: the loss to minimise.
        total_steps: optimizer steps of the whole run.
        group: the processes that train.
        stop: called before each step; True in any process ends the training in all of them.
        read_every: how many steps are applied before their losses are read, at most; by default as the device needs.

    Yields:
        each step once it is done, and its loss is read. At a step after which the run is saved or logged, and at the
        last one, the state is that of the step.

    Raises:
        DivergedError: if a loss or a gradient is not finite; the state is then that of the step before.
        OutOfMemoryError: if the batch does not fit.
        ProcessError: if another process of the group ended.
    """
    read_every = read_every or steps_between_reads(state.device)
    snapshot = Snapshot(state) if read_every > 1 else None
    group.require_equal(state.digests)
    with inputs_of(images, labels, settings, state.device) as inputs:
        run = _Run(state, settings, objective, prepared(state.model, settings), inputs, total_steps, len(images), group)
        unread: list[_Applied] = []
        while state.step < total_steps and not group.any(stop()):
            if snapshot is not None and not unread:
                snapshot.take()
            unread.append(run.step(unchecked=snapshot is not None))
            if len(unread) == read_every or run.must_be_read():
                yield from run.read(unread, snapshot)
                unread = []
        if unread:
            yield from run.read(unread, snapshot)
    group.require_equal(state.digests)  # before the last save


@dataclass(frozen=True)
class _Applied:
    """An optimizer step that is applied; loss and gradient norm are still on the device."""

    step: int
    lr_factor: float
    batch_size: int
    loss: Tensor
    gradient_norm: Tensor


@dataclass(frozen=True)
class _Run:
    """What the steps of a training share."""

    state: TrainState
    settings: TrainSettings
    objective: Objective
    predict: PreparedNetwork
    inputs: Inputs
    total_steps: int
    num_images: int
    group: Group

    def must_be_read(self) -> bool:
        """Whether the state is needed as it is now: to be saved, or for a record."""
        step = self.state.step
        return self.settings.is_saved_after(step, self.num_images) or step % self.settings.log_every == 0

    def read(self, applied: list[_Applied], before: Snapshot | None = None) -> Iterator[TrainStep]:
        """Read the losses of steps; if one is not finite, repeat them from the snapshot, stopping before that one."""
        values = torch.stack([value for each in applied for value in (each.loss, each.gradient_norm)]).tolist()
        if before is not None and not all(map(math.isfinite, values)):
            before.restore()
            for _ in applied:
                yield from self.read([self.step()])
            return
        for each, loss in zip(applied, values[::2], strict=True):
            yield self._done(each, loss)

    def step(self, *, unchecked: bool = False) -> _Applied:
        """Do one optimizer step.

        Args:
            unchecked: do not require that loss and gradient are finite, which would wait for the device.
        """
        state, settings, number = self.state, self.settings, self.state.step
        factor = learning_rate_factor(number, self.total_steps, settings)
        set_learning_rate(state.optimizers, factor)
        with _out_of_memory_named(settings):
            batch = self.inputs.at(number)

            def loss_of(shard: slice) -> Tensor:
                x_0, labels, draws = batch.of(shard, state.device)
                return self.objective.loss(told(self.predict, draws.augmentation), x_0, labels, draws)

            loss = batch_gradient(
                state.model, loss_of, batch_size=batch.size, shards=settings.fixed_shards, group=self.group
            )
            if not unchecked:
                _require_finite("loss", loss, number)
            norm = nn.utils.clip_grad_norm_(state.model.parameters(), settings.grad_clip or math.inf)
            if not unchecked:
                _require_finite("gradient", norm, number)
            for optimizer in state.optimizers:
                optimizer.step(self.group)
            state.step += 1
            state.ema.update(state.model, step=state.step)
        return _Applied(state.step, factor, batch.size, loss, norm)

    def _done(self, applied: _Applied, loss: float) -> TrainStep:
        """Record the loss of a step."""
        state, settings, step = self.state, self.settings, applied.step
        if settings.is_saved_after(step, self.num_images):
            self.group.require_equal(state.digests)
        first_of_epoch = (step - 1) % settings.steps_per_epoch(self.num_images) == 0
        state.epoch_loss_sum = loss if first_of_epoch else state.epoch_loss_sum + loss
        state.recent_losses.append(loss)
        return TrainStep(step, loss, state.recent_loss, settings.lr * applied.lr_factor, applied.batch_size)


@contextmanager
def _out_of_memory_named(settings: TrainSettings) -> Iterator[None]:
    """Turn PyTorch's out-of-memory errors into an OutOfMemoryError that says what to change."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if is_out_of_memory(error):
            raise OutOfMemoryError(
                f"not enough memory for a step with `batch_size` {settings.batch_size}",
                f"Train with `batch_size` {max(1, settings.batch_size // 2)}, or a smaller network: `preset` tiny.",
            ) from error
        raise


def _require_finite(name: str, value: Tensor, step: int) -> None:
    if not math.isfinite(found := value.item()):
        raise DivergedError(
            f"the {name} of step {step + 1} is {found}: the training has diverged",
            "The last saved checkpoint is valid. Train again with a smaller `lr`.",
        )
