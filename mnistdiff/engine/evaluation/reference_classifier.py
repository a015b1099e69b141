"""The reference classifiers: the bundled ones, others in files, and the format of these.

A file is in the safetensors format: the classifier's weights (``model.*``, those of layers in float16), the normal
distribution of its features of the training images (``reference.*``) and one metadata entry, the JSON of a
``ClassifierCard``. Scores by two classifiers do not compare, so the bundled files are pinned by their SHA-256; a file
with the right digest needs no further checks.
"""

import hashlib
import json
import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from torch import nn

from mnistdiff.engine.data.datasets import MNIST, DatasetSpec
from mnistdiff.engine.evaluation.architectures import NUM_FEATURES
from mnistdiff.engine.evaluation.classifier import ARCHITECTURES, Predictions, predict
from mnistdiff.engine.evaluation.classifier_card import ClassifierCard, digest_of_dataset, kept_classifier
from mnistdiff.engine.evaluation.metrics import Gaussian
from mnistdiff.engine.network.device import memory_format
from mnistdiff.engine.storage import open_without_waiting
from mnistdiff.errors import CheckpointError, DataError, SettingsError
from mnistdiff.setting_types import ClassifierName

PINNED: Mapping[ClassifierName, str] = {
    "conv": "117c2c7f12348005f85ef7517fe2d807ac145d0f4a3699b5b6c952c45a07004a",
    "residual": "b5a5424f49f5056bceba2deb91df33f05d206ac6995f3c3d106d5b2857b64dba",
}
"""SHA-256 of the files in ``assets/``, by architecture."""
_MAX_BYTES = 2**25
_UNREADABLE = (SafetensorError, ValueError, KeyError, TypeError, AttributeError, RuntimeError)
"""What reading of a file that is something else raises; Pydantic's errors are ValueErrors."""
_METADATA_KEY = "mnistdiff_judge"  # as in the pinned files
_MODEL, _MEAN, _COVARIANCE = "model.", "reference.mean", "reference.covariance"
_REINSTALL = "Reinstall it: pip install --force-reinstall --no-deps mnistdiff"


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
        """Classify images: grey levels as they are saved, shape (N, H, W)."""
        assert images.dtype == np.uint8, f"classifiers take grey levels, not {images.dtype}"
        return predict(self.model, images)


def load_reference_classifiers(
    spec: DatasetSpec = MNIST, files: Sequence[Path] = ()
) -> tuple[ReferenceClassifier, ...]:
    """The classifiers to evaluate models of a data set with.

    Args:
        spec: the data set, as ``DatasetSpec.evaluated_as`` gives it.
        files: of the classifiers; by default the bundled ones for MNIST, and those of ``train-classifier`` for others.

    Raises:
        SettingsError: if there are none.
        CheckpointError: if a file is missing or damaged, or a bundled one is not that of this version.
        DataError: if one was trained on other images.
    """
    if not files and spec.name == MNIST.name:
        return tuple(_load(name, digest) for name, digest in PINNED.items())
    kept = (kept_classifier(spec, name) for name in PINNED)
    chosen = files or [path for path in kept if path is not None and path.is_file()]
    if not chosen:
        dataset = spec.name if spec.pictures is None else "FOLDER"
        raise SettingsError(
            f"there are no reference classifiers of {spec.title} on this machine",
            f"Train them: mnistdiff train-classifier --dataset {dataset}",
        )
    return tuple(_of_dataset(read_classifier(path), spec, path) for path in chosen)


def read_classifier(path: Path) -> ReferenceClassifier:
    """Read a file that ``train-classifier`` has written.

    Raises:
        CheckpointError: if it is missing, damaged, or something else.
        OSError: if the file system refuses.
    """
    hint = "Name a file that `train-classifier` has written."
    try:
        with open_without_waiting(path) as file:
            content = file.read(_MAX_BYTES + 1) if stat.S_ISREG(os.fstat(file.fileno()).st_mode) else b""
    except (FileNotFoundError, NotADirectoryError) as error:
        raise CheckpointError(f"there is no classifier at {path}", hint) from error
    except IsADirectoryError as error:
        raise CheckpointError(f"{path} is a folder, and no classifier", hint) from error
    try:
        if len(content) > _MAX_BYTES:
            raise ValueError("too large")
        classifier = decode_classifier(content)
        arrays = [classifier.reference.mean, classifier.reference.covariance]
        arrays += [tensor.numpy() for tensor in classifier.model.state_dict().values()]
        if arrays[0].shape != (NUM_FEATURES,) or arrays[1].shape != (NUM_FEATURES, NUM_FEATURES):
            raise ValueError("a shape")
        if not all(np.isfinite(array).all() for array in arrays):
            raise ValueError("a value that is not finite")
    except _UNREADABLE as error:
        raise CheckpointError(f"{path} is no reference classifier, or damaged", hint) from error
    return classifier


def asset_name(architecture: str) -> str:
    """The name of a bundled classifier's file in ``assets/``."""
    return f"classifier_{architecture}.safetensors"


def encode_classifier(card: ClassifierCard, reference: Gaussian, model: nn.Module) -> bytes:
    """The bytes of a classifier's file, a function of its content; ``model`` is as ``rounded`` returns it."""
    tensors = {f"{_MODEL}{name}": _stored(tensor) for name, tensor in model.state_dict().items()}
    tensors |= {_MEAN: reference.mean, _COVARIANCE: np.ascontiguousarray(reference.covariance)}
    return safetensors.numpy.save(
        tensors, metadata={_METADATA_KEY: card.model_dump_json(by_alias=True, exclude_none=True)}
    )


def decode_classifier(content: bytes) -> ReferenceClassifier:
    """The classifier in the bytes of a file, which are trusted: they are not validated."""
    # The header: eight bytes of length, then JSON.
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    card = ClassifierCard.model_validate_json(header["__metadata__"][_METADATA_KEY])
    tensors = safetensors.numpy.load(content)
    # On the meta device no random numbers are drawn for weights that are replaced below.
    with torch.device("meta"):
        model = ARCHITECTURES[card.architecture](len(card.class_counts), card.image_size)
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


def _of_dataset(classifier: ReferenceClassifier, spec: DatasetSpec, path: Path) -> ReferenceClassifier:
    """The classifier, if it was trained on this data set."""
    data = classifier.card.data
    if (digest_of_dataset(MNIST) if data is None else data.digest) == digest_of_dataset(spec):
        return classifier
    other = MNIST.title if data is None else data.dataset
    if other == spec.title:
        other = f"other images of the name {other}"
    raise DataError(
        f"the classifier {path} was trained on {other}, and the model on {spec.title}",
        "Use a classifier of the model's data set, which `train-classifier` makes.",
    )


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
