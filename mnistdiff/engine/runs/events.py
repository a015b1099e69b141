"""What a training tells its caller, one small value at a time."""

from dataclasses import dataclass
from pathlib import Path

from mnistdiff.engine.inference.sampling import Sample
from mnistdiff.engine.runs.run_dir import RunDir
from mnistdiff.engine.training.loop import TrainStep
from mnistdiff.settings import TrainSettings


@dataclass(frozen=True)
class Started:
    """The run is about to take its first step, or its next.

    Attributes:
        step: steps done already: 0 unless resumed.
        notices: sentences the user should read, such as why a resumed run will not be bit-exact.
    """

    run: RunDir
    settings: TrainSettings
    device: str
    parameters: int
    num_images: int
    step: int
    total_steps: int
    steps_per_epoch: int
    notices: tuple[str, ...]


@dataclass(frozen=True)
class Logged:
    """A line was added to the metrics: mean loss of the last steps, epoch counted from 1."""

    step: int
    epoch: int
    loss: float
    lr: float
    images_per_second: float


@dataclass(frozen=True)
class EpochDone:
    """An epoch is over: its number, from 1, and the mean loss of its steps."""

    epoch: int
    step: int
    loss: float


@dataclass(frozen=True)
class Saved:
    """A file for people was written: a kept checkpoint, the final weights, or a preview grid.

    Attributes:
        path: of the file.
        drawings: of a preview grid: the first image of each digit.
    """

    path: Path
    drawings: tuple[Sample, ...] = ()


@dataclass(frozen=True)
class Finished:
    """Training ended: all steps done, or stopped by the caller. Everything is saved.

    Attributes:
        loss: mean of the last steps; NaN if none was done.
    """

    run: RunDir
    step: int
    total_steps: int
    epoch: int
    loss: float
    notices: tuple[str, ...]

    @property
    def complete(self) -> bool:
        """Whether all steps were done."""
        return self.step >= self.total_steps


Event = Started | TrainStep | Logged | EpochDone | Saved | Finished
