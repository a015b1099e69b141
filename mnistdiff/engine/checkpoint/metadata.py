"""The metadata of a checkpoint: settings, position, losses, versions and device; without NumPy or torch."""

import json
import math
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mnistdiff.setting_types import Seed
from mnistdiff.settings import TrainSettings

FORMAT_VERSION: Literal[1] = 1
METADATA_KEY = "mnistdiff"
DIGEST_PLACEHOLDER = "0" * 64
_LATER_SETTINGS = (
    *("network", "shards", "precision", "compile", "start", "distillation"),
    *("augment", "holdout", "repeats", "classes", "pictures"),
)


class Fingerprint(BaseModel):
    """All but the settings that a training must share to be bit-exact."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_max_length=80)

    mnistdiff: str
    torch: str
    threads: str
    device: str
    layout: str

    def differences(self, other: "Fingerprint") -> list[str]:
        """The differences between this fingerprint and a later one, one phrase each; with any, bits may differ."""
        now = other.model_dump()
        return [f"{name} was {value} and is {now[name]}" for name, value in self if value != now[name]]


class HeldOut(BaseModel):
    """The loss of images that are held out from the training, by the averaged weights.

    Attributes:
        num_images: held out.
        loss: when it was last measured, after ``step`` steps.
        best_loss: the least that was measured, first after ``best_step`` steps.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    num_images: int = Field(ge=1, le=10**9)
    loss: float
    step: int = Field(ge=0, le=10**12)
    best_loss: float
    best_step: int = Field(ge=0, le=10**12)

    @classmethod
    def after(cls, earlier: Self | None, *, loss: float, step: int, num_images: int) -> Self:
        """The record after a measurement."""
        best = (loss, step)
        if earlier is not None and earlier.best_loss <= loss:
            best = (earlier.best_loss, earlier.best_step)
        return cls(num_images=num_images, loss=loss, step=step, best_loss=best[0], best_step=best[1])

    def notice(self, total_steps: int) -> str:
        """A sentence if the loss has not improved for a third of a run; empty if it has."""
        if self.step - self.best_step < total_steps / 3:
            return ""
        return (
            f"the held-out loss has not improved since step {self.best_step}: {self.best_loss:.4f} then, "
            f"{self.loss:.4f} at step {self.step} of {total_steps}; train for fewer steps, or with `augment`"
        )


class CheckpointMetadata(BaseModel):
    """The metadata of a checkpoint.

    Attributes:
        kind: "training" is a complete state, to resume; "weights" holds the averaged weights alone.
        num_train_images: that are trained on.
        epoch: complete epochs.
        recent_losses: of the last steps, oldest first, at most 100.
        epoch_loss_sum: of the steps of the current epoch.
        held_out: the loss of held-out images; None if there are none, or before it is measured.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    format_version: Literal[1] = 1
    kind: Literal["training", "weights"]
    settings: TrainSettings
    step: int = Field(ge=0, le=10**12)
    epoch: int = Field(ge=0, le=10**12)
    images_seen: int = Field(ge=0, le=10**15)
    num_train_images: int = Field(ge=1, le=10**9)
    seed: Seed
    recent_losses: tuple[float, ...] = Field(max_length=100)
    epoch_loss_sum: float
    fingerprint: Fingerprint
    held_out: HeldOut | None = None

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        expected = {
            "epoch": self.settings.epochs_done(self.step, self.num_train_images),
            "images_seen": self.settings.images_seen(self.step, self.num_train_images),
            "seed": self.settings.seed,
        }
        for name, value in expected.items():
            if getattr(self, name) != value:
                raise ValueError(f"{name} is {getattr(self, name)}, but step and settings make it {value}")
        return self

    @property
    def loss(self) -> float | None:
        """Mean loss of the last steps; None before the first."""
        return math.fsum(self.recent_losses) / len(self.recent_losses) if self.recent_losses else None

    def to_json(self, digest: str = DIGEST_PLACEHOLDER) -> str:
        """The JSON that the file stores.

        What was added after the format is stored only if it is not the default, so that earlier versions of this
        program read all other files.
        """
        values = self.model_dump(mode="json", exclude={"held_out"} if self.held_out is None else None)
        for name in _LATER_SETTINGS:
            if getattr(self.settings, name) == TrainSettings.model_fields[name].default:
                del values["settings"][name]
        return json.dumps({**values, "sha256": digest}, separators=(",", ":"))
