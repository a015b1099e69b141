"""Classifiers of digits: how they are trained, and what they see.

They judge what a model draws, so they learn from real images alone. The loss is plain cross-entropy: smoothed labels
would press the features of each digit into a point (Müller et al. 2019, "When does label smoothing help?",
arXiv 1906.02629), and the Fréchet distance would see less of what varies among the sevens.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor, nn

from mnistdiff.engine.data.transforms import to_unit_range
from mnistdiff.engine.evaluation.architectures import NUM_FEATURES, ConvClassifier, ResidualClassifier
from mnistdiff.engine.evaluation.augmentation import distorted
from mnistdiff.engine.network.device import memory_format
from mnistdiff.engine.randomness import Stream, generator
from mnistdiff.errors import DivergedError

_TRAIN_BATCH = 128
_JUDGE_BATCH = 500
_SETTLING_IMAGES = 10_000
_PEAK_LR = 3e-3
_WEIGHT_DECAY = 0.05
_WARM_UP = 0.2
_CPU = torch.device("cpu")


ARCHITECTURES: Mapping[str, type[nn.Module]] = MappingProxyType(
    {"conv": ConvClassifier, "residual": ResidualClassifier}
)
"""Each maps images in [0, 1], shape (B, 1, 28, 28), to logits (B, 10) and features (B, 128)."""


@dataclass(frozen=True)
class ClassifierStep:
    """One optimizer step, done.

    Attributes:
        step: optimizer steps done.
        total_steps: of the whole training.
        loss: of this step's batch.
        batch_size: images in the batch.
        model: the network in training; after the last step it is in evaluation mode and will not change any more.
    """

    step: int
    total_steps: int
    loss: float
    batch_size: int
    model: nn.Module


def train_classifier(
    architecture: str,
    images: NDArray[np.uint8],
    labels: NDArray[np.integer],
    *,
    epochs: int,
    seed: int,
) -> Iterator[ClassifierStep]:
    """Train a classifier from its random start, on the CPU. The same seed gives the same bits, on as many threads.

    AdamW on randomly distorted images; the learning rate rises linearly over the first fifth and falls linearly to 0,
    so the last weights need no averaging, and the length of the training no other setting than ``epochs``. It needs
    neither a test set nor a validation set: no weights are chosen.

    Args:
        architecture: a name in ``ARCHITECTURES``.
        images: grey levels, shape (N, 28, 28), N >= 2; real or drawn.
        labels: digits 0 ... 9, shape (N,).
        epochs: how often each image is shown; 12 suffice for MNIST. Of each epoch the last N mod 128 images of its
            random order are left out, since a batch of its own size would weigh as much as a whole one.
        seed: of the weights, the order and the distortions.

    Yields:
        a step after it is done; the last one carries the trained model.

    Raises:
        DivergedError: before the step that a non-finite loss would have spoilt.
    """
    assert len(images) == len(labels) >= 2, "batch normalisation needs two images"
    model = initial_classifier(architecture, seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=_PEAK_LR, weight_decay=_WEIGHT_DECAY, fused=True)
    batch_size = min(_TRAIN_BATCH, len(images))
    steps_per_epoch = len(images) // batch_size
    total_steps = epochs * steps_per_epoch
    for step in range(total_steps):
        epoch, batch = divmod(step, steps_per_epoch)
        if batch == 0:
            order = generator(seed, Stream.CLASSIFIER_ORDER, epoch).permutation(len(images))
        chosen = order[batch * batch_size : (batch + 1) * batch_size]
        x = distorted(_inputs(images[chosen]), generator(seed, Stream.CLASSIFIER_DISTORTION, step))
        for group in optimizer.param_groups:
            group["lr"] = _PEAK_LR * _share_of_peak((step + 1) / total_steps)
        loss = _step(model, optimizer, x, torch.from_numpy(labels[chosen].astype(np.int64)))
        if step + 1 == total_steps:
            _settle(model, images[order[:_SETTLING_IMAGES]])
        yield ClassifierStep(step + 1, total_steps, loss, batch_size, model)


def initial_classifier(architecture: str, seed: int) -> nn.Module:
    """A classifier before its first step; the same for the same seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(generator(seed, Stream.CLASSIFIER_WEIGHTS).integers(2**63)))
        model = ARCHITECTURES[architecture]()
    return model.to(memory_format=memory_format(_CPU)).train()


@torch.inference_mode()
def classify(model: nn.Module, images: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """What a classifier sees.

    Args:
        model: in evaluation mode.
        images: grey levels, shape (N, 28, 28).

    Returns:
        the most likely digits, shape (N,), and the features, shape (N, 128).
    """
    digits = np.empty(len(images), np.int64)
    features = np.empty((len(images), NUM_FEATURES), np.float32)
    for start in range(0, len(images), _JUDGE_BATCH):
        batch = slice(start, start + _JUDGE_BATCH)
        logits, found = model(_inputs(images[batch]))
        digits[batch], features[batch] = logits.argmax(dim=1).numpy(), found.numpy()
    return digits, features


def _inputs(images: NDArray[np.uint8]) -> Tensor:
    """Grey levels, shape (B, 28, 28), as images in [0, 1], shape (B, 1, 28, 28)."""
    return torch.from_numpy(to_unit_range(images)).contiguous(memory_format=memory_format(_CPU))


def _share_of_peak(done: float) -> float:
    """The learning rate as a share of its peak, given the share of the training done, 0 < done <= 1."""
    return min(done / _WARM_UP, (1 - done) / (1 - _WARM_UP))


@torch.no_grad()
def _settle(model: nn.Module, images: NDArray[np.uint8]) -> None:
    """Take the statistics of the normalisations anew, of undistorted images and the last weights, and end the training.

    Those gathered on the way lag behind the weights, much so in a short training (Wu & Johnson 2021, Section 3,
    "Rethinking 'Batch' in BatchNorm", arXiv 2105.07576), and belong to distorted images.
    """
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None  # the plain mean over all batches
    model.train()
    size = min(_JUDGE_BATCH, len(images))
    for start in range(0, len(images) - size + 1, size):
        model(_inputs(images[start : start + size]))
    model.eval()


def _step(model: nn.Module, optimizer: torch.optim.Optimizer, x: Tensor, y: Tensor) -> float:
    """One optimizer step and its loss."""
    optimizer.zero_grad(set_to_none=True)
    logits, _ = model(x)
    loss = F.cross_entropy(logits, y)
    value = loss.item()
    if not math.isfinite(value):
        raise DivergedError(f"the loss of the classifier is {value}: its training has diverged", "Use another --seed.")
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return value
