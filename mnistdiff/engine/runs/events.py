"""The events of a training, as the pipeline yields them."""

from dataclasses import dataclass
from pathlib import Path

from mnistdiff.engine.checkpoint.metadata import HeldOut
from mnistdiff.engine.inference.sampling import Sample
from mnistdiff.engine.runs.run_dir import RunDir
from mnistdiff.engine.training.loop import TrainStep
from mnistdiff.settings import TrainSettings


@dataclass(frozen=True)
class Started:
    """The training is about to begin, or to continue.

    Attributes:
        execution: how it computes, as a phrase; empty for one process in float32.
        step: optimizer steps done; 0 unless resumed.
        notices: sentences for the user, such as why a resumed run will not be bit-exact.
    """

    run: RunDir
    settings: TrainSettings
    device: str
    execution: str
    parameters: int
    num_images: int
    step: int
    total_steps: int
    steps_per_epoch: int
    notices: tuple[str, ...]


@dataclass(frozen=True)
class Logged:
    """A record was added to the metrics: the mean loss of the last steps; epochs count from 1.

    Attributes:
        held_out: the loss of held-out images, if it was measured now.
    """

    step: int
    epoch: int
    loss: float
    lr: float
    images_per_second: float
    held_out: HeldOut | None = None


@dataclass(frozen=True)
class EpochDone:
    """An epoch ended: its number, from 1, and the mean loss of its steps."""

    epoch: int
    step: int
    loss: float


@dataclass(frozen=True)
class Saved:
    """A file for the user was written: a kept checkpoint, the final weights, or a preview grid.

    Attributes:
        path: of the file.
        samples: of a preview grid: the first image of each class.
    """

    path: Path
    samples: tuple[Sample, ...] = ()


@dataclass(frozen=True)
class Finished:
    """The training ended, complete or stopped by the caller, and is saved.

    Attributes:
        settings: of the run.
        loss: mean of the last steps; NaN before the first step.
        held_out: the loss of held-out images; None if there are none, or before it was measured.
    """

    run: RunDir
    settings: TrainSettings
    step: int
    total_steps: int
    epoch: int
    loss: float
    notices: tuple[str, ...]
    held_out: HeldOut | None = None

    @property
    def complete(self) -> bool:
        """Whether all steps are done."""
        return self.step >= self.total_steps


Event = Started | TrainStep | Logged | EpochDone | Saved | Finished
