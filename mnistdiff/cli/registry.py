"""The commands, and their flags in error messages: the engine says `steps`, the command line ``--steps``.

A command is imported when it is called; the program's help uses the summaries alone.
"""

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import is_dataclass
from importlib import import_module
from typing import Any, NamedTuple

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

_FIELD = re.compile(r"`(\w+)`")
_TRAIN, _DRAW, _LOOK, _TOOLS = "Train", "Sample", "Evaluate and inspect", "Tools"


class Entry(NamedTuple):
    """The summary of a command, which is the first sentence of its own help."""

    summary: str
    panel: str = _TOOLS
    hidden: bool = False


_INSPECT = Entry("Show a checkpoint: settings, progress, versions, and whether its SHA-256 is valid.", _LOOK)
_GRID = "Make one labelled sheet, a row for each digit: sampled from a model, or of existing images."
_INPAINT = "Sample the missing part of an image as part of a digit, leaving the known part unchanged (RePaint)."
COMMANDS: Mapping[str, Entry] = {
    "train": Entry("Train a model.", _TRAIN),
    "resume": Entry("Resume training.", _TRAIN),
    "distill": Entry("Distil a model into one of few steps.", _TRAIN),
    "sample": Entry("Sample digits from a trained model, and print the path of each image.", _DRAW),
    "grid": Entry(_GRID, _DRAW),
    "interpolate": Entry("Interpolate between two digits, or between two samples of one digit.", _DRAW),
    "edit": Entry("Re-draw a scanned digit as another digit in the same style (SDEdit).", _DRAW),
    "inpaint": Entry(_INPAINT, _DRAW),
    "studio": Entry("Open a page in the browser that samples, reads and explains, on this machine alone.", _DRAW),
    "classify": Entry("Classify images with the diffusion model.", _LOOK),
    "reproduce": Entry("Sample an image again from its embedded provenance metadata, and compare.", _DRAW),
    "evaluate": Entry("Sample many images and measure their quality under two bundled classifiers.", _LOOK),
    "report": Entry("Write an HTML report of a run: loss curves, previews, evaluation, settings.", _LOOK),
    "inspect-checkpoint": _INSPECT,
    "inspect": _INSPECT._replace(hidden=True),
    "datasets": Entry("List the data sets that a model can be trained on, or download one."),
    "export": Entry("Export a trained network to ONNX, or to a page that samples in a browser."),
    "doctor": Entry("Check the installation: libraries, devices, data, and whether each backend samples."),
    "train-classifier": Entry("Train the reference classifiers of evaluate, on the CPU."),
}


class _Command(TyperCommand):
    """A command of this program."""

    run: Callable[[Any], None] | None = None
    """The function of a command whose options are the fields of a dataclass, which Typer makes: it gets the object."""

    def get_params(self, ctx: Any) -> Any:
        """The parameters, for parsing and for help."""
        return _without_types(ctx, super().get_params(ctx))

    def invoke(self, ctx: Any) -> Any:
        """Run it."""
        result = super().invoke(ctx)
        return result if self.run is None else self.run(result)


class Commands(TyperGroup):
    """The commands: a placeholder with the summary of each, until it is called."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for name, entry in COMMANDS.items():
            self.add_command(TyperCommand(name, help=entry.summary, hidden=entry.hidden, rich_help_panel=entry.panel))

    def get_params(self, ctx: Any) -> Any:
        """The parameters, for parsing and for help."""
        return _without_types(ctx, super().get_params(ctx))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the command line; ``help COMMAND`` is ``COMMAND --help``."""
        return super().parse_args(ctx, [*args[1:], "--help"] if args[:1] == ["help"] else args)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The name of the command that is called, the command with its options, and its arguments."""
        if args[0] in COMMANDS:
            self.add_command(load(args[0]), args[0])
        return super().resolve_command(ctx, args)


def _without_types(context: Any, parameters: Sequence[Any]) -> Sequence[Any]:
    """Keep the types of Python, such as ``<bool>`` and ``<list[Path]>``, out of help."""
    for parameter in parameters:
        if isinstance(parameter, TyperArgument) or parameter.is_flag:
            vars(parameter)["display_type_rich"] = lambda ctx: None  # Typer has no setting for it
        elif parameter.metavar is None:
            choices = parameter.type_descriptor.choices
            parameter.metavar = "|".join(choices) if choices else parameter.display_type(context).strip("<>").upper()
    return parameters


def load(name: str) -> TyperCommand:
    """Import a command."""
    file = "inspect_checkpoint" if name == "inspect" else name.replace("-", "_")
    module = import_module(f"mnistdiff.cli.commands.{file}")
    function = getattr(module, f"{file}_command")
    # Under python -OO there are no docstrings. Typer keeps their line breaks, which fit the source, not the terminal.
    text = re.sub(r"(?<!\n)\n(?!\n)", " ", inspect.cleandoc(function.__doc__ or COMMANDS[name].summary))
    [first, *_] = inspect.signature(function).parameters.values()
    options: Any = first.annotation if is_dataclass(first.annotation) else None
    examples = "\n\n".join(["Examples:", *module.EXAMPLES.strip().splitlines()])
    single = typer.Typer(add_completion=False, rich_markup_mode="rich")
    single.command(name, cls=_Command, help=text, epilog=examples)(options or function)
    command = typer.main.get_command(single)
    assert isinstance(command, _Command)
    command.run = function if options else None
    return command


def flags_of(name: str) -> dict[str, str]:
    """The longest flag of each option of a command, by the name of its parameter."""
    return {
        parameter.name: max(parameter.opts, key=len)
        for parameter in load(name).params
        if isinstance(parameter, TyperOption) and parameter.name is not None
    }


def fields_in(text: str) -> list[str]:
    """The fields that a message names in backticks, in their order."""
    return _FIELD.findall(text)


def with_flags(text: str, flags: Mapping[str, str]) -> str:
    """``text`` with each field that has a flag shown as that flag, and other fields as they are."""
    return _FIELD.sub(lambda match: flags.get(match[1], match[0]), text)
