"""The model of a command: which it is, loading it, and what results say of it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnistdiff.cli import console, options
from mnistdiff.cli.option_groups import SamplingOptions
from mnistdiff.setting_types import WeightsName
from mnistdiff.settings import SampleSettings

if TYPE_CHECKING:
    from mnistdiff import Model
    from mnistdiff.engine.checkpoint.model_info import ModelInfo
    from mnistdiff.engine.data.datasets import DatasetSpec


def find_model(checkpoint: Path | None) -> "tuple[Path, DatasetSpec]":
    """The checkpoint to sample from, and the data set that its model was trained on, before its network is loaded.

    Args:
        checkpoint: a file or a run folder; None is the newest run, else the bundled model.

    Raises:
        CheckpointError: if there is no such model.
    """
    from mnistdiff.engine.checkpoint.header import read_checkpoint_file
    from mnistdiff.engine.runs.lookup import checkpoint_to_sample

    path = checkpoint_to_sample(checkpoint)
    settings = read_checkpoint_file(path).metadata.settings
    settings.require_registered(source=str(path))
    return path, settings.spec


def load(path: Path, sampling: SamplingOptions, *, note: str = "", quiet: bool) -> "tuple[Model, SampleSettings]":
    """Load a model, and make the sample settings for it.

    Which model it is, is noted on stderr; if it is not fully trained, that is a warning.

    Args:
        path: of the checkpoint.
        sampling: how to sample.
        note: what else to note.
        quiet: note nothing.

    Raises:
        CheckpointError: if it cannot be read, or lacks those weights.
        SettingsError: if the settings do not fit the model.
    """
    return load_each(path, sampling, [{}], note=note, quiet=quiet)[0]


def load_each(
    path: Path,
    sampling: SamplingOptions,
    variants: Sequence[Mapping[str, Any]],
    *,
    device: str = "",
    note: str = "",
    quiet: bool,
) -> "list[tuple[Model, SampleSettings]]":
    """As ``load``, for each of several variants of the settings.

    Args:
        path: of the checkpoint.
        sampling: how to sample.
        variants: fields of SampleSettings with other values than those given.
        device: instead of that given.
        note: what else to note.
        quiet: note nothing.

    Raises:
        CheckpointError, SettingsError: as ``load``.
    """
    import mnistdiff

    console.note(f"sampling from {options.name_of(path)}{note}", quiet=quiet)
    given = [{**sampling.defaults, **sampling.given, **variant} for variant in variants]
    named: list[WeightsName] = [each.get("weights", "ema") for each in given]
    where, backend = device or sampling.machine.device, sampling.machine.backend
    models = {w: mnistdiff.load(path, weights=w, device=where, backend=backend) for w in dict.fromkeys(named)}
    first = models[named[0]]
    warn_of(first.info)
    sampling.refuse_ineffective(first.settings.timesteps)
    return [(models[w], models[w].sample_settings(**each)) for w, each in zip(named, given, strict=True)]


def warn_of(info: "ModelInfo") -> None:
    """Print the warnings about a model, also when quiet."""
    for notice in info.notices:
        console.warn(notice)


def about(info: "ModelInfo | None", *notices: str) -> dict[str, Any]:
    """The keys of every JSON result about its model: ``model`` and ``notices``, to which more can be added."""
    if info is None:
        return {"model": None, "notices": list(notices)}
    return {"model": info.to_dict(), "notices": [*info.notices, *notices]}
