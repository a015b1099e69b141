"""Sample that begins with an image instead of noise: another digit in the same hand, or what is missing of one."""

import base64
from collections.abc import Iterator
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

from mnistdiff.engine.data.transforms import from_uint8
from mnistdiff.engine.diffusion.parameterization import diffuse
from mnistdiff.engine.diffusion.repaint import repaint
from mnistdiff.engine.diffusion.samplers import SAMPLERS, DrawNoise, PredictEps, SampleStep
from mnistdiff.engine.diffusion.schedule import NoiseSchedule
from mnistdiff.engine.inference.process import FROM_NOISE
from mnistdiff.settings import IMAGE_SIZE, SampleSettings


def _pixels(value: Any) -> NDArray[np.uint8]:
    """An image as it is, or from the base64 of its 784 bytes; of a mask, 255 where it is true."""
    if isinstance(value, str):
        value = np.frombuffer(base64.b64decode(value, validate=True), np.uint8)
        if value.size == IMAGE_SIZE**2:
            value = value.reshape(IMAGE_SIZE, IMAGE_SIZE)
    if isinstance(value, np.ndarray) and value.dtype == np.bool_:
        value = np.uint8(255) * value
    if not isinstance(value, np.ndarray) or value.shape != (IMAGE_SIZE, IMAGE_SIZE) or value.dtype != np.uint8:
        raise ValueError(f"should be {IMAGE_SIZE}x{IMAGE_SIZE} grey levels, in base64")
    return value


Pixels = Annotated[
    Any,
    BeforeValidator(_pixels),
    PlainSerializer(lambda image: base64.b64encode(image.tobytes()).decode("ascii"), return_type=str),
]
"""Grey levels, uint8 (28, 28), which as JSON are base64."""


HALVES = ("left", "right", "top", "bottom")


def half(side: str) -> NDArray[np.bool_]:
    """True in one half of an image, shape (28, 28): ``left``, ``right``, ``top`` or ``bottom``."""
    row, column = np.indices((IMAGE_SIZE, IMAGE_SIZE))
    middle = IMAGE_SIZE // 2
    halves = {"left": column < middle, "right": column >= middle, "top": row < middle, "bottom": row >= middle}
    mask: NDArray[np.bool_] = halves[side]
    return mask


class SDEdit(BaseModel):
    """A walk that begins with an image as noisy as the way allows (SDEdit: Meng et al. 2022, arXiv 2108.01073).

    Attributes:
        image: grey levels, uint8 (28, 28), white on black.
        strength: of the way from the image (0) to noise (1) that is drawn anew: the larger, the less is left of it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    image: Pixels
    strength: Annotated[float, Field(gt=0, le=1)]

    def _start(self, schedule: NoiseSchedule) -> int:
        """The timestep to begin at."""
        return max(round(self.strength * schedule.num_train_timesteps), 1) - 1

    def evaluations(self, schedule: NoiseSchedule, settings: SampleSettings) -> int:
        """As many as the settings say, if there are so many timesteps on this part of the way."""
        return min(FROM_NOISE.evaluations(schedule, settings), self._start(schedule) + 1)

    def __call__(
        self, predict_eps: PredictEps, noise: DrawNoise, schedule: NoiseSchedule, settings: SampleSettings
    ) -> Iterator[SampleStep]:
        """Go, by the sampler of the settings."""
        t = self._start(schedule)
        alpha_bar = schedule.alpha_bar(t)
        x_t = diffuse(from_uint8(self.image), noise(0), np.float32(alpha_bar**0.5), np.float32((1 - alpha_bar) ** 0.5))
        return SAMPLERS[settings.sampler](
            predict_eps,
            x_t,
            schedule=schedule,
            timesteps=schedule.inference_timesteps(self.evaluations(schedule, settings), settings.spacing, start=t),
            noise=noise,
            eta=settings.eta,
        )


class RePaint(BaseModel):
    """A walk that draws what is missing of an image, and leaves what is there to the bit.

    Attributes:
        image: grey levels, uint8 (28, 28), white on black.
        missing: 255 (or true) where it is to be drawn, 0 where it stays.
        rounds: how often each step is taken, so that both parts come to fit (U in ``repaint``).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    image: Pixels
    missing: Pixels
    rounds: Annotated[int, Field(ge=1, le=100)]

    def evaluations(self, schedule: NoiseSchedule, settings: SampleSettings) -> int:
        """Every step but the last is taken ``rounds`` times."""
        return (FROM_NOISE.evaluations(schedule, settings) - 1) * self.rounds + 1

    def __call__(
        self, predict_eps: PredictEps, noise: DrawNoise, schedule: NoiseSchedule, settings: SampleSettings
    ) -> Iterator[SampleStep]:
        """Go, by ancestral steps: the sampler of the settings has no meaning here."""
        return repaint(
            predict_eps,
            noise(0),
            schedule=schedule,
            timesteps=schedule.inference_timesteps(settings.steps, settings.spacing),
            noise=lambda draw: noise(draw + 1),
            known=from_uint8(self.image),
            missing=(self.missing > 127).astype(np.float32),
            rounds=self.rounds,
        )
