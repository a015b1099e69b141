"""Option types that commands share. Names, help and ranges of settings come from ``settings.py``."""

import os
import re
import types
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

import typer
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from mnistdiff.registry import Registry
from mnistdiff.settings import (
    NUM_DIGITS,
    SHORT_TRAINING_GUIDANCE,
    SHORT_TRAINING_IMAGES,
    MachineSettings,
    SampleSettings,
    Seed,
    TrainSettings,
)

_OTHER_VARIABLES = ("MNISTDIFF_OFFLINE",)
"""Variables that are no settings."""
_TELLING_BOUND = 100_000
"""An upper bound above this only keeps files from asking for the impossible: help leaves it out."""


def setting(
    model: type[BaseModel],
    name: str,
    *flags: str,
    panel: str | None = None,
    help_text: str | None = None,
    metavar: str | None = None,
    from_environment: bool = True,
) -> Any:
    """An option for one field of a settings model, checked against the field's range as it is parsed.

    Args:
        model: where the field is.
        name: of the field; the flag follows from it unless given.
        flags: other names, the long one first.
        panel: where help shows it.
        help_text: instead of the field's description and default.
        metavar: instead of its choices or its type.
        from_environment: whether ``MNISTDIFF_NAME`` sets it too.
    """
    field = model.model_fields[name]
    flag = f"--{name.replace('_', '-')}"
    choices = _choices(field)
    return typer.Option(
        *(flags or (flag,)),
        parser=checked(field.rebuild_annotation()),
        metavar=metavar or "|".join(choices) or _metavar(field.annotation),
        autocompletion=(lambda: [*choices]) if choices else None,
        envvar=variable(name) if from_environment else None,
        show_envvar=False,
        show_default=False,
        help=help_text or _help(field),
        rich_help_panel=panel,
    )


def variable(name: str) -> str:
    """The variable of the environment that sets a setting."""
    return f"MNISTDIFF_{name.upper()}"


def unread_variables() -> Iterator[tuple[str, str]]:
    """Variables of the environment that look as if they set something and do not, each with what may be meant."""
    import difflib

    read = [variable(name) for model in (TrainSettings, MachineSettings) for name in model.model_fields]
    for name in sorted(os.environ):
        if not name.startswith(variable("")) or name in read or name in _OTHER_VARIABLES:
            continue
        close = difflib.get_close_matches(name, read, n=1, cutoff=0.9)
        yield name, f" (did you mean {close[0]}?)" if close else ""


def checked(annotation: Any) -> Callable[[str], Any]:
    """A parser of option values that names the value it refuses, and the rule."""

    def parse(text: str) -> Any:
        # Built here, since building one for every option would slow each start of the program.
        adapter: TypeAdapter[Any] = TypeAdapter(annotation, config=ConfigDict(allow_inf_nan=False))
        try:
            return adapter.validate_python(text)
        except ValidationError as error:
            rule = error.errors()[0]["msg"].removeprefix("Value error, ").removeprefix("Input ")
            raise typer.BadParameter(f"{text!r} {rule}.") from error

    return parse


def given(model: type[BaseModel], values: dict[str, Any]) -> dict[str, Any]:
    """Of a command's parameters, the settings of ``model`` that the user set."""
    return {name: values[name] for name in model.model_fields if values.get(name) is not None}


def new_seed() -> int:
    """A seed nobody asked for, short enough to type again."""
    import secrets

    return secrets.randbelow(10**6)


def name_of(checkpoint: Path) -> str:
    """What to call a checkpoint in a note."""
    from mnistdiff.engine.checkpoint.pretrained import is_pretrained

    return "the bundled model (mnistdiff train makes your own)" if is_pretrained(checkpoint) else str(checkpoint)


def guidance(default: float | None = None) -> Any:
    """The option ``--guidance``, whose help names ``default`` instead of what ``SampleSettings.for_model`` takes."""
    field = SampleSettings.model_fields["guidance"]
    short = f"{SHORT_TRAINING_GUIDANCE} for a model trained on fewer than {SHORT_TRAINING_IMAGES:,} images"
    told = f"{field.default}, or {short}" if default is None else f"{default:g}"
    return setting(SampleSettings, "guidance", "--guidance", "-g", help_text=_help(field, told), from_environment=False)


def steps(description: str) -> Any:
    """The option ``--steps`` for a command where it counts something else than network evaluations."""
    field = SampleSettings.model_fields["steps"]
    text = f"{description} (at least 1, default {field.default})."
    return setting(SampleSettings, "steps", help_text=text, from_environment=False)


def _help(field: FieldInfo, default: str = "") -> str:
    """The field's description, its range as far as it says something, and its default or the one given."""
    bounds = {
        kind: getattr(rule, kind) for rule in field.metadata for kind in ("ge", "gt", "le", "lt") if hasattr(rule, kind)
    }
    low = "more than" if "gt" in bounds else "at least"
    facts = [f"{low} {value}" for kind, value in bounds.items() if kind in ("ge", "gt")]
    facts += [f"at most {value}" for kind, value in bounds.items() if kind == "le" and value <= _TELLING_BOUND]
    facts += [f"less than {value}" for kind, value in bounds.items() if kind == "lt"]
    if field.default is not None:
        facts.append(f"default {default or field.default}")
    return f"{(field.description or '').rstrip('.')} ({', '.join(facts)})." if facts else field.description or ""


def _choices(field: FieldInfo) -> Sequence[str]:
    """The names that a field accepts; empty if it is no choice."""
    for rule in field.metadata:
        if isinstance(table := getattr(getattr(rule, "func", None), "__self__", None), Registry):
            return table.names
    return [str(value) for value in get_args(field.annotation)] if get_origin(field.annotation) is Literal else []


def _metavar(annotation: Any) -> str:
    kinds = get_args(annotation) if get_origin(annotation) in (Union, types.UnionType) else (annotation,)
    return {int: "INT", float: "FLOAT"}.get(kinds[0], "PATH")


def parse_digits(texts: list[str] | None) -> tuple[int, ...]:
    """``7``, ``0-9`` or ``1,3,5-7``, of all ``--digit`` options: each digit once, in the order given; all when none is.

    Raises:
        typer.BadParameter: for anything else.
    """
    digits: list[int] = []
    for part in ",".join(texts or ["0-9"]).split(","):
        match = re.fullmatch(r"\s*([0-9])(?:-([0-9]))?\s*", part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if first > last:
            raise typer.BadParameter(f"{part!r} is not a digit 0 to {NUM_DIGITS - 1}, a range 0-9 or a list 1,3,5.")
        digits.extend(range(first, last + 1))
    return tuple(dict.fromkeys(digits))


class By(NamedTuple):
    """One setting of the sampler, and the values to compare."""

    name: str
    values: tuple[Any, ...]


def parse_by(text: str | None) -> By | None:
    """``NAME=VALUE,VALUE,...`` with a name and values that ``sample`` would take.

    Raises:
        typer.BadParameter: for anything else.
    """
    if text is None:
        return None
    name, equals, values = text.partition("=")
    field = SampleSettings.model_fields.get(name.strip())
    if not equals or field is None:
        names = ", ".join(SampleSettings.model_fields)
        raise typer.BadParameter(f"{text!r} is not NAME=VALUE,VALUE,... with one of the names {names}.")
    parse = checked(field.rebuild_annotation())
    return By(name.strip(), tuple(dict.fromkeys(parse(value.strip()) for value in values.split(","))))


def parse_sweeps(texts: list[str] | None) -> tuple[By, ...]:
    """At most two of ``NAME=VALUE,VALUE,...``, of different settings."""
    sweeps = tuple(by for by in map(parse_by, texts or []) if by is not None)
    if len(sweeps) > 2 or len({sweep.name for sweep in sweeps}) < len(sweeps):
        raise typer.BadParameter("a sheet has rows and columns: sweep one setting or two different ones.")
    return sweeps


Source = Annotated[
    Path | None,
    typer.Argument(
        metavar="FILE|RUN",
        readable=False,
        help="A checkpoint, a run, or bundled; default: the newest run, else the bundled model.",
        show_default=False,
    ),
]
Checkpoint = Annotated[
    Path | None,
    typer.Option(
        "--checkpoint",
        "-c",
        readable=False,  # whoever opens it says so, with the exit code of the file system
        help="A checkpoint file, a run folder, or bundled; default: the newest run, else the bundled model.",
        show_default=False,
    ),
]
Digits = Annotated[
    list[str] | None,
    typer.Option(
        "--digit",
        "-d",
        callback=parse_digits,
        metavar="0-9",
        help="A digit, a range 0-9 or a list 1,3,5; repeatable. Default: all ten.",
        show_default=False,
    ),
]
SampleSeed = Annotated[
    Any,
    typer.Option(
        "--seed",
        parser=checked(Seed),
        metavar="INT",
        help="Seed of the first image; the next has the next seed. Default: a new one each time.",
        show_default=False,
    ),
]
FixedSeed = Annotated[
    Any, typer.Option("--seed", parser=checked(Seed), metavar="INT", help="Seed of the first image of each row.")
]
Count = Annotated[
    Any,
    typer.Option(
        "-n",
        "--n",
        parser=checked(Annotated[int, Field(ge=1, le=1_000_000)]),
        metavar="INT",
        help="Images of each digit (at least 1).",
    ),
]
Device = Annotated[Any, setting(MachineSettings, "device")]
DrawingDevice = Annotated[
    Any,
    setting(
        MachineSettings,
        "device",
        help_text="Where to compute; auto is the CPU with ONNX Runtime, and a GPU, if there is one, with PyTorch.",
    ),
]
Backend = Annotated[Any, setting(MachineSettings, "backend")]
BackendWithTorch = Annotated[
    Any,
    setting(
        MachineSettings,
        "backend",
        help_text="What draws: ONNX Runtime, on the CPU, or PyTorch; auto takes PyTorch on a GPU, else as sample.",
    ),
]
Log = Annotated[Any, setting(MachineSettings, "log")]
DataDir = Annotated[Any, setting(MachineSettings, "data_dir")]
Sampler = Annotated[Any, setting(SampleSettings, "sampler", from_environment=False)]
Steps = Annotated[Any, setting(SampleSettings, "steps", from_environment=False)]
Spacing = Annotated[Any, setting(SampleSettings, "spacing", from_environment=False)]
Eta = Annotated[Any, setting(SampleSettings, "eta", from_environment=False)]
Guidance = Annotated[Any, guidance()]
GuidanceInterval = Annotated[
    Any, setting(SampleSettings, "guidance_interval", metavar="FROM:TO", from_environment=False)
]
Weights = Annotated[Any, setting(SampleSettings, "weights", from_environment=False)]
Force = Annotated[bool, typer.Option("--force", "-f", help="Replace what is there.")]
Json = Annotated[bool, typer.Option("--json", help="Results as JSON on stdout, errors as JSON on stderr.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no notes: results, warnings and errors only.")]
