"""The identity and the training progress of a model, part of all results."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from mnistdiff.engine.checkpoint.header import read_checkpoint_file
from mnistdiff.engine.checkpoint.metadata import CheckpointMetadata
from mnistdiff.engine.checkpoint.pretrained import name_of, typed_name

HARDLY_TRAINED_IMAGES = 50_000
"""With fewer, the slowest preset samples many unreadable digits, even at the end of a run (docs, evaluation)."""

_OF_DIGITS = ("mnist", "mnist-5k", "qmnist", "emnist-digits")


@dataclass(frozen=True)
class ModelInfo:
    """The identity and the training progress of a checkpoint.

    Attributes:
        checkpoint: its path as the user gave it or as it was found, or the name of a bundled model.
        sha256: its digest.
        preset: of the training.
        step: optimizer steps done; total_steps: planned.
        images_seen: in these steps, repetitions counted.
        is_of_digits: whether it was trained on a data set of digits, which the bundled models sample, too.
    """

    checkpoint: str
    sha256: str
    preset: str
    step: int
    total_steps: int
    images_seen: int
    is_of_digits: bool = True

    @classmethod
    def of(cls, path: Path, metadata: CheckpointMetadata, sha256: str) -> Self:
        """The info of a checkpoint that was read."""
        return cls(
            checkpoint=name_of(path) or str(path),
            sha256=sha256,
            preset=metadata.settings.preset,
            step=metadata.step,
            total_steps=metadata.settings.total_steps(metadata.num_train_images),
            images_seen=metadata.images_seen,
            is_of_digits=metadata.settings.dataset in _OF_DIGITS,
        )

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read the info of a checkpoint file.

        Raises:
            CheckpointError: if it is not a checkpoint.
            OSError: if the file system refuses.
        """
        file = read_checkpoint_file(path)
        return cls.of(path, file.metadata, file.sha256)

    @property
    def is_unfinished(self) -> bool:
        """Whether the planned end of its run is not reached: it was stopped or killed, or still trains."""
        return self.step < self.total_steps

    @property
    def is_hardly_trained(self) -> bool:
        """Whether it has seen too few images for readable digits, even at the planned end of its run.

        With the preset ``finetune`` its start has seen the others.
        """
        return self.images_seen < HARDLY_TRAINED_IMAGES and self.preset != "finetune"

    @property
    def notices(self) -> tuple[str, ...]:
        """A warning for results of this model if it is unfinished or hardly trained; empty if not."""
        if not (self.is_unfinished or self.is_hardly_trained):
            return ()
        state = "unfinished" if self.is_unfinished else "hardly trained"
        progress = f"step {self.step:,} of {self.total_steps:,}, {self.images_seen:,} images seen"
        instead = f"; to use the bundled model instead, name the checkpoint {typed_name()}" if self.is_of_digits else ""
        return (f"{self.checkpoint} is {state} ({progress}), so its images and classifications may be wrong{instead}",)

    def to_dict(self) -> dict[str, object]:
        """The values for JSON."""
        return {name: value for name, value in asdict(self).items() if name != "is_of_digits"}


UNSAVED = ModelInfo(checkpoint="", sha256="", preset="base", step=0, total_steps=0, images_seen=0)
"""The info of a model that was not read from a file, such as one in training."""
