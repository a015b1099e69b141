"""Training that starts from the weights of a model: its settings as a layer, whether it is the same, its classes."""

from dataclasses import replace
from typing import TYPE_CHECKING

from mnistdiff.errors import SettingsError, field_errors, shown
from mnistdiff.layers import Layer
from mnistdiff.presets import Resolved
from mnistdiff.setting_types import PICTURES
from mnistdiff.settings import TrainSettings

if TYPE_CHECKING:
    from mnistdiff.engine.checkpoint.header import CheckpointFile


def start_layers(file: "CheckpointFile | None") -> list[Layer]:
    """The weakest layers of the settings of a training: those of the model to start from, and its preset by default.

    Raises:
        NeedsTeacherError: if the model is distilled: its weights are those of a few timesteps.
    """
    if file is None:
        return []
    from mnistdiff.engine.checkpoint.distilled import require_able

    model, name = file.settings, _name(file)
    require_able(model, "a training that starts from its weights")
    values = {**model.of_model, "classes": None, "start": file.sha256}
    if model.pictures is not None:
        values["image_size"] = model.spec.image_size
    # As a variable would set it, so that another preset replaces it without a notice.
    return [(lambda _: name, {"preset": model.preset}), (name, values)]


def _name(file: "CheckpointFile") -> str:
    """The name of a bundled model, or the path of another."""
    from mnistdiff.engine.checkpoint.pretrained import name_of

    return name_of(file.path) or str(file.path)


def require_same_model(resolved: Resolved, file: "CheckpointFile | None") -> None:
    """Refuse settings of another model than that to start from; its data set and classes may be others.

    Args:
        resolved: settings of the training.
        file: the checkpoint to start from; None starts from random weights.

    Raises:
        SettingsError: naming the first setting that differs; or without a model, if the settings are those of a
            training that has a start or a teacher.
    """
    train = resolved.train
    if file is None:
        _require_no_start(resolved)
        return
    is_unread = train.dataset == PICTURES and train.pictures is None
    image_size = resolved.reading.image_size if is_unread else train.spec.image_size
    others = {**train.of_model, "image_size": image_size}
    for name, value in {**file.settings.of_model, "image_size": file.settings.spec.image_size}.items():
        if name not in ("dataset", "pictures", "classes") and others[name] != value:
            origin = resolved.origins[name] if name in resolved.origins else resolved.origins["dataset"]
            raise SettingsError(
                f"`{name}` {shown(others[name])} ({origin}) is not that of {_name(file)}, {shown(value)}",
                f"Leave out `{name}`, or start from random weights.",
            )


def _require_no_start(resolved: Resolved) -> None:
    train, origins = resolved.train, resolved.origins
    if train.start is not None or train.distillation is not None:
        name = "distillation" if train.distillation is not None else "start"
        command = "mnistdiff distill TEACHER" if name == "distillation" else "mnistdiff train --from MODEL"
        raise SettingsError(f"{origins[name]}: `{name}` belongs to a model that is not given here", f"Use {command}.")
    if train.preset == "finetune":
        raise SettingsError(
            f"`preset` finetune ({origins['preset']}) is for a training that starts from a model",
            "Use mnistdiff train --from bundled, or another model.",
        )


def with_classes(resolved: Resolved, file: "CheckpointFile | None") -> Resolved:
    """The settings of a training that starts from a model, with the classes of both, and a notice of what is new.

    A model of pictures keeps the classes of its start of which there are no pictures; that of a data set that has a
    name has the classes of the data set.

    Args:
        resolved: settings of the training, with the record of its pictures.
        file: the checkpoint to start from; None changes nothing.

    Raises:
        SettingsError: for too many classes.
    """
    if file is None:
        return resolved
    train, known = resolved.train, file.settings.spec.class_names
    if train.pictures is not None:
        own = train.pictures.class_names
        classes = (*known, *(name for name in own if name not in known))
        with field_errors():
            train = TrainSettings.model_validate({**dict(train), "classes": None if classes == own else classes})
    return replace(resolved, train=train, notices=(*resolved.notices, _notice(train, file)))


def _notice(train: TrainSettings, file: "CheckpointFile") -> str:
    """Which model is the start, and which classes are new, without pictures or given up."""
    sentence = f"the start is {_name(file)}"
    known, spec = file.settings.spec.class_names, train.spec
    if spec.class_names == known and all(spec.class_counts):
        return sentence
    groups = {
        "new classes": [name for name in spec.class_names if name not in known],
        "classes without pictures here": [
            name for name, count in zip(spec.class_names, spec.class_counts, strict=True) if not count
        ],
        "classes given up": [name for name in known if name not in spec.class_names],
    }
    return "; ".join([sentence, *(f"{what}: {', '.join(names)}" for what, names in groups.items() if names)])
