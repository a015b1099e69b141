"""Metadata of checkpoints, and files that this program would never write, sealed with a valid digest all the same."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import safetensors.numpy

from mnistdiff.engine.checkpoint.header import digest_of, digest_offset
from mnistdiff.engine.checkpoint.metadata import METADATA_KEY, CheckpointMetadata
from mnistdiff.settings import TrainSettings


def metadata_at(step: int, settings: TrainSettings, num_images: int, **others: Any) -> CheckpointMetadata:
    """The metadata of a state: epoch, images seen and seed follow from the step and the settings."""
    return CheckpointMetadata(
        step=step, epoch=settings.epochs_done(step, num_images), images_seen=settings.images_seen(step, num_images),
        settings=settings, seed=settings.seed, num_train_images=num_images, **others,
    )  # fmt: skip


def sealed(values: Any, tensors: Mapping[str, Any]) -> bytes:
    """A checkpoint of any metadata and any tensors."""
    content = bytearray(safetensors.numpy.save(dict(tensors), metadata={METADATA_KEY: json.dumps(values)}))
    start = digest_offset(bytes(content))
    content[start : start + 64] = digest_of(bytes(content)).encode()
    return bytes(content)


def altered(content: bytes, change: Callable[[dict[str, Any]], Any]) -> bytes:
    """A checkpoint whose metadata ``change`` has been at, sealed again."""
    length = int.from_bytes(content[:8], "little")
    values = json.loads(json.loads(content[8 : 8 + length])["__metadata__"][METADATA_KEY])
    change(values)
    return sealed(values, safetensors.numpy.load(content))
