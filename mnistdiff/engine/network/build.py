"""Networks: the base class, the table they register in, and how a network is built, loaded and placed."""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mnistdiff.engine.network.device import memory_format
from mnistdiff.errors import CheckpointError, SettingsError
from mnistdiff.setting_types import NETWORKS
from mnistdiff.settings import TrainSettings

AUGMENTATION_NUMBERS = 5


class Network(nn.Module):
    """The base class of networks: (x_t, t, labels) -> prediction.

    A module adds a network by registering a function of the settings, under the name that ``TrainSettings.network``
    then accepts: ``@NETWORKS.register("mlp")``. Its parameters must be float32; buffers are not stored in checkpoints.
    """

    def forward(self, x_t: Tensor, t: Tensor, labels: Tensor) -> Tensor:
        """Predict for a batch in which each image has its own timestep and label.

        Args:
            x_t: noisy images, shape (B, 1, H, W).
            t: timesteps in 0 ... T - 1, shape (B,).
            labels: classes 0 ... C - 1, or C for "no label", shape (B,).

        Returns:
            the predicted noise, v or image, shape (B, 1, H, W).
        """
        raise NotImplementedError

    @property
    def num_parameters(self) -> int:
        """The number of trained numbers."""
        return sum(parameter.numel() for parameter in self.parameters())

    def muon_parameters(self) -> list[nn.Parameter]:
        """The parameters of two or more dimensions that Muon optimizes if it is chosen; AdamW optimizes the others."""
        return []

    def add_augmentation(self) -> None:
        """Add the parameters ``augmentation.*``, with which training tells of augmentation; by default refused.

        ``forward`` then takes a fourth argument ``augmentation``, shape (B, 5), zero for an image as it is
        (``training.augmentation``). With zeros it has to compute what it does without: sampling has no such parameters.

        Raises:
            SettingsError: if the network cannot be told.
        """
        raise SettingsError("`augment`: this `network` cannot be told of augmentation", "Train without `augment`.")

    def label_table(self) -> str:
        """The parameter with a row for each label, "no label" last, by name; by default there is none.

        With it a training on other classes can start from a model.
        """
        return ""

    def for_export(self) -> nn.Module:
        """The same function in operations for which ONNX Runtime has fast kernels; may change this network."""
        return self


def build_network(settings: TrainSettings, *, to_train: bool = False) -> Network:
    """Build the network of the settings, with random weights.

    Args:
        settings: validated.
        to_train: add the parameters that only a training has.

    Raises:
        SettingsError: if the network cannot be told of augmentation.
    """
    model = NETWORKS[settings.network](settings)
    if to_train and settings.augment:
        model.add_augmentation()
    return model


def load_network(
    settings: TrainSettings,
    weights: Mapping[str, NDArray[np.float32]],
    device: torch.device,
    *,
    source: str,
    to_train: bool = False,
) -> Network:
    """Build the network of the settings with the given weights, after comparing every name and shape.

    Args:
        settings: validated.
        weights: by parameter name.
        device: where to put it.
        source: the name of the weights in an error.
        to_train: as in ``build_network``.

    Raises:
        CheckpointError: if the weights are not those of this network.
    """
    # On the meta device a network takes no memory, however large the settings make it.
    with torch.device("meta"):
        model = build_network(settings, to_train=to_train)
    require_same_shapes({name: tuple(p.shape) for name, p in model.named_parameters()}, weights, source=source)
    model.load_state_dict({name: torch.tensor(array) for name, array in weights.items()}, assign=True)
    return place(model, device)


def place(model: Network, device: torch.device) -> Network:
    """Move the network to a device, in the memory layout that is fastest there."""
    return model.to(device).to(memory_format=memory_format(device))


def require_same_shapes(
    expected: Mapping[str, tuple[int, ...]], weights: Mapping[str, NDArray[np.float32]], *, source: str
) -> None:
    """Compare names and shapes.

    Raises:
        CheckpointError: naming the first tensor that is missing, unknown or of another shape.
    """
    for name in sorted(expected.keys() | weights.keys()):
        found = weights[name].shape if name in weights else "missing"
        if found != expected.get(name, "missing"):
            raise CheckpointError(
                f"{source} is corrupt: tensor {name[:80]!r} is {found}, "
                f"but its settings make it {expected.get(name, 'missing')}",
                "Use an earlier checkpoint of the run's checkpoints/ folder.",
            )
