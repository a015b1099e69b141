"""The bundled reference classifiers, and the format of their files.

A file is in the safetensors format: the classifier's weights (``model.*``, those of layers in float16), the normal
distribution of its features of the training images (``reference.*``) and one metadata entry, the JSON of a
``ClassifierCard``. Figures of two classifiers do not compare, so the bundled files are pinned by their SHA-256.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from types import MappingProxyType
from typing import Annotated, Any, Literal, Self

import numpy as np
import safetensors
import safetensors.numpy
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from torch import nn

from mnistdiff.engine.evaluation.architectures import NUM_FEATURES
from mnistdiff.engine.evaluation.classifier import ARCHITECTURES, Predictions, predict
from mnistdiff.engine.evaluation.metrics import Gaussian
from mnistdiff.engine.network.device import memory_format
from mnistdiff.errors import CheckpointError, SettingsError, explain
from mnistdiff.setting_types import ClassifierName, Seed

PINNED: Mapping[ClassifierName, str] = MappingProxyType(
    {
        "conv": "117c2c7f12348005f85ef7517fe2d807ac145d0f4a3699b5b6c952c45a07004a",
        "residual": "b5a5424f49f5056bceba2deb91df33f05d206ac6995f3c3d106d5b2857b64dba",
    }
)
"""SHA-256 of the files in ``assets/``, by architecture."""
DATASET = "mnist"
"""The data set that the bundled classifiers were trained on."""

_METADATA_KEY = "mnistdiff_judge"  # as in the pinned files
_MAX_FILE_BYTES = 2 * 1024**2
_MODEL, _MEAN, _COVARIANCE = "model.", "reference.mean", "reference.covariance"
_REINSTALL = "Reinstall it: pip install --force-reinstall --no-deps mnistdiff"

_Count = Annotated[int, Field(ge=0, le=10**9)]


class ClassifierCard(BaseModel):
    """How a classifier was trained, and what real images score.

    Attributes:
        architecture: a name in ``classifier.ARCHITECTURES``.
        epochs: passes over the training images.
        num_train_images: behind its weights and its reference; class_counts: how many of each class.
        test_errors: how many of the ``num_test_images`` are misclassified; it was neither trained nor selected on them.
        fcd_real: by n, the Fréchet distance of n real test images to the training images: see
            ``reference_stats.fcd_of_test_images``. In the file ``floors``, a name that the pinned digests keep.
        torch, threads: what the bits of its weights depend on beside ``seed``.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, str_max_length=80, validate_by_name=True
    )

    format_version: Literal[1] = 1
    architecture: ClassifierName
    seed: Seed
    epochs: int = Field(ge=1, le=10**6)
    num_train_images: _Count
    class_counts: tuple[_Count, ...] = Field(min_length=1, max_length=255)
    test_errors: _Count
    num_test_images: int = Field(ge=1, le=10**9)
    fcd_real: dict[Annotated[int, Field(ge=2)], Annotated[float, Field(ge=0)]] = Field(alias="floors")
    torch: str
    threads: int = Field(ge=1)

    @property
    def test_accuracy(self) -> float:
        """Share of the test images that are classified correctly."""
        return 1 - self.test_errors / self.num_test_images

    @model_validator(mode="after")
    def _check_sums(self) -> Self:
        if sum(self.class_counts) != self.num_train_images:
            raise ValueError(f"class_counts sum to {sum(self.class_counts)}, not to {self.num_train_images}")
        if max([self.test_errors, *self.fcd_real]) > self.num_test_images:
            raise ValueError(f"there are only {self.num_test_images} test images")
        return self


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
        assert images.dtype == np.uint8, f"classifiers see grey levels, not {images.dtype}"
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
            f"`dataset` {dataset}: the reference classifiers were trained on {DATASET}, and compare no other images",
            f"Evaluate a model that was trained on {DATASET}.",
        )
    conv, residual = (_load(name, digest) for name, digest in PINNED.items())
    return conv, residual


def asset_name(architecture: str) -> str:
    """The name of a bundled classifier's file in ``assets/``."""
    return f"classifier_{architecture}.safetensors"


def encode_classifier(card: ClassifierCard, reference: Gaussian, model: nn.Module) -> bytes:
    """The bytes of a classifier's file: the same for the same content. ``model`` has been through ``rounded``."""
    tensors = {f"{_MODEL}{name}": _stored(tensor) for name, tensor in model.state_dict().items()}
    tensors |= {_MEAN: reference.mean, _COVARIANCE: np.ascontiguousarray(reference.covariance)}
    return safetensors.numpy.save(tensors, metadata={_METADATA_KEY: card.model_dump_json(by_alias=True)})


def decode_classifier(content: bytes, *, source: str) -> ReferenceClassifier:
    """Verify the bytes of a file, all of them, and build the classifier.

    Args:
        content: the whole file.
        source: what to call it in an error.

    Raises:
        CheckpointError: if it is too large, not a classifier's, truncated, or holds a tensor of another name, shape or
            type, or a number that is not finite.
    """
    if len(content) > _MAX_FILE_BYTES:
        raise CheckpointError(f"{source} is not a classifier: {len(content):,} bytes are too many", _REINSTALL)
    card = _card(content, source)
    try:
        tensors = safetensors.numpy.load(content)
    except (safetensors.SafetensorError, ValueError, KeyError) as error:
        raise _corrupt(source, str(error)[:200]) from error
    # On the meta device no random numbers are drawn for weights that are replaced below.
    with torch.device("meta"):
        model = ARCHITECTURES[card.architecture](len(card.class_counts))
    _require_tensors(model, tensors, source)
    state = {
        name: torch.from_numpy(tensors[f"{_MODEL}{name}"]).to(tensor.dtype)
        for name, tensor in model.state_dict().items()
    }
    model.load_state_dict(state, assign=True)
    model = model.to(memory_format=memory_format(torch.device("cpu"))).eval()
    reference = Gaussian(tensors[_MEAN], tensors[_COVARIANCE])
    return ReferenceClassifier(hashlib.sha256(content).hexdigest(), card, reference, model)


def rounded(model: nn.Module) -> nn.Module:
    """The model, changed in place to the weights that its file will hold, so that those are the ones measured."""
    for tensor in model.state_dict().values():
        tensor.copy_(torch.from_numpy(_stored(tensor)))
    return model


def _load(architecture: ClassifierName, digest: str) -> ReferenceClassifier:
    source = f"the bundled {asset_name(architecture)}"
    file = resources.files("mnistdiff").joinpath("assets", asset_name(architecture))
    try:
        with file.open("rb") as stream:
            content = stream.read(_MAX_FILE_BYTES + 1)
    except FileNotFoundError as error:
        raise CheckpointError(f"{source} is missing", _REINSTALL) from error
    found = hashlib.sha256(content).hexdigest()
    if found != digest:
        message = f"{source} is not that of this version: its SHA-256 is {found[:12]}..., not {digest[:12]}..."
        raise CheckpointError(message, _REINSTALL)
    return decode_classifier(content, source=source)


def _card(content: bytes, source: str) -> ClassifierCard:
    """The card in the header: eight bytes of length, then JSON."""
    end = 8 + int.from_bytes(content[:8], "little")
    try:
        header: dict[str, Any] = json.loads(content[8:end])
        return ClassifierCard.model_validate_json(header["__metadata__"][_METADATA_KEY])
    except ValidationError as error:
        raise _corrupt(source, f"its metadata are invalid: {explain(error)}") from error
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise _corrupt(source, "it is not a safetensors file with the metadata of a classifier") from error


def _require_tensors(model: nn.Module, tensors: Mapping[str, NDArray[Any]], source: str) -> None:
    """Compare names, shapes and types with those of a file of ``model``, and require finite numbers."""
    double = np.dtype(np.float64)
    expected = {f"{_MODEL}{name}": (tuple(t.shape), _stored_type(t)) for name, t in model.state_dict().items()}
    expected |= {_MEAN: ((NUM_FEATURES,), double), _COVARIANCE: ((NUM_FEATURES, NUM_FEATURES), double)}
    found = {name: (array.shape, array.dtype) for name, array in tensors.items()}
    for name in sorted(expected.keys() | found.keys()):
        if found.get(name) != expected.get(name):
            raise _corrupt(source, f"it should hold {expected.get(name, 'nothing')} as {name[:80]!r}")
        if not np.isfinite(tensors[name]).all():
            raise _corrupt(source, f"its tensor {name!r} holds numbers that are not finite")


def _stored(tensor: torch.Tensor) -> NDArray[Any]:
    """A tensor as it is stored."""
    return tensor.detach().contiguous().numpy().astype(_stored_type(tensor))


def _stored_type(tensor: torch.Tensor) -> np.dtype[Any]:
    """float16 for the weights of layers, which are most of a file; float32 for the few numbers of normalisations."""
    if not tensor.is_floating_point():
        return np.dtype(np.int64)  # the number of batches that a normalisation has seen
    return np.dtype(np.float16 if tensor.ndim > 1 else np.float32)


def _corrupt(source: str, why: str) -> CheckpointError:
    return CheckpointError(f"{source} is corrupt: {why}", _REINSTALL)
