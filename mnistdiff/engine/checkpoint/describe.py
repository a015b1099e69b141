"""The description of a checkpoint for ``inspect``, read without NumPy or torch."""

import math
from dataclasses import asdict, dataclass
from pathlib import Path

from mnistdiff.engine.checkpoint.header import read_checkpoint_file
from mnistdiff.errors import CheckpointError
from mnistdiff.settings import TrainSettings


@dataclass(frozen=True)
class Description:
    """A checkpoint as plain values, for a table or JSON.

    Attributes:
        path: of the file.
        bytes: its size.
        kind: "training" is a complete state, to resume; "weights" holds the averaged weights alone.
        class_names: of the labels; empty for a data set that is not registered here.
        loss: mean loss of the last steps; None before the first.
        held_out: the fields of ``metadata.HeldOut``; None if nothing is held out, or it is not measured yet.
        parameters: number of weights of the network.
        has_ema: whether it holds the averaged weights; has_raw: those of the last step.
        digest_valid: whether the SHA-256 in the file is that of its content.
    """

    path: str
    bytes: int
    format_version: int
    kind: str
    step: int
    total_steps: int
    epoch: int
    images_seen: int
    num_train_images: int
    seed: int
    class_names: tuple[str, ...]
    loss: float | None
    parameters: int
    has_ema: bool
    has_raw: bool
    settings: dict[str, object]
    fingerprint: dict[str, str]
    held_out: dict[str, float] | None
    sha256: str
    digest_valid: bool

    def to_dict(self) -> dict[str, object]:
        """The values for JSON."""
        return asdict(self)


def describe(path: Path) -> Description:
    """Read the header of a checkpoint and compute its digest.

    Raises:
        CheckpointError: if the file is not a checkpoint. A wrong digest is described, not raised.
    """
    file = read_checkpoint_file(path)
    metadata = file.metadata
    count = {
        prefix: sum(math.prod(shape) for name, shape in file.shapes.items() if name.startswith(f"{prefix}."))
        for prefix in ("ema", "model")
    }
    stored = metadata.model_dump(mode="json", exclude={"recent_losses", "epoch_loss_sum"})
    return Description(
        path=str(path),
        bytes=len(file.content),
        total_steps=metadata.settings.total_steps(metadata.num_train_images),
        class_names=_class_names(metadata.settings),
        loss=metadata.loss,
        parameters=max(count.values()),
        has_ema=count["ema"] > 0,
        has_raw=count["model"] > 0,
        sha256=file.sha256,
        digest_valid=file.digest_valid,
        **stored,
    )


def _class_names(settings: TrainSettings) -> tuple[str, ...]:
    try:
        return settings.spec.class_names
    except CheckpointError:
        return ()
