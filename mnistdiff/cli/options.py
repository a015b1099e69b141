"""Options: declarations that commands share, and helpers that make one from a type or from a field of the settings."""

from collections.abc import Callable
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

import typer
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from mnistdiff import setting_types
from mnistdiff.cli.variables import variable
from mnistdiff.errors import rule_of
from mnistdiff.machine_settings import MachineSettings
from mnistdiff.registry import table_of
from mnistdiff.setting_types import DeviceName, LogName, Seed

T = TypeVar("T")
Parser = Callable[[str], T]

_LARGEST_SHOWN = 100_000
"""Larger upper bounds only keep absurd values out, and are not shown in help."""


def setting(
    model: type[BaseModel],
    name: str,
    *flags: str,
    panel: str | None = None,
    help_text: str | None = None,
    metavar: str | None = None,
    from_environment: bool = False,
) -> Any:
    """An option for one field of a settings model, checked against the field's range as it is parsed.

    Args:
        model: where the field is.
        name: of the field; the flag follows from it unless given.
        flags: other names, the long one first.
        panel: where help shows it.
        help_text: instead of the field's description, range and default.
        metavar: instead of its choices or its type.
        from_environment: whether ``MNISTDIFF_NAME`` sets it too.
    """
    field = model.model_fields[name]
    return typed(
        *(flags or (flag(name),)),
        kind=field.rebuild_annotation(),
        metavar=metavar,
        envvar=variable(name) if from_environment else None,
        help_text=help_text or describe(field),
        panel=panel,
    )


def typed(
    *flags: str,
    kind: Any,
    help_text: str,
    metavar: str | None = None,
    envvar: str | None = None,
    panel: str | None = None,
) -> Any:
    """An option of a type that Pydantic checks, range and all.

    Args:
        flags: the long one first.
        kind: the type, such as ``Annotated[int, Field(ge=1)]``.
        help_text: what it does.
        metavar: instead of the choices or the kind of number.
        envvar: a variable of the environment that sets it too.
        panel: where help shows it.
    """
    choices = choices_of(kind)
    return typer.Option(
        *flags,
        parser=checked(kind),
        metavar=metavar or "|".join(choices) or _metavar(kind),
        autocompletion=(lambda: choices) if choices else None,
        envvar=envvar,
        show_envvar=False,
        show_default=False,
        help=help_text,
        rich_help_panel=panel,
    )


def file(*flags: str, help: str, metavar: str = "FILE") -> Any:
    """An option that takes a path; the code that opens it checks it."""
    return typer.Option(*flags, metavar=metavar, readable=False, help=help, show_default=False)


def flag(name: str) -> str:
    """The flag of a parameter."""
    return f"--{name.replace('_', '-')}"


def checked(kind: Any) -> Parser[Any]:
    """A parser of option values of a type; its error names the value and the rule."""

    def parse(text: str) -> Any:
        """Validate what was typed."""
        # Built here, since building one for every option would slow each start of the program.
        adapter: TypeAdapter[Any] = TypeAdapter(kind, config=ConfigDict(allow_inf_nan=False))
        try:
            return adapter.validate_python(text)
        except ValidationError as error:
            raise typer.BadParameter(f"{text!r} {rule_of(error.errors()[0])}.") from error

    return parse


def new_seed() -> int:
    """A random seed of at most six digits."""
    import secrets

    return secrets.randbelow(10**6)


def name_of(checkpoint: Path) -> str:
    """The name of a checkpoint in a message."""
    from mnistdiff.engine.checkpoint import pretrained

    return pretrained.name_of(checkpoint) or str(checkpoint)


def describe(field: FieldInfo, default: str = "") -> str:
    """The description of a field with its range and its default, or the one given."""
    bounds = {
        kind: getattr(rule, kind) for rule in field.metadata for kind in ("ge", "gt", "le", "lt") if hasattr(rule, kind)
    }
    if bounds.get("le", 0) > _LARGEST_SHOWN:
        del bounds["le"]
    if "ge" in bounds and "le" in bounds:
        facts = [f"{bounds['ge']} to {bounds['le']}"]
    else:
        signs = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}
        facts = [", ".join(f"{signs[kind]} {value}" for kind, value in bounds.items())] if bounds else []
    if field.default not in (None, ()):
        facts.append(f"default {default or field.default}")
    text = (field.description or "").rstrip(".")
    if facts and text.endswith(")"):  # one pair of parentheses
        return f"{text[:-1]}; {'; '.join(facts)})."
    return f"{text} ({'; '.join(facts)})." if facts else f"{text}."


def choices_of(kind: Any) -> list[str]:
    """The names that a ``Literal`` or a type checked by a registry allows; empty for another type."""
    if get_origin(kind) is Annotated:
        table = table_of(kind.__metadata__)
        return [*table.names] if table is not None else choices_of(get_args(kind)[0])
    return [str(value) for value in get_args(kind)] if get_origin(kind) is Literal else []


def _metavar(kind: Any) -> str:
    if get_origin(kind) is Annotated:
        return _metavar(get_args(kind)[0])
    if get_origin(kind) in (Union, UnionType):  # int | None, Literal["auto"] | int
        kinds = [each for each in get_args(kind) if each is not NoneType]
        return "|".join("|".join(choices_of(each)) or _metavar(each) for each in kinds)
    return {int: "INT", float: "FLOAT"}.get(kind, "PATH")


Source = Annotated[
    Path | None,
    typer.Argument(
        metavar="FILE|RUN",
        readable=False,
        help="A checkpoint, a run folder, or a bundled model; default: the newest run, else bundled.",
        show_default=False,
    ),
]
Checkpoint = Annotated[
    Path | None,
    file(
        "--checkpoint",
        "-c",
        metavar="PATH",
        help="A checkpoint file, a run folder, or a bundled model; default: the newest run, else bundled.",
    ),
]
Digits = Annotated[
    list[str] | None,
    typer.Option(
        "--digit",
        "-d",
        metavar="0-9",
        help="A digit, a range 0-9 or a list 1,3,5; repeatable. Default: all.",
        show_default=False,
    ),
]
Classes = Annotated[
    list[str] | None,
    typer.Option(
        "--class",
        metavar="NAME",
        help="A class of the model's data by its name, a range A-F or a list a,b; repeatable. Default: all.",
        show_default=False,
    ),
]
SampleSeed = Annotated[
    int | None,
    typed("--seed", kind=Seed, help_text="Seed of the first image; image k has seed + k. Default: a random seed."),
]


def count(default: int) -> Any:
    """The option ``-n``, whose help names this default."""
    return typed("--n", "-n", kind=setting_types.Count, help_text=f"Images of each class (>= 1; default {default}).")


Count = Annotated[int | None, count(1)]
Device = Annotated[DeviceName | None, setting(MachineSettings, "device", from_environment=True)]
Log = Annotated[LogName | None, setting(MachineSettings, "log", from_environment=True)]
DataDir = Annotated[Path | None, setting(MachineSettings, "data_dir", from_environment=True)]
Force = Annotated[bool, typer.Option("--force", "-f", help="Replace existing files.")]
Json = Annotated[bool, typer.Option("--json", help="Results as JSON on stdout, errors as JSON on stderr.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no notes: results, warnings and errors only.")]
