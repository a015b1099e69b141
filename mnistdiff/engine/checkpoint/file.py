"""Checkpoints with their tensors: encoding and strict reading, without pickle or torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
import safetensors
import safetensors.numpy
from numpy.typing import NDArray

from mnistdiff.engine.checkpoint.header import CheckpointFile, digest_of, digest_offset, read_checkpoint_file
from mnistdiff.engine.checkpoint.metadata import METADATA_KEY, CheckpointMetadata
from mnistdiff.errors import CheckpointError, DivergedError
from mnistdiff.setting_types import WeightsName

Tensors = Mapping[str, NDArray[np.float32]]
# Weights for sampling may be float16: images differ by less than one grey level. A training state may not: resuming is
# bit-exact.
_AUGMENTATION = "augmentation."
"""How the names of weights begin that only a training has: see ``Network.add_augmentation``."""
_STORED_KINDS = MappingProxyType({"training": (np.float32,), "weights": (np.float32, np.float16)})


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that was read and verified.

    Attributes:
        path: of the file.
        metadata: settings, position, losses.
        tensors: float32 arrays named ``model.*``, ``ema.*``, ``optimizer.*``, ``objective.*``; all finite.
        sha256: its digest.
    """

    path: Path
    metadata: CheckpointMetadata
    tensors: Tensors
    sha256: str

    def weights(self, which: WeightsName) -> dict[str, NDArray[np.float32]]:
        """The ``ema`` or ``raw`` weights by parameter name, as ``weights_in``.

        Raises:
            CheckpointError: if the file does not hold them.
        """
        arrays = weights_in(self.tensors, which)
        if not arrays:
            raise CheckpointError(
                f"{self.path} holds no {which} weights", "Leave out `weights`, or use a training checkpoint."
            )
        return arrays


def weights_in(tensors: Tensors, which: WeightsName) -> dict[str, NDArray[np.float32]]:
    """The ``ema`` or ``raw`` weights among the tensors of a state, by parameter name; without those of augmentation."""
    start = {"ema": "ema.", "raw": "model."}[which]
    weights = {name.removeprefix(start): array for name, array in tensors.items() if name.startswith(start)}
    return {name: array for name, array in weights.items() if not name.startswith(_AUGMENTATION)}


def encode_checkpoint(metadata: CheckpointMetadata, tensors: Tensors) -> bytes:
    """The bytes of a checkpoint, a function of its content.

    Raises:
        DivergedError: if a value is not finite.
    """
    for name, array in tensors.items():
        if not np.isfinite(array).all():
            raise DivergedError(
                f"{name} holds values that are not finite: the training has diverged",
                "The last saved checkpoint is valid. Train again with a smaller `lr`.",
            )
    # safetensors ignores the strides of a view.
    contiguous = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
    content = safetensors.numpy.save(contiguous, metadata={METADATA_KEY: metadata.to_json()})
    start = digest_offset(content)
    return b"".join([content[:start], digest_of(content).encode(), content[start + 64 :]])


def read_checkpoint(source: Path | CheckpointFile) -> Checkpoint:
    """Read a checkpoint and verify it, except whether its tensors are those of its network.

    Args:
        source: its path, or the file with its header read already.

    Raises:
        CheckpointError: if it is missing, foreign, truncated, altered, newer than this program, not finite, or of a
            data set or network that is not registered.
        OSError: if the file system refuses.
    """
    file = read_checkpoint_file(source) if isinstance(source, Path) else source
    path = file.path
    file.require_valid()
    file.metadata.settings.require_registered(source=str(path))
    try:
        tensors = safetensors.numpy.load(file.content)
    except (safetensors.SafetensorError, ValueError, KeyError) as error:
        raise CheckpointError(f"{path} is corrupt: {str(error)[:200]}") from error
    for name, array in tensors.items():
        if array.dtype not in _STORED_KINDS[file.metadata.kind]:
            raise CheckpointError(f"{path} is corrupt: its tensor {name[:80]!r} is {array.dtype}, not float32")
    floats = {name: array.astype(np.float32, copy=False) for name, array in tensors.items()}
    for name, array in floats.items():
        if not np.isfinite(array).all():
            raise CheckpointError(f"{path} holds values that are not finite in {name[:80]!r}")
    return Checkpoint(path, file.metadata, floats, file.sha256)
