"""Options that several commands have, declared once: a command gets them as one object."""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

Command = Callable[..., None]


class Option(NamedTuple):
    """An option of the command line: what it is to Typer, and its default."""

    annotation: Any
    default: Any = None


def bundled(
    options: Mapping[str, Option], *, after: str, into: str, build: Callable[[dict[str, Any]], Any]
) -> Callable[[Command], Command]:
    """Give a command more options.

    Args:
        options: by the name of their parameter.
        after: the parameter of the command behind which help lists them.
        into: the parameter of the command that gets them.
        build: makes one object of their values.
    """

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def with_options(**values: Any) -> None:
            given = {name: values.pop(name) for name in options}
            command(**values, **{into: build(given)})

        own = inspect.signature(command)
        parameters = [parameter for parameter in own.parameters.values() if parameter.name != into]
        place = [parameter.name for parameter in parameters].index(after) + 1
        parameters[place:place] = [
            inspect.Parameter(
                name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=option.default, annotation=option.annotation
            )
            for name, option in options.items()
        ]
        with_options.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
        with_options.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return with_options

    return decorate
