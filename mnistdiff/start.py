"""Training that starts from the weights of a model: its settings as a layer, and whether the network is the same."""

from typing import TYPE_CHECKING

from mnistdiff.errors import SettingsError, shown
from mnistdiff.presets import Layer, Resolved

if TYPE_CHECKING:
    from mnistdiff.engine.checkpoint.header import CheckpointFile


def start_layers(file: "CheckpointFile | None") -> list[Layer]:
    """The weakest layers of the settings of a training: those of the model to start from, and its preset by default."""
    if file is None:
        return []
    model, name = file.settings, str(file.path)
    return [(name, {"preset": model.preset}), (name, {**model.of_model, "start": file.sha256})]


def require_same_model(resolved: Resolved, file: "CheckpointFile | None") -> None:
    """Refuse settings of another model than that to start from.

    Args:
        resolved: settings of the training.
        file: the checkpoint to start from; None starts from random weights.

    Raises:
        SettingsError: naming the first setting that differs; or if the settings are those of a training that had a
            start or a teacher.
    """
    train = resolved.train
    if file is None:
        if train.start is not None or train.distillation is not None:
            name = "distillation" if train.distillation is not None else "start"
            command = "mnistdiff distill TEACHER" if name == "distillation" else "mnistdiff train --from MODEL"
            raise SettingsError(
                f"{resolved.origins[name]}: `{name}` belongs to a model that is not given here", f"Use {command}."
            )
        return
    for name, value in file.settings.of_model.items():
        if name != "dataset" and getattr(train, name) != value:
            raise SettingsError(
                f"`{name}` {shown(getattr(train, name))} ({resolved.origins[name]}) is not that of {file.path}, "
                f"{shown(value)}",
                f"Leave out `{name}`, or start from random weights.",
            )
