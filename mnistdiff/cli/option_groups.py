"""Options of the commands that sample: their declarations, and the frozen objects that commands build of them.

An option that was left out is None. Each object checks itself as it is made: options that cannot act together are
refused, and both are named.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from mnistdiff.cli import options
from mnistdiff.cli.options import setting
from mnistdiff.cli.variables import layer, variable
from mnistdiff.conflicts import refuse_ineffective, without_effect
from mnistdiff.errors import SettingsError, explain
from mnistdiff.machine_settings import InferenceSettings
from mnistdiff.sample_settings import (
    LONG_TRAINING_GUIDANCE,
    LONG_TRAINING_IMAGES,
    LONG_TRAINING_INTERVAL,
    LONG_TRAINING_STEPS,
    SHORT_TRAINING_GUIDANCE,
    SHORT_TRAINING_IMAGES,
    SampleSettings,
)
from mnistdiff.setting_types import Interval, WeightsName


def guidance(default: str) -> Any:
    """The option ``--guidance``, whose help names this default."""
    text = options.describe(SampleSettings.model_fields["guidance"], default)
    return setting(SampleSettings, "guidance", "--guidance", "-g", help_text=text)


GUIDANCE_BY_MODEL = (
    f"{SampleSettings.model_fields['guidance'].default}; {SHORT_TRAINING_GUIDANCE} for a model trained on fewer than "
    f"{SHORT_TRAINING_IMAGES:,} images; {LONG_TRAINING_GUIDANCE} in the interval {LONG_TRAINING_INTERVAL} for one of "
    f"{LONG_TRAINING_IMAGES:,} or more"
)
Guidance = Annotated[float | None, guidance(GUIDANCE_BY_MODEL)]
GuidanceInterval = Annotated[Interval | None, setting(SampleSettings, "guidance_interval", metavar="FROM:TO")]
Sampler = Annotated[str | None, setting(SampleSettings, "sampler")]
_STEPS = SampleSettings.model_fields["steps"]
Steps = Annotated[
    int | None,
    setting(
        SampleSettings,
        "steps",
        help_text=options.describe(
            _STEPS,
            f"{_STEPS.default}; {LONG_TRAINING_STEPS}, by ddim, for a model trained on {LONG_TRAINING_IMAGES:,} images "
            "or more; those of a distilled model",
        ),
    ),
]
Spacing = Annotated[str | None, setting(SampleSettings, "spacing")]
Eta = Annotated[float | None, setting(SampleSettings, "eta")]
Weights = Annotated[WeightsName | None, setting(SampleSettings, "weights")]
# Variables set these three as well, but not by Typer: one from a variable gives way to one that was typed.
Device = Annotated[
    str | None,
    setting(
        InferenceSettings,
        "device",
        help_text="Where to compute; auto is the CPU with ONNX Runtime, and a GPU, if there is one, with PyTorch.",
    ),
]
Backend = Annotated[str | None, setting(InferenceSettings, "backend")]
ProcessCount = Annotated[str | None, setting(InferenceSettings, "processes")]


def inference_settings(
    device: str | None, backend: str | None, processes: str | int | None = None
) -> InferenceSettings:
    """Where to sample, from ``--device``, ``--backend`` and ``--processes`` or else their variables.

    ONNX Runtime and several processes compute on the CPU. Of two settings that disagree, one from a variable gives way
    to one that was typed.

    Raises:
        SettingsError: if they disagree otherwise, or a variable has a value that is not allowed.
    """
    given = {"device": device, "backend": backend, "processes": processes}
    typed = {name: value for name, value in given.items() if value is not None}
    _, set_by_variables = layer(given)
    try:
        machine = InferenceSettings.model_validate({**set_by_variables, **typed})
    except ValidationError as error:  # what was typed is validated
        raise SettingsError(explain(error, {name: variable(name) for name in given})) from error
    for name, is_on_cpu, why in (
        ("backend", machine.backend == "onnx", "ONNX Runtime computes on the CPU here"),
        ("processes", machine.processes not in ("auto", 1), "several processes sample on the CPU"),
    ):
        if is_on_cpu and machine.device in ("cuda", "mps"):
            if (name in typed) == ("device" in typed):
                raise without_effect(f"--{name} {getattr(machine, name)}", f"--device {machine.device}", why)
            machine = machine.model_copy(update={name if "device" in typed else "device": "auto"})
    return machine


@dataclass(frozen=True)
class Sweep:
    """A setting of the sampler, and the values of it that are compared.

    Attributes:
        name: a field of SampleSettings.
        values: at least one.
        flag: the option that asks for the comparison.
    """

    name: str
    values: tuple[Any, ...]
    flag: str

    def __str__(self) -> str:
        """As it is typed."""
        return f"{self.flag} {self.name}={','.join(map(str, self.values))}"

    @classmethod
    def parser(cls, flag: str) -> "options.Parser[Sweep]":
        """A parser of ``NAME=VALUE,VALUE,...`` for the option ``flag``."""

        def parse(text: str) -> Sweep:
            """Read the name and the values, each as its setting allows."""
            name, equals, values = text.partition("=")
            field = SampleSettings.model_fields.get(name.strip())
            if not equals or field is None:
                names = ", ".join(SampleSettings.model_fields)
                raise typer.BadParameter(f"{text!r} is not NAME=VALUE,VALUE,... with one of the names {names}.")
            read = options.checked(field.rebuild_annotation())
            return cls(name.strip(), tuple(dict.fromkeys(read(value.strip()) for value in values.split(","))), flag)

        return parse


@dataclass(frozen=True)
class SamplingOptions:
    """How to sample: the sampling options of a command, each None if it was left out.

    Attributes:
        machine: where to sample.
        default_guidance: of the command, if it has its own.
        sweeps: settings whose values are compared.

    Raises:
        SettingsError: if two of them cannot act together.
    """

    guidance: float | None = None
    guidance_interval: Interval | None = None
    sampler: str | None = None
    steps: int | None = None
    spacing: str | None = None
    eta: float | None = None
    weights: WeightsName | None = None
    machine: InferenceSettings = field(default_factory=InferenceSettings)
    default_guidance: float | None = None
    sweeps: Sequence[Sweep] = ()

    def __post_init__(self) -> None:
        if len(self.sweeps) > 2 or len({sweep.name for sweep in self.sweeps}) < len(self.sweeps):
            raise SettingsError(
                "a sheet has rows and columns, and no more", "Use --sweep for one setting, or for two different ones."
            )
        for sweep in self.sweeps:
            if sweep.name in self.given:
                raise without_effect(options.flag(sweep.name), str(sweep), "each value is tried in turn")
        self.refuse_ineffective()

    @property
    def given(self) -> dict[str, Any]:
        """The fields of SampleSettings that were set."""
        values = {name: getattr(self, name) for name in SampleSettings.model_fields}
        return {name: value for name, value in values.items() if value is not None}

    @property
    def defaults(self) -> dict[str, Any]:
        """The fields of SampleSettings for which the command has its own default."""
        return {} if self.default_guidance is None else {"guidance": self.default_guidance}

    @property
    def flags(self) -> dict[str, Any]:
        """The same by flag."""
        return {options.flag(name): value for name, value in self.given.items()}

    @property
    def values(self) -> dict[str, Sequence[Any]]:
        """The values of each field of SampleSettings that was set or is compared."""
        single = {name: (value,) for name, value in self.given.items()}
        return {**single, **{sweep.name: sweep.values for sweep in self.sweeps}}

    def written(self, name: str) -> str:
        """A field of SampleSettings and its values, as they were typed."""
        compared = {sweep.name: str(sweep) for sweep in self.sweeps}
        return compared.get(name) or f"{options.flag(name)} {self.given[name]}"

    def refuse_ineffective(self, timesteps: int = 1) -> None:
        """Refuse settings that have no effect beside others, with a model of so many timesteps.

        Raises:
            SettingsError: naming both.
        """
        refuse_ineffective(self.values, self.written, timesteps=timesteps)
