"""The judges: two trained classifiers that come with the package, and what they made of real images.

A judge's file is a safetensors file: the classifier's weights (``model.*``, those of layers in float16), the normal
distribution of its features of the training images (``reference.*``) and one metadata entry, the JSON of
``JudgeFacts``. Figures of two judges do not compare, so the files that come with the package are pinned by their
SHA-256.
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
from mnistdiff.engine.evaluation.classifier import ARCHITECTURES, classify
from mnistdiff.engine.evaluation.metrics import Gaussian
from mnistdiff.engine.network.device import memory_format
from mnistdiff.errors import CheckpointError, explain
from mnistdiff.settings import IMAGE_SIZE, NUM_DIGITS, ClassifierName, Seed

PINNED: Mapping[str, str] = MappingProxyType(
    {
        "conv": "117c2c7f12348005f85ef7517fe2d807ac145d0f4a3699b5b6c952c45a07004a",
        "residual": "b5a5424f49f5056bceba2deb91df33f05d206ac6995f3c3d106d5b2857b64dba",
    }
)
"""SHA-256 of the files in ``assets/``, by architecture."""

_METADATA_KEY = "mnistdiff_judge"
_MAX_FILE_BYTES = 2 * 1024**2
_MODEL, _MEAN, _COVARIANCE = "model.", "reference.mean", "reference.covariance"
_REINSTALL = "Reinstall it: pip install --force-reinstall --no-deps mnistdiff"

_Count = Annotated[int, Field(ge=0, le=10**9)]


class JudgeFacts(BaseModel):
    """How a judge was made, and what it makes of real images.

    Attributes:
        architecture: a name in ``classifier.ARCHITECTURES``.
        epochs: how often it saw each training image.
        num_train_images: behind its weights and its reference; class_counts: how many of them show 0, 1, ... 9.
        test_errors: how many of the ``num_test_images`` it gets wrong, none of which it was trained or chosen on.
        floors: by n, the Fréchet distance of n real test images to the training images: what a perfect model would
            get, since the distance falls with the number of images alone. See ``yardstick.floor_at``.
        torch, threads: what the bits of its weights depend on beside ``seed``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, str_max_length=80)

    format_version: Literal[1] = 1
    architecture: ClassifierName
    seed: Seed
    epochs: int = Field(ge=1, le=10**6)
    num_train_images: _Count
    class_counts: tuple[_Count, ...] = Field(min_length=NUM_DIGITS, max_length=NUM_DIGITS)
    test_errors: _Count
    num_test_images: int = Field(ge=1, le=10**9)
    floors: dict[Annotated[int, Field(ge=2)], Annotated[float, Field(ge=0)]]
    torch: str
    threads: int = Field(ge=1)

    @model_validator(mode="after")
    def _agree_with_themselves(self) -> Self:
        if sum(self.class_counts) != self.num_train_images:
            raise ValueError(f"class_counts sum to {sum(self.class_counts)}, not to {self.num_train_images}")
        if max(self.test_errors, *self.floors) > self.num_test_images:
            raise ValueError(f"there are only {self.num_test_images} test images")
        return self


@dataclass(frozen=True)
class Judgement:
    """What a judge sees.

    Attributes:
        digits: the most likely digit of each image, shape (N,).
        features: the activations before the last layer, at least 0, shape (N, 128).
    """

    digits: NDArray[np.int64]
    features: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class ReferenceClassifier:
    """A trained classifier with its reference.

    Attributes:
        digest: SHA-256 of its file.
        facts: how it was made.
        reference: of its features of the training images.
        model: in evaluation mode, on the CPU.
    """

    digest: str
    facts: JudgeFacts
    reference: Gaussian = field(repr=False)
    model: nn.Module = field(repr=False)

    @property
    def name(self) -> str:
        """Its architecture."""
        return self.facts.architecture

    def judge(self, images: NDArray[np.uint8]) -> Judgement:
        """Look at images, each by itself: what it sees in one depends on no other.

        Args:
            images: grey levels as they are saved, shape (N, 28, 28).
        """
        assert images.dtype == np.uint8, f"a judge looks at grey levels, not at {images.dtype}"
        assert images.shape[1:] == (IMAGE_SIZE, IMAGE_SIZE), f"a judge looks at digits, not at {images.shape}"
        return Judgement(*classify(self.model, images))


def load_reference_classifiers() -> tuple[ReferenceClassifier, ReferenceClassifier]:
    """The judges that come with the package: "conv" and "residual".

    Raises:
        CheckpointError: if a file is missing or not to the bit the one that this version came with.
    """
    conv, residual = (_load(name, digest) for name, digest in PINNED.items())
    return conv, residual


def asset_name(architecture: str) -> str:
    """What the file of a judge is called in ``assets/``."""
    return f"classifier_{architecture}.safetensors"


def encode_judge(facts: JudgeFacts, reference: Gaussian, model: nn.Module) -> bytes:
    """The bytes of a judge's file: the same for the same content. ``model`` has been through ``rounded``."""
    tensors = {f"{_MODEL}{name}": _stored(tensor) for name, tensor in model.state_dict().items()}
    tensors |= {_MEAN: reference.mean, _COVARIANCE: np.ascontiguousarray(reference.covariance)}
    return safetensors.numpy.save(tensors, metadata={_METADATA_KEY: facts.model_dump_json()})


def decode_judge(content: bytes, *, source: str) -> ReferenceClassifier:
    """The judge in the bytes of a file, after all of it has been verified.

    Args:
        content: the whole file.
        source: what to call it in an error.

    Raises:
        CheckpointError: if it is too large, not a judge's, torn, or holds a tensor of another name, shape or kind, or
            a number that is not finite.
    """
    if len(content) > _MAX_FILE_BYTES:
        raise CheckpointError(f"{source} is not a judge: {len(content):,} bytes are too many", _REINSTALL)
    facts = _facts(content, source)
    try:
        tensors = safetensors.numpy.load(content)
    except (safetensors.SafetensorError, ValueError, KeyError) as error:
        raise _corrupt(source, str(error)[:200]) from error
    # On the meta device no random numbers are drawn for weights that are about to be replaced.
    with torch.device("meta"):
        model = ARCHITECTURES[facts.architecture]()
    _require_tensors(model, tensors, source)
    state = {
        name: torch.from_numpy(tensors[f"{_MODEL}{name}"]).to(tensor.dtype)
        for name, tensor in model.state_dict().items()
    }
    model.load_state_dict(state, assign=True)
    model = model.to(memory_format=memory_format(torch.device("cpu"))).eval()
    reference = Gaussian(tensors[_MEAN], tensors[_COVARIANCE])
    return ReferenceClassifier(hashlib.sha256(content).hexdigest(), facts, reference, model)


def rounded(model: nn.Module) -> nn.Module:
    """The model, changed in place to what its file will hold, so that what is measured now is what is read later."""
    for tensor in model.state_dict().values():
        tensor.copy_(torch.from_numpy(_stored(tensor)))
    return model


def _load(architecture: str, digest: str) -> ReferenceClassifier:
    source = f"the bundled {asset_name(architecture)}"
    file = resources.files("mnistdiff").joinpath("assets", asset_name(architecture))
    try:
        with file.open("rb") as stream:
            content = stream.read(_MAX_FILE_BYTES + 1)
    except FileNotFoundError as error:
        raise CheckpointError(f"{source} is missing", _REINSTALL) from error
    found = hashlib.sha256(content).hexdigest()
    if found != digest:
        message = f"{source} is not the one of this version: its SHA-256 is {found[:12]}..., not {digest[:12]}..."
        raise CheckpointError(message, _REINSTALL)
    return decode_judge(content, source=source)


def _facts(content: bytes, source: str) -> JudgeFacts:
    """The metadata in the head: eight bytes of length, then JSON."""
    end = 8 + int.from_bytes(content[:8], "little")
    try:
        head: dict[str, Any] = json.loads(content[8:end])
        return JudgeFacts.model_validate_json(head["__metadata__"][_METADATA_KEY])
    except ValidationError as error:
        raise _corrupt(source, f"its metadata are invalid: {explain(error)}") from error
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise _corrupt(source, "it is not a safetensors file with the facts of a judge") from error


def _require_tensors(model: nn.Module, tensors: Mapping[str, NDArray[Any]], source: str) -> None:
    """Compare names, shapes and kinds with those of a file of ``model``, and look for numbers that are none."""
    double = np.dtype(np.float64)
    expected = {f"{_MODEL}{name}": (tuple(t.shape), _stored_kind(t)) for name, t in model.state_dict().items()}
    expected |= {_MEAN: ((NUM_FEATURES,), double), _COVARIANCE: ((NUM_FEATURES, NUM_FEATURES), double)}
    found = {name: (array.shape, array.dtype) for name, array in tensors.items()}
    for name in sorted(expected.keys() | found.keys()):
        if found.get(name) != expected.get(name):
            raise _corrupt(source, f"it should hold {expected.get(name, 'nothing')} as {name[:80]!r}")
        if not np.isfinite(tensors[name]).all():
            raise _corrupt(source, f"its tensor {name!r} holds numbers that are not finite")


def _stored(tensor: torch.Tensor) -> NDArray[Any]:
    """A tensor as the file has it."""
    return tensor.detach().contiguous().numpy().astype(_stored_kind(tensor))


def _stored_kind(tensor: torch.Tensor) -> np.dtype[Any]:
    """Halves for the weights of layers, which are most of a file; the few numbers of normalisations as they are."""
    if not tensor.is_floating_point():
        return np.dtype(np.int64)  # how many batches a normalisation has seen
    return np.dtype(np.float16 if tensor.ndim > 1 else np.float32)


def _corrupt(source: str, why: str) -> CheckpointError:
    return CheckpointError(f"{source} is corrupt: {why}", _REINSTALL)
