"""Everything that can go wrong for a reason the user can mend: one sentence what, one sentence what to do."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # help and usage errors do without pydantic
    from pydantic import ValidationError

_SHOWN = 60


class MnistDiffError(Exception):
    """A failure with a remedy.

    Args:
        message: what went wrong, with the name and the value received.
        hint: what to do next; may be empty.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class SettingsError(MnistDiffError):
    """A setting is unknown, of the wrong kind or out of range."""


class CheckpointError(MnistDiffError):
    """A checkpoint is missing, corrupt, foreign or of another version."""


class NewerFormatError(CheckpointError):
    """A checkpoint was written by a later version of this program."""


class DataError(MnistDiffError):
    """The data set is missing, corrupt or cannot be fetched."""


class StorageError(MnistDiffError):
    """The file system refuses: full, read-only, no permission, or something is in the way."""


class DivergedError(MnistDiffError):
    """A loss, gradient or weight is no longer finite."""


class RunInUseError(MnistDiffError):
    """Another process trains in the same run folder."""


class OutOfMemoryError(MnistDiffError):
    """The machine cannot hold the batch asked for."""


class MissingLibraryError(MnistDiffError):
    """A library that is needed for this is not installed, or cannot be loaded."""


class BelowThresholdError(MnistDiffError):
    """What was measured is worse than was asked for."""


def explain(error: "ValidationError", origins: Mapping[str, str] = MappingProxyType({})) -> str:
    """The first problem of a validation, in one sentence: where from, which setting, the value received, the rule."""
    first = error.errors(include_url=False, include_context=False)[0]
    rule = first["msg"].removeprefix("Value error, ").removeprefix("Input ")
    if not first["loc"]:
        return rule
    name = ".".join(str(part) for part in first["loc"])
    origin = origins.get(str(first["loc"][0]))
    return f"{f'{origin}: ' if origin else ''}{name} = {_text(first['input'], str)[:_SHOWN]!r} {rule}"


def shown(value: Any) -> str:
    """A value as an error names it: at most its first 60 characters."""
    text = _text(value, repr)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _text(value: Any, convert: Callable[[Any], str]) -> str:
    try:
        return convert(value)
    except ValueError:  # Python writes no number of more than 4,300 digits
        return "a number of too many digits"
    except RecursionError:
        return "a value nested too deeply"
