"""The record of a distilled model: its teacher, how that samples, and the steps of the student."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from mnistdiff.sample_settings import SampleSettings
from mnistdiff.setting_types import FrozenModel


class Distillation(FrozenModel):
    """How a student was distilled: it samples with one network evaluation a step, guidance included.

    Attributes:
        teacher: SHA-256 of the teacher's checkpoint.
        sampling: how the teacher samples the paths that the student learns; its steps are a multiple of ``steps``.
        steps: of the student: the ``trailing`` timesteps of ``ddim`` (``NoiseSchedule.inference_timesteps``).

    Raises:
        pydantic.ValidationError: for a value out of range, or teacher steps that are no multiple of the student's.
    """

    teacher: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    sampling: SampleSettings
    steps: int = Field(ge=1, le=16)

    @model_validator(mode="after")
    def _steps_of_the_student_are_among_those_of_the_teacher(self) -> Self:
        if self.sampling.spacing != "trailing" or self.sampling.steps % self.steps:
            raise ValueError(
                f"a student of {self.steps} steps needs a teacher that takes a multiple of them, spaced trailing, "
                f"not {self.sampling.steps} spaced {self.sampling.spacing}"
            )
        return self
