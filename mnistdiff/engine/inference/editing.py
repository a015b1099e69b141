"""Sampling processes that start from an image: SDEdit and RePaint."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mnistdiff.engine.data.transforms import from_uint8
from mnistdiff.engine.diffusion.predictions import diffuse
from mnistdiff.engine.diffusion.repaint import repaint
from mnistdiff.engine.diffusion.samplers import DrawNoise, PredictX0, SampleStep
from mnistdiff.engine.diffusion.schedule import NoiseSchedule
from mnistdiff.engine.inference.process import FROM_NOISE
from mnistdiff.errors import SettingsError, validate
from mnistdiff.sample_settings import SampleSettings
from mnistdiff.setting_types import SAMPLERS, ResampleSteps, Strength

HALVES = ("left", "right", "top", "bottom")


def half(side: str, size: int) -> NDArray[np.bool_]:
    """True in one half of an image, shape (size, size): ``left``, ``right``, ``top`` or ``bottom``."""
    row, column = np.indices((size, size))
    middle = size // 2
    halves = {"left": column < middle, "right": column >= middle, "top": row < middle, "bottom": row >= middle}
    mask: NDArray[np.bool_] = halves[side]
    return mask


def _require_size(image: NDArray[np.uint8], x_t: NDArray[np.float32]) -> None:
    """Raise SettingsError if an image has not the size of the model's."""
    if image.shape != x_t.shape[2:]:
        raise SettingsError(f"the image is {image.shape}, and those of the model are {x_t.shape[2:]}")


@dataclass(frozen=True)
class SDEdit:
    """Sampling from a noisy version of an image (SDEdit: Meng et al. 2022, arXiv 2108.01073).

    Attributes:
        image: grey levels, uint8 (H, W), white on black.
        strength: how much noise is added, as a share of the T timesteps, more than 0 and at most 1: the larger, the
            less is left of the image.

    Raises:
        SettingsError: for a strength out of range.
    """

    task: ClassVar[str] = "edit"
    starts_from_noise: ClassVar[bool] = False

    image: NDArray[np.uint8]
    strength: float

    def __post_init__(self) -> None:
        validate("strength", Strength, self.strength)

    def _start(self, schedule: NoiseSchedule) -> int:
        """The first timestep."""
        return max(round(self.strength * schedule.num_train_timesteps), 1) - 1

    def evaluations(self, schedule: NoiseSchedule, settings: SampleSettings) -> int:
        """The number of steps in the settings, or of timesteps up to the first if these are fewer."""
        return min(FROM_NOISE.evaluations(schedule, settings), self._start(schedule) + 1)

    def __call__(
        self, predict_x_0: PredictX0, noise: DrawNoise, schedule: NoiseSchedule, settings: SampleSettings
    ) -> Iterator[SampleStep]:
        """Sample from x_t of the image, by the sampler of the settings."""
        t = self._start(schedule)
        _require_size(self.image, noise(0))
        x_t = diffuse(from_uint8(self.image), noise(0), schedule.alpha(t), schedule.sigma(t))
        timesteps = schedule.inference_timesteps(self.evaluations(schedule, settings), settings.spacing, start=t)
        sampler = SAMPLERS[settings.sampler](settings)
        return sampler(predict_x_0, x_t, schedule=schedule, timesteps=timesteps, noise=noise)


@dataclass(frozen=True)
class RePaint:
    """Sampling the missing part of an image (inpainting, see ``repaint``); the known part is unchanged.

    Attributes:
        image: grey levels, uint8 (H, W), white on black.
        missing: true where the image is missing, bool (H, W).
        resample_steps: how often each step is repeated, 1 to 100.

    Raises:
        SettingsError: for ``resample_steps`` out of range.
    """

    task: ClassVar[str] = "inpaint"
    starts_from_noise: ClassVar[bool] = True

    image: NDArray[np.uint8]
    missing: NDArray[np.bool_]
    resample_steps: int

    def __post_init__(self) -> None:
        validate("resample_steps", ResampleSteps, self.resample_steps)

    def evaluations(self, schedule: NoiseSchedule, settings: SampleSettings) -> int:
        """Every step but the last is taken ``resample_steps`` times."""
        return (FROM_NOISE.evaluations(schedule, settings) - 1) * self.resample_steps + 1

    def __call__(
        self, predict_x_0: PredictX0, noise: DrawNoise, schedule: NoiseSchedule, settings: SampleSettings
    ) -> Iterator[SampleStep]:
        """Sample by ancestral steps, whatever sampler the settings name."""
        _require_size(self.image, noise(0))
        return repaint(
            predict_x_0,
            noise(0),
            schedule=schedule,
            timesteps=schedule.inference_timesteps(settings.steps, settings.spacing),
            noise=lambda draw: noise(draw + 1),
            known=from_uint8(self.image),
            missing=self.missing.astype(np.float32),
            resample_steps=self.resample_steps,
        )
