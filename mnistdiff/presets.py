"""Presets and precedence: from what a user gave, in files, variables and flags, to the settings of a run."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError

from mnistdiff.errors import SettingsError, explain
from mnistdiff.settings import MachineSettings, TrainSettings

PRESETS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "base": MappingProxyType({}),
        # The most quality for the minutes of a laptop, found by measurement: see the README.
        "fast": MappingProxyType(
            {
                # In steps, as the learning rate falls by them: 15 minutes at 180 images/s.
                "epochs": 1000,
                "max_steps": 2500,
                "batch_size": 64,
                "optimizer": "muon",
                "lr": 2e-3,
                "muon_lr": 0.02,
                "lr_schedule": "linear",
                "warmup_steps": 100,
                # Warm-up alone: the average reaches back over a tenth of the run, however long that is.
                "ema_decay": 0.9999,
                "beta_schedule": "cosine",
                "mode_scale": 0.8,
                "timestep_shift": 2.0,
                "prediction": "v_prediction",
                "patch_size": 1,
                "channels": (16, 48, 96),
                "down_blocks": (0, 1, 2),
                "up_blocks": (1, 2, 2),
            }
        ),
        # First steps and tests: readable digits within minutes, not a good model.
        "tiny": MappingProxyType(
            {
                # In steps, so that the small offline data set gets as much training as the whole of MNIST.
                "epochs": 1000,
                "max_steps": 1500,
                "lr": 3e-3,
                "ema_decay": 0.995,
                "beta_schedule": "cosine",
                "prediction": "v_prediction",
                "channels": (8, 24),
                "embedding": 32,
            }
        ),
    }
)


@dataclass(frozen=True)
class Resolved:
    """Settings after precedence, and where each value came from."""

    train: TrainSettings
    machine: MachineSettings
    origins: Mapping[str, str]


def resolve(layers: Sequence[tuple[str, Mapping[str, Any]]]) -> Resolved:
    """Lay settings over each other, weakest first: preset, then each layer in turn.

    Args:
        layers: pairs of where the values come from ("run.toml", "environment", "command line") and the values.

    Raises:
        SettingsError: for an unknown name or a value out of range, naming where it came from.
    """
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for origin, layer in layers:
        for name, value in layer.items():
            _refuse_unknown(name, origin)
            values[name], origins[name] = value, origin

    preset = values.get("preset", "base")
    if not isinstance(preset, str) or preset not in PRESETS:
        raise SettingsError(
            f"{origins['preset']}: there is no preset {preset!r}", f"Choose one of: {', '.join(PRESETS)}."
        )
    if "max_minutes" in values and "max_steps" in values:
        raise SettingsError(
            f"max_minutes ({origins['max_minutes']}) and max_steps ({origins['max_steps']}) both end the run",
            "Give one of them.",
        )
    # Whoever asks for a number of epochs, or a time, does not want the preset to end the run before.
    given = {*values, "max_steps"} if {"epochs", "max_minutes"} & values.keys() else {*values}
    for name, value in PRESETS[preset].items():
        if name not in given:
            values[name], origins[name] = value, f"preset {preset}"

    try:
        train = TrainSettings.model_validate({k: v for k, v in values.items() if k in TrainSettings.model_fields})
        machine = MachineSettings.model_validate({k: v for k, v in values.items() if k in MachineSettings.model_fields})
    except ValidationError as error:
        raise SettingsError(explain(error, origins), "See mnistdiff train --help for names and ranges.") from error
    for name in (*TrainSettings.model_fields, *MachineSettings.model_fields):
        origins.setdefault(name, "default" if name in MachineSettings.model_fields else f"preset {preset}")
    return Resolved(train, machine, origins)


def read_settings_file(path: Path) -> dict[str, Any]:
    """The settings in a TOML file, or in the ``settings.json`` of a run folder.

    Raises:
        SettingsError: if the file is missing or malformed, naming the place.
    """
    import tomllib  # not at the top, since every start of the program would pay for it

    try:
        text = path.read_text(encoding="utf-8")
        values = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except OSError as error:
        raise SettingsError(f"cannot read the settings file {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise SettingsError(f"{path} is not valid: {error}", "Write lines such as: epochs = 20") from error
    if not isinstance(values, dict):
        raise SettingsError(f"{path} must hold names and values, not a {type(values).__name__}")
    return values


def _refuse_unknown(name: str, origin: str) -> None:
    import difflib

    known = [*TrainSettings.model_fields, *MachineSettings.model_fields]
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1)
        raise SettingsError(
            f"{origin}: there is no setting {name!r}",
            f"Did you mean {close[0]!r}?" if close else f"The settings are: {', '.join(known)}.",
        )
