"""A PyTorch network as a function of NumPy arrays: what samplers evaluate."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from mnistdiff.engine.network.device import is_out_of_memory, memory_format
from mnistdiff.errors import OutOfMemoryError


class TorchDenoiser:
    """A network as a function of NumPy arrays, on the device of its weights.

    Args:
        model: put into evaluation mode; not copied.
    """

    def __init__(self, model: nn.Module) -> None:
        self._model = model.eval()
        self._device = next(model.parameters()).device

    @torch.inference_mode()
    def __call__(self, x_t: NDArray[np.float32], t: int, labels: NDArray[np.int64]) -> NDArray[np.float32]:
        """The prediction for ``x_t``, shape (B, 1, 28, 28), at timestep ``t``, given ``labels``, shape (B,).

        Raises:
            OutOfMemoryError: if so many images do not fit.
        """
        try:
            x = torch.from_numpy(x_t).to(self._device, memory_format=memory_format(self._device))
            timesteps = torch.full((len(x),), t, device=self._device)
            prediction = self._model(x, timesteps, torch.from_numpy(labels).to(self._device))
            array: NDArray[np.float32] = prediction.contiguous().cpu().numpy()
        except (MemoryError, RuntimeError) as error:
            if is_out_of_memory(error):
                raise OutOfMemoryError(
                    f"not enough memory to evaluate the network on {len(x_t)} images", "Use another `device`."
                ) from error
            raise
        return array
