"""User-facing errors, each with a message and a hint.

Messages name settings and arguments in backticks; the command line shows them as flags.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:  # help and usage errors need no pydantic
    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

T = TypeVar("T")
_SHOWN = 60


class MnistDiffError(Exception):
    """An error that the user can correct.

    Args:
        message: what went wrong: the thing at fault and the value received.
        hint: what to do next; may be empty.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class SettingsError(MnistDiffError):
    """A setting is unknown, of the wrong kind or out of range."""


class NeedsTeacherError(SettingsError):
    """A distilled model is asked for what only its teacher can do."""


class NoDigitError(SettingsError):
    """A picture shows no digit."""


class CheckpointError(MnistDiffError):
    """A checkpoint is missing, corrupt, foreign or of another version."""


class NewerFormatError(CheckpointError):
    """A checkpoint was written by a later version of this program."""


class DataError(MnistDiffError):
    """The data set is missing, corrupt or cannot be fetched."""


class StorageError(MnistDiffError):
    """The file system refuses: full, read-only, no permission, or a file where a folder should be."""


class DivergedError(MnistDiffError):
    """A loss, gradient or weight is no longer finite."""


class RunInUseError(MnistDiffError):
    """Another process trains in the same run folder."""


class OutOfMemoryError(MnistDiffError):
    """There is not enough memory, even for a single image or step."""


class ProcessError(MnistDiffError):
    """One of the processes that compute together does not come, was killed, or has ended."""


class MissingLibraryError(MnistDiffError):
    """A required library is not installed or cannot be imported."""


class BelowThresholdError(MnistDiffError):
    """A metric is worse than the given threshold."""


@contextmanager
def field_errors(name: str = "") -> Iterator[None]:
    """Turn a validation error of Pydantic, raised inside, into a SettingsError that names every field at fault.

    Args:
        name: of the value, where it is not one of a model with named fields.
    """
    from pydantic import ValidationError

    try:
        yield
    except ValidationError as error:
        faults = [_fault(name, details) for details in error.errors(include_url=False, include_context=False)]
        raise SettingsError("; ".join(faults)) from error


def rule_of(details: "ErrorDetails") -> str:
    """The rule that a value breaks, to follow the value in a sentence: ``should be less than or equal to 1``."""
    return details["msg"].removeprefix("Value error, ").removeprefix("Input ")


def _fault(name: str, details: "ErrorDetails") -> str:
    field = ".".join(str(part) for part in (name, *details["loc"]) if part)
    return f"`{field}` {shown(details['input'])} {rule_of(details)}" if field else rule_of(details)


def validate(name: str, kind: Any, value: T) -> T:
    """Validate an argument.

    Args:
        name: of the argument, for the error.
        kind: its type and range, such as ``Annotated[int, Field(ge=1)]``.
        value: what was given.

    Raises:
        SettingsError: naming the argument, the value and the rule.
    """
    from pydantic import ConfigDict, TypeAdapter

    with field_errors(name):
        adapter: TypeAdapter[T] = TypeAdapter(kind, config=ConfigDict(allow_inf_nan=False))
        return adapter.validate_python(value)


def explain(error: "ValidationError", origins: Mapping[str, str] = MappingProxyType({})) -> str:
    """The first problem of a validation, in one sentence: where from, which setting, the value received, the rule."""
    first = error.errors(include_url=False, include_context=False)[0]
    if not first["loc"]:
        return rule_of(first)
    name = ".".join(str(part) for part in first["loc"])
    origin = origins.get(str(first["loc"][0]))
    return f"{f'{origin}: ' if origin else ''}{name} = {_text(first['input'], str)[:_SHOWN]!r} {rule_of(first)}"


def shown(value: Any) -> str:
    """A value as an error names it: at most its first 60 characters."""
    text = _text(os.fspath(value) if isinstance(value, os.PathLike) else value, repr)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _text(value: Any, convert: Callable[[Any], str]) -> str:
    try:
        return convert(value)
    except ValueError:  # Python writes no number of more than 4,300 digits
        return "a number of too many digits"
    except RecursionError:
        return "a value nested too deeply"
