"""What a distilled model can do: sample from noise by its own steps. All else is refused, and its teacher named."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from mnistdiff.engine.checkpoint.header import read_checkpoint_file
from mnistdiff.engine.checkpoint.pretrained import TEACHER, bundled_models, typed_name
from mnistdiff.errors import NeedsTeacherError
from mnistdiff.sample_settings import SampleSettings
from mnistdiff.settings import TrainSettings


def require_able(
    trained: TrainSettings,
    task: str = "",
    values: Mapping[str, Sequence[Any]] = MappingProxyType({}),
    written: Callable[[str], str] = str,
) -> None:
    """Refuse what a distilled model cannot do; any other model can do all.

    Args:
        trained: the settings of its training.
        task: what is asked for, if it is not to sample from noise.
        values: of sample settings, by name: several where they are compared.
        written: a sample setting and its value, as the error names them.

    Raises:
        NeedsTeacherError: naming the task or the setting, and the teacher.
    """
    student = trained.distillation
    if student is None:
        return
    own = SampleSettings.for_model(trained, images_seen=0).model_dump(exclude={"weights"})
    others = (name for name, each in values.items() if name in own and set(each) != {own[name]})
    asked = task or next(map(written, others), "")
    if asked:
        name, steps = name_of_digest(student.teacher), student.steps
        raise NeedsTeacherError(
            f"{asked} needs the teacher {student.teacher[:12]}{f' ({name})' * bool(name)}: this model was distilled to "
            f"{steps} step{'s' * (steps > 1)}, with guidance included",
            f"Use the model {typed_name(TEACHER)}." if name else "Use the teacher instead.",
        )


def name_of_digest(sha256: str) -> str:
    """The name of the bundled model with this SHA-256; empty if there is none."""
    models = bundled_models().items()
    return next((name for name, path in models if read_checkpoint_file(path).sha256 == sha256), "")
