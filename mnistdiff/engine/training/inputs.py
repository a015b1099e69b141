"""The inputs of each optimizer step: images, labels and random numbers, on the device of the network."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mnistdiff.engine.data.batches import batch_indices
from mnistdiff.engine.data.transforms import from_uint8, to_model_range
from mnistdiff.engine.network.device import memory_format
from mnistdiff.engine.training.augmentation import augmented
from mnistdiff.engine.training.objective import Draws
from mnistdiff.settings import TrainSettings


class Images(Protocol):
    """The images of a data set with their labels."""

    def at(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Some of them: images in [-1, 1], shape (B, 1, H, W), and labels, shape (B,), on the device."""
        ...


class HostImages:
    """A data set in the memory of the host; its images are converted there.

    Args:
        images: grey levels, shape (N, H, W).
        labels: classes, shape (N,).
        device: where batches are moved to.
    """

    def __init__(self, images: NDArray[np.uint8], labels: NDArray[np.uint8], device: torch.device) -> None:
        self._images, self._labels, self._device = images, labels, device

    def at(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """As in ``Images``."""
        chosen = indices.numpy()
        x_0 = torch.from_numpy(to_model_range(self._images[chosen]))
        y = torch.from_numpy(self._labels[chosen].astype(np.int64))
        return x_0.to(self._device, memory_format=memory_format(self._device)), y.to(self._device)


class DeviceImages:
    """A data set in the memory of the device: 47 MB for 60,000 images.

    The value of each grey level comes from a table that the host computed, so that it has the same bits: a GPU may
    divide in another way.

    Args:
        images: grey levels, shape (N, H, W).
        labels: classes, shape (N,).
        device: where they are kept.
    """

    def __init__(self, images: NDArray[np.uint8], labels: NDArray[np.uint8], device: torch.device) -> None:
        self._images = torch.tensor(images, device=device)
        self._labels = torch.tensor(labels, device=device)
        self._values = torch.from_numpy(from_uint8(np.arange(256, dtype=np.uint8))).to(device)

    def at(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """As in ``Images``."""
        x_0 = self._values[self._images[indices].int()].unsqueeze(1)
        return x_0.to(memory_format=memory_format(x_0.device)), self._labels[indices].long()


@dataclass(frozen=True)
class Batch:
    """The inputs of one optimizer step.

    Attributes:
        images: the data set.
        indices: of the images of the batch, shape (B,).
        draws: the random numbers of the step.
    """

    images: Images
    indices: Tensor
    draws: Draws

    @property
    def size(self) -> int:
        """B, the number of images."""
        return len(self.indices)

    def of(self, shard: slice, device: torch.device) -> tuple[Tensor, Tensor, Draws]:
        """The images in [-1, 1], augmented, labels and random numbers of a shard, on the device."""
        (x_0, labels), draws = self.images.at(self.indices[shard]), self.draws.of(shard).to(device)
        return x_0 if draws.augmentation is None else augmented(x_0, draws.augmentation), labels, draws


class Inputs:
    """The batches of a training.

    Args:
        images: grey levels, shape (N, H, W).
        labels: classes, shape (N,).
        settings: of the run.
        device: of the network.
        ahead: a thread that draws the random numbers of the next step during this one; None draws them when needed.
    """

    def __init__(
        self,
        images: NDArray[np.uint8],
        labels: NDArray[np.uint8],
        settings: TrainSettings,
        device: torch.device,
        ahead: ThreadPoolExecutor | None = None,
    ) -> None:
        self._shape, self._settings, self._device, self._ahead = images.shape, settings, device, ahead
        self._images = (HostImages if ahead is None else DeviceImages)(images, labels, device)
        self._next: tuple[int, Future[tuple[Tensor, Draws]]] | None = None

    def at(self, step: int) -> Batch:
        """The batch of step 0, 1, 2, ..., a function of the seed and the step."""
        if self._ahead is None:
            return Batch(self._images, *self._drawn(step))
        if self._next is None or self._next[0] != step:
            self._next = (step, self._ahead.submit(self._drawn, step))
        indices, draws = self._next[1].result()
        self._next = (step + 1, self._ahead.submit(self._drawn, step + 1))
        return Batch(self._images, indices.to(self._device, non_blocking=True), draws.to(self._device))

    def _drawn(self, step: int) -> tuple[Tensor, Draws]:
        """Indices and random numbers, in the memory of the host; for CUDA pinned, to be moved without waiting."""
        settings = self._settings
        chosen = batch_indices(
            seed=settings.seed,
            step=step,
            num_images=self._shape[0],
            batch_size=settings.batch_size,
            repeats=settings.repeats,
        )
        draws = Draws.at_step(step, (len(chosen), 1, *self._shape[1:]), settings)
        indices = torch.tensor(chosen)
        return (indices.pin_memory(), draws.pinned()) if self._device.type == "cuda" else (indices, draws)


@contextmanager
def inputs_of(
    images: NDArray[np.uint8], labels: NDArray[np.uint8], settings: TrainSettings, device: torch.device
) -> Iterator[Inputs]:
    """The batches of a training; on CUDA they are prepared one step ahead.

    Args:
        images: grey levels, shape (N, H, W).
        labels: classes, shape (N,).
        settings: of the run.
        device: of the network.
    """
    if device.type != "cuda":
        yield Inputs(images, labels, settings, device)
        return
    # A new thread would use the first GPU.
    with ThreadPoolExecutor(1, initializer=torch.cuda.set_device, initargs=(device,)) as ahead:
        yield Inputs(images, labels, settings, device, ahead)
