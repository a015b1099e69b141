"""A PyTorch network as a function of NumPy arrays: what samplers evaluate."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from mnistdiff.engine.network.device import float32_convolutions, is_out_of_memory, memory_format
from mnistdiff.errors import OutOfMemoryError


class TorchDenoiser:
    """A network as a function of NumPy arrays, on the device of its weights.

    Args:
        model: put into evaluation mode; not copied.
        threads: to compute with on the CPU; by default as many as PyTorch is set to. The rounding depends on them.
    """

    def __init__(self, model: nn.Module, *, threads: int | None = None) -> None:
        self._model, self._threads = model.eval(), threads
        self._device = next(model.parameters()).device

    def in_one_thread(self) -> "TorchDenoiser":
        """The same network, computed in one thread."""
        return TorchDenoiser(self._model, threads=1)

    @torch.inference_mode()
    def __call__(self, x_t: NDArray[np.float32], t: int, labels: NDArray[np.int64]) -> NDArray[np.float32]:
        """The prediction for ``x_t``, shape (B, 1, H, W), at timestep ``t``, given ``labels``, shape (B,).

        Raises:
            OutOfMemoryError: if so many images do not fit.
        """
        try:
            x = torch.from_numpy(x_t).to(self._device, memory_format=memory_format(self._device))
            timesteps = torch.full((len(x),), t, device=self._device)
            with _threads(self._threads), float32_convolutions(self._device):
                prediction = self._model(x, timesteps, torch.from_numpy(labels).to(self._device))
            array: NDArray[np.float32] = prediction.contiguous().cpu().numpy()
        except (MemoryError, RuntimeError) as error:
            if is_out_of_memory(error):
                raise OutOfMemoryError(
                    f"not enough memory to evaluate the network on {len(x_t)} images", "Use another `device`."
                ) from error
            raise
        return array


@contextmanager
def _threads(number: int | None) -> Iterator[None]:
    """Compute with that many threads; None changes nothing."""
    if number is None:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)
