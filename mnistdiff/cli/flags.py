"""Field names in error messages, shown as flags: the engine says `steps`, the command line ``--steps``."""

import re
from collections.abc import Mapping

from typer.core import TyperCommand, TyperOption

_FIELD = re.compile(r"`(\w+)`")


def flags_of(command: TyperCommand) -> dict[str, str]:
    """The longest flag of each option of a command, by the name of its parameter."""
    return {
        parameter.name: max(parameter.opts, key=len)
        for parameter in command.params
        if isinstance(parameter, TyperOption) and parameter.name is not None
    }


def fields_in(text: str) -> list[str]:
    """The fields that a message names in backticks, in their order."""
    return _FIELD.findall(text)


def with_flags(text: str, flags: Mapping[str, str]) -> str:
    """``text`` with each field that has a flag shown as that flag, and other fields as they are."""
    return _FIELD.sub(lambda match: flags.get(match[1], match[0]), text)
