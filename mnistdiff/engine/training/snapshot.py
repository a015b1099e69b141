"""A copy of a training state on its device, to go back to."""

import torch
from torch import Tensor

from mnistdiff.engine.training.state import TrainState


class Snapshot:
    """A copy of all tensors that optimizer steps change, and of the step number.

    Args:
        state: in training; its tensors stay the same objects.
    """

    def __init__(self, state: TrainState) -> None:
        self._state, self._step = state, state.step
        self._tensors: list[Tensor] = [*(tensor.detach() for tensor in state.changing_tensors())]
        self._copies = [tensor.clone() for tensor in self._tensors]

    def take(self) -> None:
        """Copy the state."""
        torch._foreach_copy_(self._copies, self._tensors)
        self._step = self._state.step

    def restore(self) -> None:
        """Set the state to the copy."""
        torch._foreach_copy_(self._tensors, self._copies)
        self._state.step = self._step
