"""Which model draws, reads or is measured, and how far it was trained: one answer for every command."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from mnistdiff.engine.checkpoint.header import read_checkpoint_file
from mnistdiff.engine.checkpoint.metadata import CheckpointMetadata
from mnistdiff.engine.checkpoint.pretrained import BUNDLED, is_pretrained, name_of_bundled

HARDLY_TRAINED_IMAGES = 50_000
"""Below this, many digits of the slowest preset cannot be read, even at the end of a run (README, Measured)."""


@dataclass(frozen=True)
class ModelInfo:
    """A checkpoint as results name it, by its own record.

    Attributes:
        checkpoint: its path as the user gave it or as it was found, or ``bundled``.
        sha256: its digest.
        preset: that the training started from.
        step: optimizer steps done, and total_steps: those planned.
        images_seen: in these steps, repetitions counted.
    """

    checkpoint: str
    sha256: str
    preset: str
    step: int
    total_steps: int
    images_seen: int

    @classmethod
    def of(cls, path: Path, metadata: CheckpointMetadata, sha256: str) -> Self:
        """From a checkpoint that was read."""
        return cls(
            # Where packages lie on this machine is no part of a result.
            checkpoint=BUNDLED if is_pretrained(path) else str(path),
            sha256=sha256,
            preset=metadata.settings.preset,
            step=metadata.step,
            total_steps=metadata.settings.total_steps(metadata.num_train_images),
            images_seen=metadata.images_seen,
        )

    @classmethod
    def read(cls, path: Path) -> Self:
        """From the head of a checkpoint file.

        Raises:
            CheckpointError: if it cannot be read as one.
            OSError: if the file system refuses.
        """
        file = read_checkpoint_file(path)
        return cls.of(path, file.metadata, file.sha256)

    @property
    def is_unfinished(self) -> bool:
        """Whether the run ended, or was saved, before its planned end: stopped, killed, or still training."""
        return self.step < self.total_steps

    @property
    def is_hardly_trained(self) -> bool:
        """Whether it has seen too few images to draw digits, even at the planned end of its run."""
        return self.images_seen < HARDLY_TRAINED_IMAGES

    @property
    def notices(self) -> tuple[str, ...]:
        """What the user must know before trusting what this model draws or reads; nothing of a trained model."""
        if not (self.is_unfinished or self.is_hardly_trained):
            return ()
        state = "unfinished" if self.is_unfinished else "hardly trained"
        progress = f"step {self.step:,} of {self.total_steps:,}, {self.images_seen:,} images seen"
        return (
            f"{self.checkpoint} is {state} ({progress}), so what it draws or reads may be wrong; "
            f"to use the bundled model instead, name it: mnistdiff sample --checkpoint {name_of_bundled()}",
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


UNSAVED = ModelInfo(checkpoint="", sha256="", preset="base", step=0, total_steps=0, images_seen=0)
"""A model that was read from no file, such as one in training."""
