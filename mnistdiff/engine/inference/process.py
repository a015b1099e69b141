"""Sampling processes: what sampling starts from, and the steps to the image. Those that edit are in ``editing``."""

from collections.abc import Iterator
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from mnistdiff.engine.diffusion.samplers import DrawNoise, PredictX0, SampleStep
from mnistdiff.engine.diffusion.schedule import NoiseSchedule
from mnistdiff.errors import SettingsError
from mnistdiff.sample_settings import SampleSettings
from mnistdiff.setting_types import SAMPLERS


class SamplingProcess(Protocol):
    """A procedure that samples images: from noise, or from a given image.

    Attributes:
        task: what a distilled model cannot do; empty for sampling from noise.
        starts_from_noise: whether the first x_t is noise alone.
    """

    task: ClassVar[str]
    starts_from_noise: ClassVar[bool]

    @property
    def image(self) -> NDArray[np.uint8] | None:
        """The given image, grey levels, uint8 (H, W); None if there is none."""
        ...

    def evaluations(self, schedule: NoiseSchedule, settings: SampleSettings) -> int:
        """Network evaluations, which are the steps that the process yields.

        Raises:
            SettingsError: if the settings have more steps than the model has timesteps.
        """
        ...

    def __call__(
        self, predict_x_0: PredictX0, noise: DrawNoise, schedule: NoiseSchedule, settings: SampleSettings
    ) -> Iterator[SampleStep]:
        """Sample. Noise number 0 is x_T, shape (B, 1, H, W); 1, 2, ... are for later steps."""
        ...


class FromNoise:
    """Sampling from pure noise, by the sampler of the settings."""

    task: ClassVar[str] = ""
    starts_from_noise: ClassVar[bool] = True
    image = None

    def evaluations(self, schedule: NoiseSchedule, settings: SampleSettings) -> int:
        """The number of steps in the settings."""
        if settings.steps > schedule.num_train_timesteps:
            raise SettingsError(
                f"`steps` {settings.steps} is more than the {schedule.num_train_timesteps} timesteps of this model",
                f"Use `steps` 1 to {schedule.num_train_timesteps}.",
            )
        return settings.steps

    def __call__(
        self, predict_x_0: PredictX0, noise: DrawNoise, schedule: NoiseSchedule, settings: SampleSettings
    ) -> Iterator[SampleStep]:
        """Sample from noise number 0."""
        timesteps = schedule.inference_timesteps(settings.steps, settings.spacing)
        sampler = SAMPLERS[settings.sampler](settings)
        return sampler(predict_x_0, noise(0), schedule=schedule, timesteps=timesteps, noise=noise)


FROM_NOISE = FromNoise()
