"""What the commands that draw share: the options of how to draw, and the model that it is drawn from."""

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any

from mnistdiff.cli import console, options
from mnistdiff.cli.bundles import Command, Option, bundled
from mnistdiff.errors import SettingsError
from mnistdiff.settings import MachineSettings, SampleSettings

if TYPE_CHECKING:
    from mnistdiff.engine.checkpoint.model_info import ModelInfo
    from mnistdiff.engine.inference.model import Model

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
# Where ONNX Runtime draws, which needs no torch to look for a GPU; evaluate loads torch anyway, and takes one.
_MACHINE = MappingProxyType({"device": options.DrawingDevice, "backend": options.Backend})
_MACHINE_WITH_TORCH = MappingProxyType({"device": options.Device, "backend": options.BackendWithTorch})


@dataclass(frozen=True)
class SamplingOptions:
    """What the user said of how to draw.

    Attributes:
        given: the fields of SampleSettings that were set.
        machine: where to draw.
    """

    given: dict[str, Any]
    machine: MachineSettings

    def load(self, checkpoint: Path | None, *, note: str = "", quiet: bool = False) -> "tuple[Model, SampleSettings]":
        """The model to draw from and the settings to draw with, after saying so.

        Args:
            checkpoint: a file or a run; None is the newest run, else the bundled model.
            note: what else to say.
            quiet: say nothing but what is wrong with that model.

        Raises:
            CheckpointError: if there is no such model.
            SettingsError: if it cannot be drawn from in this way.
        """
        from mnistdiff.engine.runs.lookup import checkpoint_to_sample

        path = checkpoint_to_sample(checkpoint)
        console.note(f"drawing from {options.name_of(path)}{note}", quiet=quiet)
        return self.load_each(path, [{}])[0]

    def load_each(
        self, path: Path, variants: Iterable[Mapping[str, Any]], *, device: str = ""
    ) -> "list[tuple[Model, SampleSettings]]":
        """The model and the settings for each of several ways to draw: what changes in it, by name.

        A model that is not fully trained is warned of.

        Args:
            path: of the checkpoint.
            variants: the fields of SampleSettings that differ from what was given.
            device: instead of that which was given.
        """
        from mnistdiff.engine.inference.model import load_model

        # The averaged weights and those of the last step are two models.
        load = functools.cache(
            lambda weights: load_model(
                path, weights=weights, device=device or self.machine.device, backend=self.machine.backend
            )
        )
        ways = [{**self.given, **variant} for variant in variants]
        models = [load(SampleSettings(**way).weights) for way in ways]
        for model in models[:1]:  # all are of one checkpoint
            warn_of(model.info)
        self._refuse_ineffective_spacing(models[0])
        return [(model, model.sample_settings(**way)) for model, way in zip(models, ways, strict=True)]

    def _refuse_ineffective_spacing(self, model: "Model") -> None:
        timesteps = model.settings.timesteps
        if "spacing" in self.given and self.given.get("steps") == timesteps:
            raise SettingsError(
                f"--spacing has no effect beside --steps {timesteps}: the model has {timesteps} timesteps, and all are "
                "taken",
                "Leave out one of them.",
            )


def warn_of(subject: "ModelInfo") -> None:
    """Say what the user must know of a model, also when quiet."""
    for notice in subject.notices:
        console.warn(notice)


def about(subject: "ModelInfo | None", *notices: str) -> dict[str, Any]:
    """What every result says of its model, for JSON: which it is, and what the user must know; ``notices`` are more."""
    if subject is None:
        return {"model": None, "notices": list(notices)}
    return {"model": subject.to_dict(), "notices": [*subject.notices, *notices]}


def draws(
    *,
    after: str,
    only: Sequence[str] = tuple(_SAMPLING),
    guidance: float | None = None,
    steps_help: str = "",
    with_torch: bool = False,
) -> Callable[[Command], Command]:
    """Give a command the options of how to draw; it gets them as one, ``how``.

    Args:
        after: its parameter behind which they stand.
        only: the options that mean something to it.
        guidance: its default where it is not that of ``sample``, for its help to name and for every model.
        steps_help: of ``--steps`` where that is not the number of network evaluations.
        with_torch: whether the command loads torch in any case, and so takes a GPU by default.
    """
    sampling: dict[str, Any] = {name: _SAMPLING[name] for name in only}
    defaults: dict[str, Any] = {}
    if guidance is not None:
        defaults["guidance"] = guidance
        sampling["guidance"] = Annotated[Any, options.guidance(default=guidance)]
    if steps_help:
        sampling["steps"] = Annotated[Any, options.steps(steps_help)]

    def how(values: dict[str, Any]) -> SamplingOptions:
        given = defaults | {name: value for name, value in values.items() if value is not None}
        machine = {name: given.pop(name) for name in _MACHINE if name in given}
        return SamplingOptions(given, MachineSettings(**machine))

    where = _MACHINE_WITH_TORCH if with_torch else _MACHINE
    offered = {name: Option(annotation) for name, annotation in (sampling | where).items()}
    return bundled(offered, after=after, into="how", build=how)
