"""Options of a command that cannot both act: refused together, with both named.

An option counts as given if it was typed. A value from a variable or a default gives way to one that was typed.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import typer

from mnistdiff.cli import pictures
from mnistdiff.cli.options import By
from mnistdiff.errors import SettingsError

_DRAWING = (
    *("guidance", "guidance_interval", "sampler", "steps", "spacing", "eta", "weights", "device", "backend"),
    *("digit", "seed", "sweep"),
)
_PAIRS: Mapping[str, Sequence[tuple[str, str, str]]] = MappingProxyType(
    {
        "sample": (
            ("digit", "digits", "a number has its own digits"),
            ("seeds", "digits", "the digits of a number have the seeds from --seed on"),
        ),
        "interpolate": (("output", "film", "--film is written instead of the animation"),),
        "grid": tuple((name, "over_time", "the previews of a run are shown as they are") for name in ("n", *_DRAWING)),
        "evaluate": (("confusion", "by", "a comparison shows a line for each value"),),
    }
)
"""Of each command: an option, another with which it has no effect, and why."""


def is_typed(context: typer.Context, name: str) -> bool:
    """Whether a parameter was given on the command line."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def without_effect(option: str, beside: str, why: str) -> SettingsError:
    """The error for an option that has no effect beside another."""
    return SettingsError(f"{beside} and {option} cannot be combined: {why}", "Leave out one of them.")


def settle(context: typer.Context) -> None:
    """Refuse options that cannot both act, and let variables give way to options.

    Raises:
        SettingsError: naming both options.
    """
    given = _Given(context)
    for name, other, why in _PAIRS.get(context.command.name or "", ()):
        given.refuse(name, other, why)
    for check in (_selection, _laid_out, _swept, _eta, _guidance, _spacing, _view, _rounds):
        check(given)
    _one_device(context, given)


class _Given:
    """The parameters of a command: which were typed, and their values."""

    def __init__(self, context: typer.Context) -> None:
        self._context = context
        self._flags = {
            parameter.name: max(parameter.opts, key=len) for parameter in context.command.params if parameter.opts
        }
        sweeps = [*(context.params.get("sweep") or ()), context.params.get("by")]
        self.swept: dict[str, By] = {by.name: by for by in sweeps if isinstance(by, By)}

    def __contains__(self, name: str) -> bool:
        """Whether it was typed."""
        return name in self._flags and is_typed(self._context, name)

    def __getitem__(self, name: str) -> Any:
        return self._context.params.get(name)

    def has(self, name: str) -> bool:
        """Whether the command has such an option."""
        return name in self._flags

    def flag(self, name: str) -> str:
        return self._flags[name]

    def values(self, name: str) -> Sequence[Any]:
        """What a setting of the sampler was given, by its option or by comparing values; empty for its default."""
        if name in self.swept:
            return self.swept[name].values
        return (self[name],) if name in self else ()

    def told(self, name: str) -> str:
        """A setting of the sampler as it was typed."""
        if name in self.swept:
            comparing = "--by" if "by" in self else "--sweep"
            return f"{comparing} {name}={','.join(map(str, self.swept[name].values))}"
        return f"{self.flag(name)} {self[name]}"

    def refuse(self, name: str, other: str, why: str) -> None:
        if name in self and other in self:
            raise without_effect(self.flag(name), self.flag(other), why)


def _selection(given: _Given) -> None:
    """Which images ``sample`` draws."""
    if "balance" in given and "digits" in given:
        raise without_effect(f"--balance {given['balance']}", "--digits", "a number has its own digits")
    for name in ("digit", "seeds"):
        if given["balance"] == "mnist" and name in given:
            raise without_effect(
                "--balance mnist", given.flag(name), "it draws -n images of all digits, from --seed on"
            )
    for name in ("seed", "n"):
        if "seeds" in given and name in given:
            raise SettingsError(
                f"--seeds and {given.flag(name)} cannot be combined: --seeds names every image",
                "Leave out --seed and -n.",
            )


def _laid_out(given: _Given) -> None:
    """``grid`` of pictures, which draws nothing."""
    sources: Sequence[Path] = given["sources"] or []
    if given.has("over_time") and pictures.are_given(sources):
        name = next((name for name in (*_DRAWING, "over_time") if name in given), None)
        if name is not None:
            raise without_effect(given.flag(name), str(sources[0]), "pictures are laid out as they are")


def _swept(given: _Given) -> None:
    """A setting that is compared has no value of its own."""
    for name in given.swept:
        if name in given:
            raise without_effect(given.flag(name), given.told(name), "each value is tried in turn")


def _eta(given: _Given) -> None:
    samplers = given.values("sampler")
    if not given.values("eta") or "ddim" in samplers:
        return
    if samplers:
        raise without_effect(given.told("eta"), given.told("sampler"), "it is for the sampler ddim")
    raise SettingsError(
        f"{given.told('eta')} has no effect without --sampler ddim", "Add --sampler ddim, or leave out --eta."
    )


def _guidance(given: _Given) -> None:
    scales, intervals = given.values("guidance"), given.values("guidance_interval")
    if scales and intervals:
        option, other = given.told("guidance_interval"), given.told("guidance")
        if max(scales) <= 1:
            raise without_effect(option, other, "the interval is that of guidance above 1")
        if min(scales) > 1 and all(interval.start == interval.stop for interval in intervals):
            raise without_effect(other, option, "the interval is empty")


def _spacing(given: _Given) -> None:
    if given.values("spacing") and set(given.values("steps")) == {1}:
        raise without_effect(given.told("spacing"), given.told("steps"), "a single step is the whole way")


def _view(given: _Given) -> None:
    if "view" in given and not (given["gif"] or given["film"]):
        raise SettingsError(
            "--view has no effect without --gif or --film", "Add --gif FILE or --film FILE, or leave out --view."
        )


def _rounds(given: _Given) -> None:
    if given["steps"] == 1:
        given.refuse("rounds", "steps", "the last step is taken once, and it is the only one")


def _one_device(context: typer.Context, given: _Given) -> None:
    """ONNX Runtime computes on the CPU: of a backend and a device that disagree, the typed one stays."""
    if given["backend"] != "onnx" or given["device"] not in ("cuda", "mps"):
        return
    if ("backend" in given) == ("device" in given):
        raise without_effect("--backend onnx", f"--device {given['device']}", "ONNX Runtime computes on the CPU here")
    context.params["device" if "backend" in given else "backend"] = None
