"""Image classifiers: training and prediction.

The loss is plain cross-entropy: label smoothing would contract the features of each class to a point (Müller et al.
2019, "When does label smoothing help?", arXiv 1906.02629), and the Fréchet distance would see less of the variation
within a class.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Never

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor, nn

from mnistdiff.engine.data.datasets import LabelledImages
from mnistdiff.engine.data.transforms import to_unit_range
from mnistdiff.engine.evaluation.architectures import NUM_FEATURES, ConvClassifier, ResidualClassifier
from mnistdiff.engine.network.device import memory_format
from mnistdiff.engine.progress import Progress, Work
from mnistdiff.engine.randomness import Stream, generator
from mnistdiff.engine.training.optimizer import AdamW, set_learning_rate
from mnistdiff.errors import DivergedError
from mnistdiff.setting_types import ClassifierName

_TRAIN_BATCH = 128
PREDICT_BATCH = 500
_BATCH_NORM_IMAGES = 10_000
_PEAK_LR = 3e-3
_WEIGHT_DECAY = 0.05
_WARM_UP = 0.2
# Each parameter is uniform between minus and plus these values; much larger ones would turn a 1 into a 7.
_ANGLE = math.radians(10)
_LOG_SCALE = 0.1
_SHEAR = 0.1
_SHIFT = 2 / 28  # of the height and the width
_CPU = torch.device("cpu")

Architecture = type[ConvClassifier] | type[ResidualClassifier]
ARCHITECTURES: Mapping[str, Architecture] = {"conv": ConvClassifier, "residual": ResidualClassifier}
"""Networks by name; see ``architectures``."""


@dataclass(frozen=True)
class Predictions:
    """Classifier outputs.

    Attributes:
        labels: the most likely class of each image, shape (N,).
        features: the activations before the last layer, at least 0, shape (N, 128).
    """

    labels: NDArray[np.int64]
    features: NDArray[np.float32]


def train_classifier(
    architecture: ClassifierName,
    training: LabelledImages,
    *,
    num_classes: int,
    epochs: int,
    seed: int,
    stage: str = "training",
) -> Work[Never, nn.Module]:
    """Train a classifier from random weights, on the CPU; bit-exact for the same seed and number of threads.

    AdamW on augmented images. The learning rate rises linearly in the first fifth and then falls linearly to 0, so the
    last weights need no averaging. The last weights are used, so no validation set is needed.

    Args:
        architecture: a name in ``ARCHITECTURES``.
        training: N >= 2 images, real or generated.
        num_classes: labels are 0 ... ``num_classes`` - 1.
        epochs: passes over the images; in each, the last N mod 128 images of its random order are left out.
        seed: of the weights, the order of the images and the augmentation.
        stage: name of the progress.

    Yields:
        progress in optimizer steps.

    Returns:
        the trained model, in evaluation mode.

    Raises:
        DivergedError: before the step of a non-finite loss.
    """
    images, labels = training.images, training.labels
    assert len(images) == len(labels) >= 2, "batch normalisation needs two images"
    model = initial_classifier(architecture, num_classes, seed, image_size=images.shape[-1])
    optimizer = AdamW(model.parameters(), lr=_PEAK_LR, weight_decay=_WEIGHT_DECAY)
    batch_size = min(_TRAIN_BATCH, len(images))
    total_steps = epochs * steps_per_epoch(len(images))
    for step in range(total_steps):
        epoch, batch = divmod(step, steps_per_epoch(len(images)))
        if batch == 0:
            order = generator(seed, Stream.CLASSIFIER_ORDER, epoch).permutation(len(images))
        chosen = order[batch * batch_size : (batch + 1) * batch_size]
        x = augment(_inputs(images[chosen]), generator(seed, Stream.CLASSIFIER_AUGMENTATION, step))
        set_learning_rate([optimizer], _share_of_peak((step + 1) / total_steps))
        _step(model, optimizer, x, torch.from_numpy(labels[chosen].astype(np.int64)))
        yield Progress(stage, step + 1, total_steps)
    _recompute_batch_norm(model, images[order[:_BATCH_NORM_IMAGES]])
    return model.eval()


def steps_per_epoch(num_images: int) -> int:
    """Optimizer steps of a pass over the images; an incomplete last batch is left out, unless it is the only one."""
    return max(1, num_images // _TRAIN_BATCH)


def initial_classifier(architecture: ClassifierName, num_classes: int, seed: int, *, image_size: int) -> nn.Module:
    """A classifier of images of this height and width with random weights; the same for the same seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(generator(seed, Stream.CLASSIFIER_WEIGHTS).integers(2**63)))
        model = ARCHITECTURES[architecture](num_classes, image_size)
    return model.to(memory_format=memory_format(_CPU)).train()


@torch.inference_mode()
def predict(model: nn.Module, images: NDArray[np.uint8]) -> Predictions:
    """Classify images; the outputs for an image do not depend on the others.

    Args:
        model: in evaluation mode.
        images: grey levels, shape (N, H, W).
    """
    labels = np.empty(len(images), np.int64)
    features = np.empty((len(images), NUM_FEATURES), np.float32)
    for start in range(0, len(images), PREDICT_BATCH):
        batch = slice(start, start + PREDICT_BATCH)
        logits, activations = model(_inputs(images[batch]))
        labels[batch], features[batch] = logits.argmax(dim=1).numpy(), activations.numpy()
    return Predictions(labels, features)


def _inputs(images: NDArray[np.uint8]) -> Tensor:
    """Grey levels, shape (B, H, W), as images in [0, 1], shape (B, 1, H, W)."""
    return torch.from_numpy(to_unit_range(images)).contiguous(memory_format=memory_format(_CPU))


def augment(images: Tensor, rng: np.random.Generator) -> Tensor:
    """Rotate, scale, shear and shift each image a little, with random parameters of its own.

    Args:
        images: shape (B, 1, H, W).
        rng: draws five numbers per image.

    Returns:
        shape (B, 1, H, W); bilinear interpolation, black beyond the border.
    """
    turn, size, slant, across, down = torch.from_numpy(rng.uniform(-1, 1, (5, len(images))).astype(np.float32))
    cos, sin = torch.cos(_ANGLE * turn), torch.sin(_ANGLE * turn)
    scale, shear = torch.exp(_LOG_SCALE * size), _SHEAR * slant
    shift = 2 * _SHIFT  # the grid spans -1 ... 1
    # From coordinates in the result to coordinates in the image.
    first, second = (scale * cos, scale * (shear * cos - sin)), (scale * sin, scale * (shear * sin + cos))
    matrices = torch.stack([*first, shift * across, *second, shift * down], dim=1).view(-1, 2, 3)
    grid = F.affine_grid(matrices, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, align_corners=False)


def _share_of_peak(done: float) -> float:
    """The learning rate as a share of its peak, given the share of the training done, 0 < done <= 1."""
    return min(done / _WARM_UP, (1 - done) / (1 - _WARM_UP))


@torch.no_grad()
def _recompute_batch_norm(model: nn.Module, images: NDArray[np.uint8]) -> None:
    """Recompute the BatchNorm statistics ("precise BN") with the last weights, on images without augmentation.

    The running statistics lag behind the weights, much so in a short training (Wu & Johnson 2021, Section 3,
    "Rethinking 'Batch' in BatchNorm", arXiv 2105.07576), and are those of augmented images.
    """
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None  # the plain mean over all batches
    size = min(PREDICT_BATCH, len(images))
    for start in range(0, len(images) - size + 1, size):
        model(_inputs(images[start : start + size]))


def _step(model: nn.Module, optimizer: AdamW, x: Tensor, y: Tensor) -> None:
    """Take one optimizer step."""
    model.zero_grad(set_to_none=True)
    logits, _ = model(x)
    loss = F.cross_entropy(logits, y)
    value = loss.item()
    if not math.isfinite(value):
        raise DivergedError(f"the loss of the classifier is {value}: its training has diverged", "Use another `seed`.")
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
