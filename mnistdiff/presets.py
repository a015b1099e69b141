"""Presets, and the precedence of flags, variables, settings files and presets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import ValidationError

from mnistdiff.errors import SettingsError, explain, shown
from mnistdiff.layers import Given, Layer, Origin, one_dataset
from mnistdiff.machine_settings import InferenceSettings, MachineSettings
from mnistdiff.pictures import PictureSettings
from mnistdiff.preset_table import PRESETS
from mnistdiff.sample_settings import SampleSettings
from mnistdiff.setting_types import FrozenModel
from mnistdiff.settings import TrainSettings

M = TypeVar("M", bound=FrozenModel)
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
    preset, given, notices = _one_preset(one_dataset(given))
    end = _one_end(given, PRESETS[preset])
    values: dict[str, object] = {}
    origins: dict[str, str] = {}
    for layer in (Given(f"preset {preset}", dict(end.preset)), *end.layers):
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


def _checked(origin: Origin, values: Mapping[str, Any]) -> Given:
    layer = Given(origin, {name: value for name, value in values.items() if value is not None})
    for name in values:
        _refuse_unknown(name, layer)
    preset = layer.values.get("preset", "base")
    if not isinstance(preset, str) or preset not in PRESETS:
        raise SettingsError(
            f"{layer.origin_of('preset')}: unknown preset {shown(preset)}", f"Choose one of: {', '.join(PRESETS)}."
        )
    return layer


def _one_preset(layers: Sequence[Given]) -> tuple[str, list[Given], tuple[str, ...]]:
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

    layers: Sequence[Given]
    preset: Mapping[str, Any]
    epochs_yield: bool
    dropped: Mapping[str, str]


def _one_end(layers: Sequence[Given], preset: Mapping[str, Any]) -> _End:
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


def _refuse_unknown(name: str, layer: Given) -> None:
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
