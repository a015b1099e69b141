"""Objectives: what training minimises; the diffusion loss and its random numbers.

Every image has its own timestep, noise and label-dropout draw.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor

from mnistdiff.engine.diffusion.predictions import diffuse
from mnistdiff.engine.diffusion.schedule import NoiseSchedule
from mnistdiff.engine.randomness import Stream, generator
from mnistdiff.engine.training.augmentation import augmentation_at
from mnistdiff.engine.training.execution import Predict
from mnistdiff.setting_types import PREDICTIONS
from mnistdiff.settings import TrainSettings


@dataclass(frozen=True)
class Draws:
    """The random numbers of one optimizer step, an entry for each image of the batch, or of a part of it.

    Attributes:
        step: optimizer steps done before this one.
        first: index of the first image in the batch.
        t: timesteps in 0 ... T - 1, shape (B,).
        eps: standard normal noise, shape (B, 1, H, W).
        drop: whether the label is hidden, shape (B,).
        augmentation: of the images, as ``augmentation_at`` returns it, shape (B, 5); None for images as they are.
    """

    step: int
    first: int
    t: Tensor
    eps: Tensor
    drop: Tensor
    augmentation: Tensor | None = None

    @classmethod
    def at_step(cls, step: int, shape: tuple[int, ...], settings: TrainSettings) -> "Draws":
        """The numbers of step 0, 1, 2, ..., drawn on the CPU: a function of the seed and the step."""
        offset = generator(settings.seed, Stream.TIMESTEPS, step).random()
        t = spread_timesteps(shape[0], offset, settings)
        eps = generator(settings.seed, Stream.TRAINING_NOISE, step).standard_normal(shape, dtype=np.float32)
        drop = generator(settings.seed, Stream.LABEL_DROPOUT, step).random(shape[0]) < settings.label_dropout
        augmentation = torch.from_numpy(augmentation_at(step, shape[0], settings)) if settings.augment else None
        return cls(step, 0, torch.from_numpy(t), torch.from_numpy(eps), torch.from_numpy(drop), augmentation)

    def of(self, shard: slice) -> "Draws":
        """The numbers of some of the images."""
        return self._each(lambda numbers: numbers[shard], first=self.first + shard.start)

    def to(self, device: torch.device) -> "Draws":
        """The same numbers on another device; for CUDA, pinned numbers are moved without waiting."""
        return self._each(lambda numbers: numbers.to(device, non_blocking=device.type == "cuda"))

    def pinned(self) -> "Draws":
        """The same numbers in pinned memory of the host."""
        return self._each(Tensor.pin_memory)

    def _each(self, change: Callable[[Tensor], Tensor], *, first: int | None = None) -> "Draws":
        t, eps, drop = map(change, (self.t, self.eps, self.drop))
        augmentation = None if self.augmentation is None else change(self.augmentation)
        return Draws(self.step, self.first if first is None else first, t, eps, drop, augmentation)


def spread_timesteps(batch_size: int, offset: float, settings: TrainSettings) -> NDArray[np.int64]:
    """Draw a timestep for each image of a batch: stratified over the schedule, with a density set by the settings.

    The timesteps of a batch are spread evenly behind a common random offset, which makes the gradient less noisy
    (Kingma et al. 2021, Appendix I; arXiv 2107.00630). Ho et al. draw uniformly: mode scale 0 and shift 1. Both are of
    Esser et al. 2024 (arXiv 2403.03206). With a mode scale m, the middle of the schedule is drawn
    1 / (1 - (pi / 2 - 1) m) times as often, and the ends 1 / (1 + m) times ("mode sampling with heavy tails",
    Section 3.1). A shift s then moves share u of the schedule to s u / (1 + (s - 1) u) (Eq. 23): with s > 1 towards the
    noise, where the shape of a digit is decided.

    Args:
        batch_size: B.
        offset: uniform in [0, 1).
        settings: the number of timesteps T, the mode scale and the shift.

    Returns:
        in 0 ... T - 1, shape (B,).
    """
    u = (np.arange(batch_size) / batch_size + offset) % 1
    u = u + settings.mode_scale * (u - np.sin(np.pi / 2 * u) ** 2)
    u = settings.timestep_shift * u / (1 + (settings.timestep_shift - 1) * u)
    t: NDArray[np.int64] = np.clip((u * settings.timesteps).astype(np.int64), 0, settings.timesteps - 1)
    return t


class Objective(ABC):
    """What training minimises: ``DiffusionLoss``, ``distillation.DistillationLoss``, or one of yours."""

    @abstractmethod
    def loss(self, model: Predict, x_0: Tensor, labels: Tensor, draws: Draws) -> Tensor:
        """The mean loss of some images, a batch or one of its shards: a scalar with a gradient.

        Args:
            model: (x_t, t, labels) -> prediction, float32.
            x_0: images in [-1, 1], shape (B, 1, H, W).
            labels: classes 0 ... C - 1, shape (B,).
            draws: the random numbers of the step.
        """

    def tensors(self) -> Mapping[str, Tensor]:
        """The tensors that the objective computes with, float32, by name; by default none.

        They are part of the training state: a checkpoint stores them, and resuming sets them in place.
        """
        return MappingProxyType({})


class DiffusionLoss(Objective):
    """The simple loss of Ho et al. 2020 (Eq. 14) for any prediction type, with label dropout for guidance.

    Args:
        settings: the noise schedule, and what the network predicts.
        device: of the images.
    """

    def __init__(self, settings: TrainSettings, device: torch.device) -> None:
        schedule = NoiseSchedule.from_settings(settings)
        self._prediction, self._null_label = PREDICTIONS[settings.prediction], settings.spec.null_label
        # Computed in float64, stored as the images are: MPS has no float64.
        self._alpha = torch.from_numpy(schedule.alphas).float().to(device)
        self._sigma = torch.from_numpy(schedule.sigmas).float().to(device)

    def q_sample(self, x_0: Tensor, draws: Draws) -> Tensor:
        """x_t ~ q(x_t | x_0) (Ho et al. 2020, Eq. 4): shape (B, 1, H, W)."""
        return diffuse(x_0, draws.eps, *self._coefficients(draws.t))

    def target(self, x_0: Tensor, draws: Draws) -> Tensor:
        """What the network should predict, shape (B, 1, H, W)."""
        return self._prediction.target(x_0, draws.eps, *self._coefficients(draws.t))

    def loss(self, model: Predict, x_0: Tensor, labels: Tensor, draws: Draws) -> Tensor:
        """Mean squared error of the prediction, as in ``Objective``."""
        prediction = model(self.q_sample(x_0, draws), draws.t, drop_labels(labels, draws.drop, self._null_label))
        return F.mse_loss(prediction, self.target(x_0, draws))

    def _coefficients(self, t: Tensor) -> tuple[Tensor, Tensor]:
        return self._alpha[t, None, None, None], self._sigma[t, None, None, None]  # (B, 1, 1, 1)


def drop_labels(labels: Tensor, drop: Tensor, null_label: int) -> Tensor:
    """Replace labels by "no label" where ``drop`` is set, for classifier-free guidance (Ho & Salimans 2022)."""
    return torch.where(drop, null_label, labels)
