"""Ways from noise to images: the usual one is here, those that begin with a picture are in ``editing``."""

from collections.abc import Iterator
from typing import Protocol

from mnistdiff.engine.diffusion.samplers import SAMPLERS, DrawNoise, PredictEps, SampleStep
from mnistdiff.engine.diffusion.schedule import NoiseSchedule
from mnistdiff.errors import SettingsError
from mnistdiff.settings import SampleSettings


class SamplingProcess(Protocol):
    """A way from noise to images."""

    def evaluations(self, schedule: NoiseSchedule, settings: SampleSettings) -> int:
        """How often the network will be evaluated.

        Raises:
            SettingsError: if more steps are asked for than the model was trained with.
        """
        ...

    def __call__(
        self, predict_eps: PredictEps, noise: DrawNoise, schedule: NoiseSchedule, settings: SampleSettings
    ) -> Iterator[SampleStep]:
        """Go, a step for each evaluation. Noise number 0 is x_T, shape (B, 1, 28, 28); 1, 2, ... are for later."""
        ...


class FromNoise:
    """The usual way: from pure noise, by the sampler of the settings."""

    def evaluations(self, schedule: NoiseSchedule, settings: SampleSettings) -> int:
        """As many as the settings say."""
        if settings.steps > schedule.num_train_timesteps:
            raise SettingsError(
                f"`steps` {settings.steps} is more than the {schedule.num_train_timesteps} timesteps of this model",
                f"Use `steps` 1 to {schedule.num_train_timesteps}.",
            )
        return settings.steps

    def __call__(
        self, predict_eps: PredictEps, noise: DrawNoise, schedule: NoiseSchedule, settings: SampleSettings
    ) -> Iterator[SampleStep]:
        """Go."""
        return SAMPLERS[settings.sampler](
            predict_eps,
            noise(0),
            schedule=schedule,
            timesteps=schedule.inference_timesteps(settings.steps, settings.spacing),
            noise=noise,
            eta=settings.eta,
        )


FROM_NOISE = FromNoise()
