"""The settings of a distillation: those of the teacher's model, a recipe, and what the user gives."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from mnistdiff.distillation import Distillation
from mnistdiff.errors import SettingsError, field_errors
from mnistdiff.layers import Layer
from mnistdiff.preset_table import EXECUTION
from mnistdiff.presets import Resolved, resolve
from mnistdiff.sample_settings import SampleSettings

if TYPE_CHECKING:
    from mnistdiff.engine.checkpoint.header import CheckpointFile

TEACHER_SAMPLING: Mapping[str, Any] = MappingProxyType({"sampler": "ddim", "steps": 20})
"""How a teacher samples by default, with the guidance that its model has by default."""
RECIPE: Mapping[str, Any] = MappingProxyType(
    {
        **EXECUTION,
        "epochs": 1000,
        "max_steps": 2500,
        "batch_size": 64,
        "optimizer": "muon",
        "lr": 2e-3,
        "muon_lr": 0.02,
        "lr_schedule": "linear",
        "warmup_steps": 100,
        "ema_decay": 0.998,
    }
)
"""The other settings of training, found by measurement (docs/evaluation.md)."""


def resolve_distillation(
    teacher: "CheckpointFile", steps: int, sampling: Mapping[str, Any], layers: Sequence[Layer]
) -> Resolved:
    """The settings of a run that distils a teacher.

    The student has the network and the noise schedule of its teacher, and starts from its weights. It predicts v: at
    the first step the noise says nothing about the image.

    Args:
        teacher: its checkpoint.
        steps: of the student.
        sampling: how the teacher samples: fields of ``SampleSettings`` by name, others by default.
        layers: of settings that the user gives, as for ``resolve``.

    Raises:
        SettingsError: for a value out of range, or a teacher whose paths such a student cannot learn.
    """
    from mnistdiff.engine.checkpoint.distilled import require_able

    trained, seen = teacher.settings, teacher.metadata.images_seen
    defaults = {} if trained.distillation is not None else TEACHER_SAMPLING
    with field_errors():
        distillation = Distillation(
            teacher=teacher.sha256,
            prediction=trained.prediction,
            sampling=SampleSettings.for_model(trained, {**defaults, **sampling}, images_seen=seen),
            steps=steps,
        )
    require_able(
        trained,
        values={name: [value] for name, value in distillation.sampling},
        written=lambda name: f"`{'teacher_' * (name == 'steps')}{name}` {getattr(distillation.sampling, name)}",
    )
    if distillation.sampling.steps > trained.timesteps:
        raise SettingsError(
            f"the teacher has {trained.timesteps} timesteps, and cannot take {distillation.sampling.steps} steps",
            f"Use `teacher_steps` {trained.timesteps // steps * steps}, or another multiple of `steps`.",
        )
    of_model = {**trained.of_model, "preset": trained.preset, "prediction": "v_prediction"}
    return resolve([("distillation", {**RECIPE, **of_model, "distillation": distillation}), *layers])
