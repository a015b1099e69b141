"""A trained network as a plain function of arrays: what samplers call."""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from mnistdiff.engine.network.device import is_out_of_memory, memory_format
from mnistdiff.engine.network.unet import ConditionalUNet
from mnistdiff.errors import CheckpointError, OutOfMemoryError
from mnistdiff.settings import TrainSettings


def build_unet(
    settings: TrainSettings, weights: Mapping[str, NDArray[np.float32]], device: torch.device, *, source: str
) -> ConditionalUNet:
    """The network of ``settings`` with ``weights``, after every name and shape has been compared.

    Args:
        settings: validated.
        weights: by parameter name.
        device: where to put it.
        source: what to call the weights in an error.

    Raises:
        CheckpointError: if the weights are not those of this network.
    """
    # On the meta device a network costs no memory, whatever its settings claim.
    with torch.device("meta"):
        model = ConditionalUNet.from_settings(settings)
    require_same_shapes({name: tuple(p.shape) for name, p in model.named_parameters()}, weights, source=source)
    model.load_state_dict({name: torch.tensor(array) for name, array in weights.items()}, assign=True)
    return place(model, device)


def place(model: ConditionalUNet, device: torch.device) -> ConditionalUNet:
    """The network on a device, in the memory layout that is fastest there."""
    return model.to(device).to(memory_format=memory_format(device))


def require_same_shapes(
    expected: Mapping[str, tuple[int, ...]], weights: Mapping[str, NDArray[np.float32]], *, source: str
) -> None:
    """Compare names and shapes.

    Raises:
        CheckpointError: naming the first tensor that is missing, unknown or of another shape.
    """
    for name in sorted(expected.keys() | weights.keys()):
        found = weights[name].shape if name in weights else "nothing"
        if found != expected.get(name, "nothing"):
            raise CheckpointError(
                f"{source} is corrupt: tensor {name[:80]!r} is {found}, "
                f"but its settings make it {expected.get(name, 'nothing')}",
                "Use an earlier checkpoint of the run's checkpoints/ folder.",
            )


class TorchDenoiser:
    """A network as a function of NumPy arrays, on whatever device it lies.

    Args:
        model: put into evaluation mode; not copied, so it may be the average that a training goes on updating.
    """

    def __init__(self, model: ConditionalUNet) -> None:
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
                    f"not enough memory to evaluate the network on {len(x_t)} images", "Draw on another --device."
                ) from error
            raise
        return array
