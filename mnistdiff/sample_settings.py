"""Sample settings: how images are sampled from a trained model, and the defaults of each model."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Self

from pydantic import Field

from mnistdiff.setting_types import FrozenModel, GuidanceInterval, Interval, SamplerName, Spacing, WeightsName

if TYPE_CHECKING:
    from mnistdiff.settings import TrainSettings

SHORT_TRAINING_IMAGES = 100_000
SHORT_TRAINING_GUIDANCE = 1.5
LONG_TRAINING_IMAGES = 500_000
LONG_TRAINING_GUIDANCE = 1.7
LONG_TRAINING_INTERVAL = Interval(0.2, 0.6)
LONG_TRAINING_STEPS = 20


class SampleSettings(FrozenModel):
    """How images are sampled from a trained model.

    ``guidance`` 0 is unconditional, 1 plain conditional, more than 1 guided
    (s = 1 + w of Ho & Salimans 2022, arXiv 2207.12598). Outside its interval, guidance above 1 is 1
    (Kynkäänniemi et al. 2024, arXiv 2404.07724).
    """

    sampler: SamplerName = Field("dpmpp_2m", description="Sampler.")
    steps: int = Field(10, ge=1, le=10_000, description="Network evaluations per image, at most the model's T.")
    spacing: Spacing = Field(
        "trailing", description="Timesteps: evenly spaced down to t = 0, or down to the clean image (trailing)."
    )
    eta: float = Field(0.0, ge=0, le=1, description="Noise that ddim adds: 0 none, 1 as much as ddpm.")
    guidance: float = Field(
        1.3,
        ge=0,
        le=100,
        description="Guidance scale: 0 ignores the label, 1 is plain conditional, more follows the label more closely.",
    )
    guidance_interval: GuidanceInterval = Field(
        Interval(0.0, 1.0), description="Part of sampling, from noise (0) to image (1), in which guidance above 1 acts."
    )
    weights: WeightsName = Field("ema", description="EMA weights, or those of the last step.")

    def guidance_at(self, t: int, timesteps: int) -> float:
        """The guidance scale at timestep t of 0 ... ``timesteps`` - 1."""
        start, stop = (share * timesteps for share in self.guidance_interval)
        return self.guidance if start <= timesteps - 1 - t < stop else min(self.guidance, 1.0)

    @classmethod
    def for_model(
        cls, model: "TrainSettings", given: Mapping[str, Any] = MappingProxyType({}), *, images_seen: int
    ) -> Self:
        """Sample settings for a model: ``given``, and its defaults for the rest.

        A distilled model has its own steps, and no guidance beside that which it has learned. A model with few
        timesteps has as many steps. One that was trained on few images has a larger guidance scale: it gains more in
        accuracy than it loses in variety. One that was trained on many images is guided in a part of sampling alone,
        in more steps and by ``ddim``, unless a guidance scale is given: it gains more in variety (docs/evaluation.md).

        Args:
            model: the settings of its training.
            given: fields by name.
            images_seen: in its training, repetitions counted.
        """
        if model.preset == "finetune":  # its start has seen others
            images_seen = max(images_seen, LONG_TRAINING_IMAGES)
        defaults: dict[str, object] = {"steps": min(cls.model_fields["steps"].default, model.timesteps)}
        if model.distillation is not None:
            defaults = {"sampler": "ddim", "steps": model.distillation.steps, "spacing": "trailing", "eta": 0.0}
            defaults |= {"guidance": 1.0, "guidance_interval": (0.0, 1.0)}
        elif images_seen < SHORT_TRAINING_IMAGES:
            defaults["guidance"] = SHORT_TRAINING_GUIDANCE
        elif images_seen >= LONG_TRAINING_IMAGES and "guidance" not in given:
            defaults = {"sampler": "ddim", "steps": min(LONG_TRAINING_STEPS, model.timesteps)}
            defaults |= {"guidance": LONG_TRAINING_GUIDANCE, "guidance_interval": LONG_TRAINING_INTERVAL}
        return cls.model_validate({**defaults, **given})
