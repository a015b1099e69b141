"""The bundled reference classifiers, and the format of their files.

A file is in the safetensors format: the classifier's weights (``model.*``, those of layers in float16), the normal
distribution of its features of the training images (``reference.*``) and one metadata entry, the JSON of a
``ClassifierCard``. Scores by two classifiers do not compare, so the bundled files are pinned by their SHA-256; a file
with the right digest needs no further checks.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from typing import Any, Literal

import numpy as np
import safetensors.numpy
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from torch import nn

from mnistdiff.engine.evaluation.classifier import ARCHITECTURES, Predictions, predict
from mnistdiff.engine.evaluation.metrics import Gaussian
from mnistdiff.engine.network.device import memory_format
from mnistdiff.errors import CheckpointError, SettingsError
from mnistdiff.setting_types import ClassifierName

PINNED: Mapping[ClassifierName, str] = {
    "conv": "117c2c7f12348005f85ef7517fe2d807ac145d0f4a3699b5b6c952c45a07004a",
    "residual": "b5a5424f49f5056bceba2deb91df33f05d206ac6995f3c3d106d5b2857b64dba",
}
"""SHA-256 of the files in ``assets/``, by architecture."""
DATASET = "mnist"
"""The data set that the bundled classifiers were trained on."""

_METADATA_KEY = "mnistdiff_judge"  # as in the pinned files
_MODEL, _MEAN, _COVARIANCE = "model.", "reference.mean", "reference.covariance"
_REINSTALL = "Reinstall it: pip install --force-reinstall --no-deps mnistdiff"


class ClassifierCard(BaseModel):
    """How a classifier was trained, and what real images score.

    Attributes:
        architecture: a name in ``classifier.ARCHITECTURES``.
        epochs: passes over the training images.
        num_train_images: that it was trained on, and its ``reference`` fitted to; class_counts: of each class.
        test_errors: misclassified ones of the ``num_test_images``, on which it was neither trained nor selected.
        fcd_real: by n, the Fréchet distance of n real test images to the training images: see
            ``reference_stats.fcd_of_test_images``. In the file its key is ``floors``.
        torch, threads: of the training: its weights are bit-exact only for the same ones.
    """

    model_config = ConfigDict(frozen=True, validate_by_name=True)

    format_version: Literal[1] = 1
    architecture: ClassifierName
    seed: int
    epochs: int
    num_train_images: int
    class_counts: tuple[int, ...]
    test_errors: int
    num_test_images: int
    fcd_real: dict[int, float] = Field(alias="floors")
    torch: str
    threads: int

    @property
    def test_accuracy(self) -> float:
        """Share of the test images that are classified correctly."""
        return 1 - self.test_errors / self.num_test_images


@dataclass(frozen=True, eq=False)
class ReferenceClassifier:
    """A trained classifier that generated images are evaluated with.

    Attributes:
        digest: SHA-256 of its file.
        card: how it was trained.
        reference: normal distribution of its features of the training images.
        model: in evaluation mode, on the CPU.
    """

    digest: str
    card: ClassifierCard
    reference: Gaussian = field(repr=False)
    model: nn.Module = field(repr=False)

    @property
    def name(self) -> str:
        """Its architecture."""
        return self.card.architecture

    def predict(self, images: NDArray[np.uint8]) -> Predictions:
        """Classify images: grey levels as they are saved, shape (N, 28, 28)."""
        assert images.dtype == np.uint8, f"classifiers take grey levels, not {images.dtype}"
        return predict(self.model, images)


def load_reference_classifiers(dataset: str = DATASET) -> tuple[ReferenceClassifier, ReferenceClassifier]:
    """The bundled classifiers: "conv" and "residual".

    Args:
        dataset: that the evaluated models were trained on.

    Raises:
        SettingsError: if the classifiers were trained on another data set.
        CheckpointError: if a file is missing or has another SHA-256 than that of this version.
    """
    if dataset != DATASET:
        raise SettingsError(
            f"`dataset` {dataset} has no reference classifiers: they were trained on {DATASET}",
            f"Evaluate a model that was trained on {DATASET}.",
        )
    conv, residual = (_load(name, digest) for name, digest in PINNED.items())
    return conv, residual


def asset_name(architecture: str) -> str:
    """The name of a bundled classifier's file in ``assets/``."""
    return f"classifier_{architecture}.safetensors"


def encode_classifier(card: ClassifierCard, reference: Gaussian, model: nn.Module) -> bytes:
    """The bytes of a classifier's file, a function of its content; ``model`` is as ``rounded`` returns it."""
    tensors = {f"{_MODEL}{name}": _stored(tensor) for name, tensor in model.state_dict().items()}
    tensors |= {_MEAN: reference.mean, _COVARIANCE: np.ascontiguousarray(reference.covariance)}
    return safetensors.numpy.save(tensors, metadata={_METADATA_KEY: card.model_dump_json(by_alias=True)})


def decode_classifier(content: bytes) -> ReferenceClassifier:
    """The classifier in the bytes of a file, which are trusted: they are not validated."""
    # The header: eight bytes of length, then JSON.
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    card = ClassifierCard.model_validate_json(header["__metadata__"][_METADATA_KEY])
    tensors = safetensors.numpy.load(content)
    # On the meta device no random numbers are drawn for weights that are replaced below.
    with torch.device("meta"):
        model = ARCHITECTURES[card.architecture](len(card.class_counts))
    state = {
        name: torch.from_numpy(tensors[f"{_MODEL}{name}"]).to(tensor.dtype)
        for name, tensor in model.state_dict().items()
    }
    model.load_state_dict(state, assign=True)
    model = model.to(memory_format=memory_format(torch.device("cpu"))).eval()
    reference = Gaussian(tensors[_MEAN], tensors[_COVARIANCE])
    return ReferenceClassifier(hashlib.sha256(content).hexdigest(), card, reference, model)


def rounded(model: nn.Module) -> nn.Module:
    """The model, changed in place to the weights that its file will hold, so that those are measured."""
    for tensor in model.state_dict().values():
        tensor.copy_(torch.from_numpy(_stored(tensor)))
    return model


def _load(architecture: ClassifierName, digest: str) -> ReferenceClassifier:
    source = f"the bundled {asset_name(architecture)}"
    try:
        content = resources.files("mnistdiff").joinpath("assets", asset_name(architecture)).read_bytes()
    except FileNotFoundError as error:
        raise CheckpointError(f"{source} is missing", _REINSTALL) from error
    found = hashlib.sha256(content).hexdigest()
    if found != digest:
        message = f"{source} is not that of this version: its SHA-256 is {found[:12]}..., not {digest[:12]}..."
        raise CheckpointError(message, _REINSTALL)
    return decode_classifier(content)


def _stored(tensor: torch.Tensor) -> NDArray[Any]:
    """A tensor as it is stored: float16 for the weights of layers, which are most of a file; float32 for vectors."""
    kind = np.float16 if tensor.ndim > 1 else np.float32
    # Integers count the batches that a normalisation has seen.
    return tensor.detach().contiguous().numpy().astype(kind if tensor.is_floating_point() else np.int64)
