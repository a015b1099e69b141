"""The record of a distilled model: its teacher, how that samples, and the steps of the student."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from mnistdiff.sample_settings import SampleSettings
from mnistdiff.setting_types import FrozenModel, PredictionName, Sha256

STUDENT_STEPS = 2
StudentSteps = Annotated[int, Field(ge=1, le=16)]


class Distillation(FrozenModel):
    """How a student was distilled: it samples with one network evaluation a step, guidance included.

    Attributes:
        teacher: SHA-256 of the teacher's checkpoint.
        prediction: prediction type of the teacher.
        sampling: how the teacher samples the paths that the student learns; its steps are a multiple of ``steps``.
        steps: of the student: the ``trailing`` timesteps of ``ddim`` (``NoiseSchedule.inference_timesteps``).

    Raises:
        pydantic.ValidationError: for a value out of range, or paths that a student of these steps cannot learn.
    """

    teacher: Sha256
    prediction: PredictionName
    sampling: SampleSettings
    steps: StudentSteps

    def __str__(self) -> str:
        """The record in a few words."""
        of, steps = self.sampling, self.steps
        how = f"sampler {of.sampler}, steps {of.steps}, guidance {of.guidance:g} on {of.guidance_interval}"
        return f"to {steps} step{'s' * (steps > 1)}, from the teacher {self.teacher[:12]} with {how}"

    @model_validator(mode="after")
    def _the_teacher_has_paths_for_these_steps(self) -> Self:
        if self.sampling.sampler == "ddpm" or self.sampling.eta:
            raise ValueError(
                f"a teacher that adds noise at each step ({self.sampling.sampler}, eta {self.sampling.eta}) has no "
                "paths to learn: use ddim or dpmpp_2m"
            )
        if self.sampling.spacing != "trailing" or self.sampling.steps % self.steps:
            raise ValueError(
                f"a student of {self.steps} steps needs a teacher with a multiple of {self.steps} steps, spacing "
                f"trailing: not {self.sampling.steps}, {self.sampling.spacing}"
            )
        return self
