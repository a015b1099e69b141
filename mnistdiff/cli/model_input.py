"""The model of a command: which it is, loading it, and what results say of it."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnistdiff.cli import console, options
from mnistdiff.cli.option_groups import SamplingOptions
from mnistdiff.engine.threads import import_numpy
from mnistdiff.errors import NeedsTeacherError
from mnistdiff.sample_settings import SampleSettings

if TYPE_CHECKING:
    from mnistdiff.engine.checkpoint.header import CheckpointFile
    from mnistdiff.engine.checkpoint.model_info import ModelInfo
    from mnistdiff.engine.inference.model import DiffusionModel


def find_model(checkpoint: Path | None, sampling: SamplingOptions, *, task: str = "") -> "CheckpointFile":
    """The checkpoint to sample from, its header read: the data set of its model is known before the network is loaded.

    Args:
        checkpoint: a file, a run folder or a bundled model; None is the newest run, else the bundled models.
        sampling: how to sample: ``bundled`` is the model of few steps if that can do it, else its teacher.
        task: of a command that does not sample from noise.

    Raises:
        CheckpointError: if there is no such model, or this program lacks its data set or network.
        SettingsError: if the model cannot do what is asked.
    """
    from mnistdiff.engine.runs.lookup import checkpoints_to_sample

    *students, last = checkpoints_to_sample(checkpoint)
    for path in students:
        with suppress(NeedsTeacherError):
            return _able(path, sampling, task)
    return _able(last, sampling, task)


def _able(path: Path, sampling: SamplingOptions, task: str) -> "CheckpointFile":
    from mnistdiff.engine.checkpoint.distilled import require_able
    from mnistdiff.engine.checkpoint.header import read_checkpoint_file

    file = read_checkpoint_file(path)
    file.settings.require_registered(source=str(path))
    require_able(file.settings, task, sampling.values, sampling.written)
    sampling.refuse_ineffective(file.settings.timesteps)
    return file


def load_models(
    file: "CheckpointFile",
    sampling: SamplingOptions,
    variants: Sequence[Mapping[str, Any]] = ({},),
    *,
    device: str = "",
    note: str = "",
    quiet: bool,
) -> "list[tuple[DiffusionModel, SampleSettings]]":
    """Load a model, and make the sample settings for it, once for each variant of the settings.

    Which model it is, is noted on stderr; if it is not fully trained, that is a warning.

    Args:
        file: the checkpoint.
        sampling: how to sample.
        variants: fields of SampleSettings with other values than those given.
        device: instead of that given.
        note: what else to note.
        quiet: note nothing.

    Raises:
        CheckpointError: if it is damaged, or lacks those weights.
        SettingsError: if the device or the backend is not available.
    """
    import_numpy()
    from mnistdiff.engine.inference.model import load_model

    console.note(f"sampling from {options.name_of(file.path)}{note}", quiet=quiet)
    given = [{"weights": "ema", **sampling.defaults, **sampling.given, **variant} for variant in variants]
    where, backend = device or sampling.machine.device, sampling.machine.backend
    named = dict.fromkeys(each["weights"] for each in given)
    models = {weights: load_model(file, weights=weights, device=where, backend=backend) for weights in named}
    settings, info = file.settings, next(iter(models.values())).info
    warn_of(info)
    return [
        (models[each["weights"]], SampleSettings.for_model(settings, each, images_seen=info.images_seen))
        for each in given
    ]


def warn_of(info: "ModelInfo") -> None:
    """Print the warnings about a model, also when quiet."""
    for notice in info.notices:
        console.warn(notice)


def about(info: "ModelInfo | None", *notices: str) -> dict[str, Any]:
    """The keys of every JSON result about its model: ``model`` and ``notices``, to which more can be added."""
    if info is None:
        return {"model": None, "notices": list(notices)}
    return {"model": info.to_dict(), "notices": [*info.notices, *notices]}
