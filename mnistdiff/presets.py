"""Presets, and the precedence of flags, variables, settings files and presets."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import ValidationError

from mnistdiff.conflicts import without_effect
from mnistdiff.errors import SettingsError, explain, shown
from mnistdiff.machine_settings import InferenceSettings, MachineSettings
from mnistdiff.pictures import PictureSettings, path_of_pictures
from mnistdiff.preset_table import PRESETS
from mnistdiff.sample_settings import SampleSettings
from mnistdiff.setting_types import PICTURES, FrozenModel
from mnistdiff.settings import TrainSettings

M = TypeVar("M", bound=FrozenModel)
Origin = str | Callable[[str], str]
"""The source of a layer's values: a file or "command line"; or a function of a setting's name, for variables of the
environment."""
Layer = tuple[Origin, Mapping[str, Any]]

_MODELS = (TrainSettings, MachineSettings, PictureSettings)
_ENDS = ("epochs", "max_steps", "max_minutes")
"""Settings that determine when training ends."""
_LIMITS = ("max_steps", "max_minutes")


@dataclass(frozen=True)
class Resolved:
    """Settings after precedence.

    Attributes:
        train: what to compute.
        machine: where, and for how long.
        origins: the source of every setting's value.
        given: names of the settings that a layer has, as opposed to a preset or a default.
        epochs_yield: whether ``max_steps`` or ``max_minutes`` comes from a stronger layer than ``epochs``, which then
            is raised if it would end training earlier.
        notices: sentences for the user.
        reading: how pictures are read, where ``train.dataset`` is ``pictures`` and ``train.pictures`` is not yet known.
    """

    train: TrainSettings
    machine: MachineSettings
    origins: Mapping[str, str]
    given: frozenset[str] = frozenset()
    epochs_yield: bool = False
    notices: tuple[str, ...] = ()
    reading: PictureSettings = field(default_factory=PictureSettings)


@dataclass(frozen=True)
class _Given:
    """The values of one layer, without nulls."""

    origin: Origin
    values: Mapping[str, Any]

    def origin_of(self, name: str) -> str:
        return self.origin if isinstance(self.origin, str) else self.origin(name)

    def without(self, names: Sequence[str]) -> "_Given":
        return _Given(self.origin, {name: value for name, value in self.values.items() if name not in names})


def resolve(layers: Sequence[Layer]) -> Resolved:
    """Merge settings, weakest layer first: preset, then each layer in turn. Nulls are ignored.

    - The strongest layer that names a preset decides it. A weaker *file* that names another preset loses every value
      that equals that of its own preset, since the ``settings.json`` of a run lists all values.
    - The strongest layer that sets ``epochs``, ``max_steps`` or ``max_minutes`` decides when training ends: those of
      weaker layers and of the preset are dropped.
    - The strongest layer that sets ``dataset`` decides it. A path there is that of pictures: it becomes ``data_dir``.

    Args:
        layers: pairs of origin and values.

    Raises:
        SettingsError: for an unknown name or a value out of range, naming its origin.
    """
    given = [_checked(origin, values) for origin, values in layers]
    preset, given, notices = _one_preset(_one_dataset(given))
    end = _one_end(given, PRESETS[preset])
    values: dict[str, object] = {}
    origins: dict[str, str] = {}
    for layer in (_Given(f"preset {preset}", dict(end.preset)), *end.layers):
        for name, value in layer.values.items():
            values[name], origins[name] = value, layer.origin_of(name)
    for name, origin in end.dropped.items():
        origins.setdefault(name, origin)

    try:
        train, machine, reading = _of(TrainSettings, values), _of(MachineSettings, values), _of(PictureSettings, values)
    except ValidationError as error:
        raise SettingsError(explain(error, origins), "Correct the value, or leave it out for the default.") from error
    for model in _MODELS:
        for name in model.model_fields:
            origins.setdefault(name, f"preset {preset}" if model is TrainSettings else "default")
    names = frozenset(name for layer in end.layers for name in layer.values)
    return Resolved(train, machine, origins, names, end.epochs_yield, notices, reading)


def _of(model: type[M], values: Mapping[str, object]) -> M:
    """The settings of one model, of the values of all."""
    return model.model_validate({name: value for name, value in values.items() if name in model.model_fields})


def _checked(origin: Origin, values: Mapping[str, Any]) -> _Given:
    layer = _Given(origin, {name: value for name, value in values.items() if value is not None})
    for name in values:
        _refuse_unknown(name, layer)
    preset = layer.values.get("preset", "base")
    if not isinstance(preset, str) or preset not in PRESETS:
        raise SettingsError(
            f"{layer.origin_of('preset')}: unknown preset {shown(preset)}", f"Choose one of: {', '.join(PRESETS)}."
        )
    return layer


def _one_dataset(layers: Sequence[_Given]) -> list[_Given]:
    """The layers with one data set, and the folder or file of pictures as ``data_dir`` of its layer.

    Variables name the folder of the data sets that have names: for pictures it has no effect.

    Raises:
        SettingsError: if the layer that names pictures has another ``data_dir``, or the strongest layer says how to
            read pictures where none are read.
    """
    deciding = next((layer for layer in reversed(layers) if "dataset" in layer.values), None)
    dataset = deciding.values["dataset"] if deciding is not None else None
    path, result = path_of_pictures(dataset), []
    for layer in layers:
        if layer is not deciding and deciding is not None:
            layer = layer.without(["dataset", "pictures", *(["data_dir"] if path is not None else [])])
        elif path is not None:
            if "data_dir" in layer.values:
                why = "the pictures have one path"
                raise without_effect("`data_dir`", f"`dataset` {shown(path)} ({layer.origin_of('dataset')})", why)
            layer = _Given(layer.origin, {**layer.values, "dataset": PICTURES, "data_dir": path})
        elif dataset == PICTURES and not isinstance(layer.origin, str):
            layer = layer.without(["data_dir"])
        result.append(layer)
    if layers and (path is None and dataset != PICTURES or any("pictures" in layer.values for layer in result)):
        _refuse_reading(layers[-1], "pictures that are prepared" if dataset == PICTURES else str(dataset or "mnist"))
    return result


def _refuse_reading(strongest: _Given, dataset: str) -> None:
    """Raise SettingsError if a layer says how to read pictures, beside a data set whose images are as they are."""
    for name in PictureSettings.model_fields:
        if strongest.values.get(name, False) is not False:
            raise SettingsError(
                f"`{name}` has no effect on `dataset` {dataset}: it is for pictures",
                f"Leave out `{name}`, or name a folder or file of pictures as `dataset`.",
            )


def _one_preset(layers: Sequence[_Given]) -> tuple[str, list[_Given], tuple[str, ...]]:
    """The chosen preset, the layers without values that weaker files have from another preset, and notices."""
    naming = [layer for layer in layers if "preset" in layer.values]
    if not naming:
        return "base", [*layers], ()
    chosen = naming[-1]
    preset = chosen.values["preset"]
    kept, notices = [], []
    for layer in layers:
        own = layer.values.get("preset", preset)
        # Variables are set one by one, so their values are kept even if they equal those of a preset.
        if own != preset and isinstance(layer.origin, str):
            taken = [name for name, value in layer.values.items() if _is_of_preset(own, name, value)]
            layer = layer.without(["preset", *taken])
            notices.append(
                f"preset {preset} ({chosen.origin_of('preset')}) replaces preset {own} of {layer.origin}, "
                "and every value that the file has from that preset"
            )
        kept.append(layer)
    return preset, kept, tuple(notices)


def _is_of_preset(preset: str, name: str, value: Any) -> bool:
    """Whether a setting has the value that the preset gives it."""
    if name not in TrainSettings.model_fields or isinstance(value, bool):
        return False
    default = PRESETS[preset].get(name, TrainSettings.model_fields[name].default)
    return default == "auto" or bool(default == (tuple(value) if isinstance(value, list) else value))


@dataclass(frozen=True)
class _End:
    """When training ends, after precedence.

    Attributes:
        layers: without the settings that were dropped.
        preset: likewise.
        epochs_yield: as in ``Resolved``.
        dropped: names of the settings that were dropped, with the origin of those that replace them.
    """

    layers: Sequence[_Given]
    preset: Mapping[str, Any]
    epochs_yield: bool
    dropped: Mapping[str, str]


def _one_end(layers: Sequence[_Given], preset: Mapping[str, Any]) -> _End:
    """Let the strongest layer with ``epochs``, ``max_steps`` or ``max_minutes`` decide when training ends.

    Raises:
        SettingsError: if that layer has both ``max_steps`` and ``max_minutes``.
    """
    deciding = next((layer for layer in reversed(layers) if any(name in layer.values for name in _ENDS)), None)
    if deciding is None:
        return _End(layers, preset, epochs_yield=False, dropped={})
    ends = [name for name in _ENDS if name in deciding.values]
    if all(name in ends for name in _LIMITS):
        both = " and ".join(f"`{name}` ({deciding.origin_of(name)})" for name in reversed(_LIMITS))
        raise SettingsError(f"{both} both end the run", "Set one of them: `max_minutes` or `max_steps`.")
    limits = [name for name in _LIMITS if name in preset or any(name in layer.values for layer in layers)]
    return _End(
        layers=[layer if layer is deciding else layer.without(_LIMITS) for layer in layers],
        preset={name: value for name, value in preset.items() if name not in _LIMITS},
        epochs_yield="epochs" not in ends,
        dropped={name: deciding.origin_of(ends[0]) for name in limits if name not in ends},
    )


def _refuse_unknown(name: str, layer: _Given) -> None:
    import difflib

    known = [name for model in _MODELS for name in model.model_fields]
    if name in known:
        return
    origin = layer.origin_of(name)
    if name in {**SampleSettings.model_fields, **InferenceSettings.model_fields}:
        raise SettingsError(
            f"{origin}: {name!r} is a setting of sampling, not of training",
            f"Leave it out here, and sample with `{name}`.",
        )
    close = difflib.get_close_matches(name[:100], known, n=1)
    raise SettingsError(
        f"{origin}: unknown setting {shown(name)}",
        f"Did you mean {close[0]!r}?" if close else f"The settings are: {', '.join(known)}.",
    )
