"""What the commands that draw share: the options of how to draw, and the model that it is drawn from."""

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from mnistdiff.cli import console, options
from mnistdiff.settings import MachineSettings, SampleSettings

if TYPE_CHECKING:
    from mnistdiff.engine.sampling import Model

_SAMPLING = MappingProxyType(
    {
        "guidance": options.Guidance,
        "guidance_interval": options.GuidanceInterval,
        "sampler": options.Sampler,
        "steps": options.Steps,
        "spacing": options.Spacing,
        "eta": options.Eta,
        "weights": options.Weights,
    }
)
_MACHINE = MappingProxyType({"device": options.Device, "backend": options.Backend})


@dataclass(frozen=True)
class HowToDraw:
    """What the user said of how to draw.

    Attributes:
        given: the fields of SampleSettings that were set.
        machine: where to draw.
    """

    given: dict[str, Any]
    machine: MachineSettings

    def by_default(self, **values: Any) -> "HowToDraw":
        """The same with other defaults than ``sample`` has."""
        return HowToDraw({**values, **self.given}, self.machine)

    def load(self, checkpoint: Path | None, *, note: str = "", quiet: bool = False) -> "tuple[Model, SampleSettings]":
        """The model to draw from and the settings to draw with, after saying so.

        Args:
            checkpoint: a file or a run; None is the newest run, else the model in the box.
            note: what else to say.
            quiet: say nothing.

        Raises:
            CheckpointError: if there is no such model.
            SettingsError: if it cannot be drawn from in this way.
        """
        from mnistdiff.engine.choice import checkpoint_to_sample

        path = checkpoint_to_sample(checkpoint)
        console.note(f"drawing from {options.name_of(path)}{note}", quiet=quiet)
        return self.load_each(path, [{}])[0]

    def load_each(
        self, path: Path, variants: Iterable[Mapping[str, Any]], *, device: str = ""
    ) -> "list[tuple[Model, SampleSettings]]":
        """The model and the settings for each of several ways to draw: what changes in it, by name.

        Args:
            path: of the checkpoint.
            variants: the fields of SampleSettings that differ from what was given.
            device: instead of that which was given.
        """
        from mnistdiff.engine.sampling import load_model

        # The averaged weights and those of the last step are two models.
        load = functools.cache(
            lambda weights: load_model(
                path, weights=weights, device=device or self.machine.device, backend=self.machine.backend
            )
        )
        ways = [{**self.given, **variant} for variant in variants]
        models = [load(SampleSettings(**way).weights) for way in ways]
        return [(model, SampleSettings.for_model(model.settings, way)) for model, way in zip(models, ways, strict=True)]


Command = Callable[..., None]


def draws(*, after: str, only: Sequence[str] = tuple(_SAMPLING)) -> Callable[[Command], Command]:
    """Give a command the options of how to draw, behind its parameter ``after``; it gets them as one, ``how``.

    ``only`` names those that mean something to it.
    """
    sampling = {name: _SAMPLING[name] for name in only}

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def with_options(**values: Any) -> None:
            given = {name: values.pop(name) for name in sampling}
            machine = {name: values.pop(name) for name in _MACHINE}
            how = HowToDraw(
                {name: value for name, value in given.items() if value is not None},
                MachineSettings(**{name: value for name, value in machine.items() if value is not None}),
            )
            command(**values, how=how)

        own = inspect.signature(command)
        parameters = [parameter for parameter in own.parameters.values() if parameter.name != "how"]
        place = [parameter.name for parameter in parameters].index(after) + 1
        parameters[place:place] = [_option(name, kind) for name, kind in (sampling | _MACHINE).items()]
        with_options.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
        with_options.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return with_options

    return decorate


def _option(name: str, kind: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=None, annotation=kind)
