"""What the commands that draw share: the options of how to draw, and the model that it is drawn from."""

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from mnistdiff.cli import console, options
from mnistdiff.cli.bundles import Command, Option, bundled
from mnistdiff.settings import MachineSettings, SampleSettings

if TYPE_CHECKING:
    from mnistdiff.engine.inference.sampling import Model

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
        from mnistdiff.engine.runs.choice import checkpoint_to_sample

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
        from mnistdiff.engine.inference.sampling import load_model

        # The averaged weights and those of the last step are two models.
        load = functools.cache(
            lambda weights: load_model(
                path, weights=weights, device=device or self.machine.device, backend=self.machine.backend
            )
        )
        ways = [{**self.given, **variant} for variant in variants]
        models = [load(SampleSettings(**way).weights) for way in ways]
        return [(model, SampleSettings.for_model(model.settings, way)) for model, way in zip(models, ways, strict=True)]


def draws(*, after: str, only: Sequence[str] = tuple(_SAMPLING)) -> Callable[[Command], Command]:
    """Give a command the options of how to draw, behind its parameter ``after``; it gets them as one, ``how``.

    ``only`` names those that mean something to it.
    """
    sampling = {name: _SAMPLING[name] for name in only}

    def how(values: dict[str, Any]) -> HowToDraw:
        given = {name: value for name, value in values.items() if value is not None}
        machine = {name: given.pop(name) for name in _MACHINE if name in given}
        return HowToDraw(given, MachineSettings(**machine))

    options = {name: Option(annotation) for name, annotation in (sampling | _MACHINE).items()}
    return bundled(options, after=after, into="how", build=how)
