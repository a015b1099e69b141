"""Distillation: a student learns to take the steps of its teacher's sampler in a few network evaluations.

Simple and fast distillation (Zhou et al. 2024, arXiv 2409.19681): the student samples from the noise of a path of the
teacher, by ``ddim`` and without guidance, and each of its states is compared with that of the path at the same
timestep. A step starts from the student's own state, as it will when it samples, and its gradient ends there.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mnistdiff.engine.diffusion.predictions import FloatArray, diffuse, eps_from_x_0
from mnistdiff.engine.diffusion.schedule import NoiseSchedule
from mnistdiff.engine.inference.model import DiffusionModel
from mnistdiff.engine.inference.process import FROM_NOISE
from mnistdiff.engine.inference.sampling import guided_x_0
from mnistdiff.engine.network.build import build_network, place
from mnistdiff.engine.network.device import memory_format
from mnistdiff.engine.randomness import Stream, generator
from mnistdiff.engine.training.execution import Predict, prepared
from mnistdiff.engine.training.objective import Draws, Objective
from mnistdiff.engine.training.state import Weights
from mnistdiff.setting_types import PREDICTIONS
from mnistdiff.settings import TrainSettings

_USES = 5
"""How often each path is used: making it takes about as long as five steps of the student."""
_DELAY = 16 * _USES
"""Optimizer steps between two uses of a path."""


def path_number(step: int) -> int:
    """Which batch of paths a step uses: of five steps the first a new one, the others earlier ones."""
    newest, use = divmod(step, _USES)
    number = newest - use * _DELAY // _USES
    return number if number >= 0 else -number % (newest + 1)  # of those that there are at the beginning


class DistillationLoss(Objective):
    """The absolute difference of the student's states from those of the teacher's paths.

    Paths are made when they are needed, for every fifth batch, and used five times; they are a function of the seed and
    the step, so that resuming makes them again. In memory are those of 65 batches: 13 MB for batches of 64 images and a
    student of two steps.

    Args:
        settings: of the student, with its ``distillation``. The teacher has the same network and schedule.
        device: to train on.
        teacher: its weights; None leaves them to be set in ``tensors()``, as resuming does.
    """

    def __init__(self, settings: TrainSettings, device: torch.device, *, teacher: Weights | None = None) -> None:
        assert settings.distillation is not None, "only a distilled model has a teacher"
        self._settings, self._device, self._distillation = settings, device, settings.distillation
        self._of_teacher = settings.model_copy(update={"prediction": self._distillation.prediction})
        self._prediction, self._schedule = PREDICTIONS[settings.prediction], NoiseSchedule.from_settings(settings)
        with torch.random.fork_rng(devices=[]):
            self._teacher = place(build_network(settings), device).requires_grad_(requires_grad=False).eval()
        if teacher is not None:
            for name, tensor in self._teacher.named_parameters():
                tensor.copy_(torch.from_numpy(teacher[name]))
        self._predict = prepared(self._teacher, settings)
        self._timesteps = self._schedule.inference_timesteps(self._distillation.steps, "trailing")
        self._states: dict[tuple[int, int, int], Tensor] = {}

    def tensors(self) -> dict[str, Tensor]:
        """The weights of the teacher."""
        return {f"teacher.{name}": tensor for name, tensor in self._teacher.named_parameters()}

    def loss(self, model: Predict, x_0: Tensor, labels: Tensor, draws: Draws) -> Tensor:
        """The mean over images, steps and pixels; images and labels of the data set are not used."""
        noise, path_labels, states = self._paths(draws, images=len(labels))
        x_t, total = noise, torch.zeros((), device=self._device)
        for (t, t_prev), state in zip(self._timesteps, states, strict=True):
            x_0_pred = self._x_0(model, x_t, t, path_labels)
            # Squared differences would make the student blur what it cannot tell apart.
            total = total + (self._ddim(x_0_pred, x_t, t, t_prev) - state.float()).abs().mean()
            x_t = self._ddim(x_0_pred.detach().clamp(-1, 1), x_t, t, t_prev)
        return total / len(self._timesteps)

    def _x_0(self, model: Predict, x_t: Tensor, t: int, labels: Tensor) -> Tensor:
        """The predicted image, not clipped, shape (B, 1, H, W)."""
        output = model(x_t, torch.full_like(labels, t), labels)
        return self._prediction.x_0(output, x_t, self._schedule.alpha(t), self._schedule.sigma(t))

    def _ddim(self, x_0: Tensor, x_t: Tensor, t: int, t_prev: int) -> Tensor:
        """The state at ``t_prev`` by ``samplers.ddim``: the image itself after the last step."""
        eps = eps_from_x_0(x_0, x_t, self._schedule.alpha(t), self._schedule.sigma(t))
        return diffuse(x_0, eps, self._schedule.alpha(t_prev), self._schedule.sigma(t_prev))

    def _paths(self, draws: Draws, *, images: int) -> tuple[Tensor, Tensor, Tensor]:
        """Paths of the teacher for a batch or one of its shards.

        Returns:
            noise x_T, shape (B, 1, H, W); labels, shape (B,); the states after each step of the student, float16,
            shape (S, B, 1, H, W).
        """
        number = path_number(draws.step)
        random = generator(self._settings.seed, Stream.TEACHER_PATHS, number)
        shape = (self._settings.batch_size, *self._settings.spec.image_shape)
        part = slice(draws.first, draws.first + images)
        noise = random.standard_normal(shape, dtype=np.float32)[part]
        labels = random.integers(self._settings.spec.num_classes, size=shape[0])[part]
        key = (number, draws.first, images)
        if key not in self._states:
            oldest = number - _DELAY * (_USES - 1) // _USES
            self._states = {other: states for other, states in self._states.items() if other[0] >= oldest}
            self._states[key] = self._sampled(noise, labels)
        return self._moved(noise), torch.from_numpy(labels).to(self._device), self._states[key]

    def _sampled(self, noise: NDArray[np.float32], labels: NDArray[np.int64]) -> Tensor:
        """The teacher's states at the timesteps of the student, by the code that samples."""
        sampling = self._distillation.sampling
        teacher = DiffusionModel(self._evaluate, self._of_teacher)
        predict_x_0 = guided_x_0(teacher, self._schedule, labels.tolist(), sampling)
        every = sampling.steps // self._distillation.steps
        path = [step.x_t for step in FROM_NOISE(predict_x_0, lambda _: noise, self._schedule, sampling)]
        return torch.stack([self._moved(state).half() for state in path[every - 1 :: every]])

    @torch.no_grad()
    def _evaluate(self, x_t: FloatArray, t: int, labels: NDArray[np.int64]) -> NDArray[np.float32]:
        """The teacher as a function of arrays, in the precision of the training."""
        numbers = torch.from_numpy(labels).to(self._device)
        output: NDArray[np.float32] = (
            self._predict(self._moved(x_t), torch.full_like(numbers, t), numbers).cpu().numpy()
        )
        return output

    def _moved(self, array: FloatArray) -> Tensor:
        """Images on the device, float32, in its memory layout."""
        images = torch.from_numpy(array.astype(np.float32, copy=False))
        return images.to(self._device, memory_format=memory_format(self._device))
