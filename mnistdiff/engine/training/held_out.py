"""The loss of images that are held out from a training."""

import math

import torch

from mnistdiff.engine.checkpoint.metadata import HeldOut
from mnistdiff.engine.data.datasets import LabelledImages
from mnistdiff.engine.network.build import build_network, place
from mnistdiff.engine.training.execution import prepared
from mnistdiff.engine.training.inputs import HostImages
from mnistdiff.engine.training.objective import Draws, Objective
from mnistdiff.engine.training.state import TrainState
from mnistdiff.settings import TrainSettings

_IMAGES = 256
"""In a measurement: of fewer images some several times, each time with other noise."""
_MOST_OF_TIME = 0.05
"""The share of the training time that measurements take, if a step takes three times as long as a prediction."""
_POSITION = 2**62
"""In the streams of random numbers, in the place of a step: no training gets there."""


class HeldOutLoss:
    """Measures the loss of held-out images by the averaged weights, each time with the same timesteps and noise.

    Args:
        images: held out, at least one.
        settings: of the run.
        objective: the loss.
        device: of the training.
    """

    def __init__(
        self, images: LabelledImages, settings: TrainSettings, objective: Objective, device: torch.device
    ) -> None:
        self._objective, self._num_images = objective, len(images)
        with torch.random.fork_rng(devices=[]):
            self._model = place(build_network(settings), device).requires_grad_(requires_grad=False).eval()
        self._predict = prepared(self._model, settings.model_copy(update={"compile": "off"}))
        chosen = torch.arange(_IMAGES) % len(images)
        self._x_0, self._labels = HostImages(images.images, images.labels, device).at(chosen)
        as_they_are = settings.model_copy(update={"augment": ()})
        self._draws = Draws.at_step(_POSITION, tuple(self._x_0.shape), as_they_are).to(device)
        least = _IMAGES / (3 * _MOST_OF_TIME * settings.batch_size)
        self._every = settings.log_every * math.ceil(least / settings.log_every)

    def is_due(self, step: int) -> bool:
        """Whether the loss is measured after a step: with every record of the metrics, or every second one, ..."""
        return step % self._every == 0

    @torch.no_grad()
    def measure(self, state: TrainState) -> HeldOut:
        """The loss of the state's averaged weights, also set as ``state.held_out``."""
        for name, parameter in self._model.named_parameters():
            parameter.copy_(state.ema.weights[name])
        loss = self._objective.loss(self._predict, self._x_0, self._labels, self._draws).item()
        state.held_out = HeldOut.after(state.held_out, loss=loss, step=state.step, num_images=self._num_images)
        return state.held_out
