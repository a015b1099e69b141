"""Types of settings: the tables of what is chosen by name, other choices, ranges, defaults of edits."""

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from mnistdiff.errors import validate
from mnistdiff.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Callable

    from mnistdiff.engine.data.datasets import DatasetSpec
    from mnistdiff.engine.diffusion.predictions import Prediction
    from mnistdiff.engine.diffusion.samplers import SamplerFactory
    from mnistdiff.engine.diffusion.schedule import ScheduleFactory
    from mnistdiff.engine.network.build import Network
    from mnistdiff.settings import TrainSettings

PICTURES = "pictures"
"""In place of the name of a data set: pictures of the user, which ``TrainSettings.pictures`` describes."""
DATASETS: "Registry[DatasetSpec]" = Registry(
    "data set",
    (
        *("mnist", "mnist-5k", "fashion-mnist", "kmnist"),
        *("emnist-letters", "emnist-balanced", "emnist-digits", "qmnist"),
    ),
    "mnistdiff.engine.data.mnist_family",  # imports that of MNIST
    reserved=PICTURES,
)
NETWORKS: "Registry[Callable[[TrainSettings], Network]]" = Registry("network", ("unet",), "mnistdiff.engine.network.{}")
SCHEDULES: "Registry[ScheduleFactory]" = Registry(
    "noise schedule", ("linear", "cosine"), "mnistdiff.engine.diffusion.schedule"
)
PREDICTIONS: "Registry[Prediction]" = Registry(
    "prediction type", ("epsilon", "v_prediction", "sample"), "mnistdiff.engine.diffusion.predictions"
)
SAMPLERS: "Registry[SamplerFactory]" = Registry(
    "sampler", ("ddpm", "ddim", "dpmpp_2m"), "mnistdiff.engine.diffusion.samplers"
)

EDIT_GUIDANCE = 2.0
"""Guidance scale of editing: larger than for sampling, since the image still shows its original digit."""
EDIT_STRENGTH = 0.8
RESAMPLE_STEPS = 5
INTERPOLATION_FRAMES = 24

PresetName = Literal["base", "fast", "best", "tiny", "finetune"]
DatasetName = Annotated[str, AfterValidator(DATASETS.require)]
ScheduleName = Annotated[str, AfterValidator(SCHEDULES.require)]
PredictionName = Annotated[str, AfterValidator(PREDICTIONS.require)]
OptimizerName = Literal["adamw", "muon"]
Precision = Literal["auto", "fp32", "bf16"]
Compile = Literal["auto", "on", "off"]
LearningRateSchedule = Literal["constant", "linear", "cosine"]
SamplerName = Annotated[str, AfterValidator(SAMPLERS.require)]
Spacing = Literal["even", "trailing"]
WeightsName = Literal["ema", "raw"]
DeviceName = Literal["auto", "cpu", "cuda", "mps"]
BackendName = Literal["auto", "onnx", "torch"]
LogName = Literal["none", "tensorboard"]
ClassifierName = Literal["conv", "residual"]
NetworkName = Annotated[str, AfterValidator(NETWORKS.require)]
View = Literal["x_t", "x_0"]
"""What an animation shows of each step: the noisy state x_t, or the predicted image x_0."""
AnimationKind = Literal["gif", "png"]
"""GIF or animated PNG; viewers that know only still PNG show the first frame of the latter."""
MAX_SEED = 2**32 - 1
MAX_EPOCHS = 1_000_000


def _user_path(path: Path) -> Path:
    """A path that is valid on this file system, with ``~`` expanded."""
    try:
        if b"\0" in os.fsencode(path):
            raise ValueError("should be a path, and holds a NUL character")
        return path.expanduser()
    except UnicodeEncodeError:
        raise ValueError("should be a path, and holds half of a character (a lone surrogate)") from None
    except RuntimeError:
        raise ValueError("begins with ~ and a user whose home folder is not known here") from None


UserPath = Annotated[Path, AfterValidator(_user_path)]


def user_path(name: str, path: str | os.PathLike[str]) -> Path:
    """The path given as the argument ``name``, with ``~`` expanded.

    Raises:
        SettingsError: if no file system can be asked for it.
    """
    return validate(name, UserPath, Path(path))


Blocks = Annotated[tuple[Annotated[int, Field(ge=0, le=8)], ...], Field(min_length=1, max_length=3)]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Seed = Annotated[int, Field(ge=0, le=MAX_SEED)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]
"""Images of each label."""
Strength = Annotated[float, Field(gt=0, le=1)]
"""The share of the forward process that an edited image is taken through."""
ResampleSteps = Annotated[int, Field(ge=1, le=100)]
"""How often each step of inpainting is repeated."""
Frames = Annotated[int, Field(ge=2, le=200)]
"""Images of an interpolation, both ends counted."""
Evaluations = Annotated[int, Field(ge=1, le=10_000)]
"""Noise levels at which the diffusion classifier compares the labels."""
BoundEvaluations = Annotated[int, Field(ge=2, le=10_000)]
"""Network evaluations of an image for its variational bound."""
EvaluatedCount = Annotated[int, Field(ge=10, le=60_000)]
"""Images sampled, or measured, for an evaluation."""

MAX_PROCESSES = 1024


def _processes(value: Any) -> Any:
    """``auto``, or a number of processes; one rule for both, so that an error names one."""
    try:
        number = value if value == "auto" or not isinstance(value, str) else int(value)
    except ValueError:
        number = 0
    if number == "auto" or (isinstance(number, int) and 1 <= number <= MAX_PROCESSES):
        return number
    raise ValueError(f"should be auto, or a whole number from 1 to {MAX_PROCESSES}")


Processes = Annotated[Literal["auto"] | int, BeforeValidator(_processes)]
"""Processes that compute together; ``auto`` leaves their number to the program."""


def _number(value: Any) -> Any:
    """The number that a text from the command line or a variable holds."""
    return int(value) if isinstance(value, str) and re.fullmatch("[0-9]{1,4}", value) else value


ImageSize = Annotated[Literal[28, 32, 64], BeforeValidator(_number)]
"""Height and width of training images in pixels."""
Augmentation = Literal["shift", "rotate", "flip"]


def _comma_list(value: Any) -> Any:
    """The words of a text from the command line or a variable; of nothing for ``none``."""
    return [word for word in value.split(",") if word != "none"] if isinstance(value, str) else value


def _each_once(value: tuple[Augmentation, ...]) -> tuple[Augmentation, ...]:
    """In one order, so that equal sets are equal settings."""
    return tuple(name for name in get_args(Augmentation) if name in value)


Augmentations = Annotated[tuple[Augmentation, ...], BeforeValidator(_comma_list), AfterValidator(_each_once)]
Shards = Annotated[Literal["auto", 1, 2, 4, 8, 16], BeforeValidator(_number)]


class Interval(NamedTuple):
    """A part of sampling: from ``start`` to ``stop``, where 0 is noise and 1 the image."""

    start: float
    stop: float

    def __str__(self) -> str:
        """The form of the command line: ``0.2:1``."""
        return f"{self.start:g}:{self.stop:g}"


def _interval(value: Any) -> Interval:
    """``0.2:1``, or a pair of numbers."""
    try:
        interval = Interval(*(float(part) for part in (value.split(":") if isinstance(value, str) else value)))
        if 0 <= interval.start <= interval.stop <= 1:
            return interval
    except (TypeError, ValueError, OverflowError):
        pass
    raise ValueError("should be FROM:TO, two numbers that rise between 0 and 1, as in 0.2:1")


GuidanceInterval = Annotated[Interval, BeforeValidator(_interval)]


class FrozenModel(BaseModel):
    """Settings of one kind: unknown names and booleans are refused."""

    # Built at first use: most commands need one of these, and a usage error none.
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, defer_build=True)

    @field_validator("*", mode="before")
    @classmethod
    def _true_is_not_one(cls, value: Any) -> Any:
        if isinstance(value, bool):
            raise ValueError("should be a number or a word, not true or false")
        return value
