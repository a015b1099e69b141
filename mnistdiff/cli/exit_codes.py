"""Exit codes: a script must be able to tell what went wrong."""

from enum import IntEnum
from types import MappingProxyType

from mnistdiff import errors


class ExitCode(IntEnum):
    """What the process returns. docs/cli.md explains each."""

    DONE = 0
    BUG = 1
    USAGE = 2
    CHECKPOINT = 3
    DATA = 4
    FILE_SYSTEM = 5
    DIVERGED = 6
    RUN_IN_USE = 7
    OUT_OF_MEMORY = 8
    BELOW_THRESHOLD = 9
    SIGHUP = 129
    SIGINT = 130
    SIGPIPE = 141
    SIGTERM = 143


_BY_ERROR = MappingProxyType(
    {
        errors.SettingsError: ExitCode.USAGE,
        errors.MissingLibraryError: ExitCode.USAGE,
        errors.CheckpointError: ExitCode.CHECKPOINT,
        errors.DataError: ExitCode.DATA,
        errors.StorageError: ExitCode.FILE_SYSTEM,
        errors.DivergedError: ExitCode.DIVERGED,
        errors.RunInUseError: ExitCode.RUN_IN_USE,
        errors.OutOfMemoryError: ExitCode.OUT_OF_MEMORY,
        errors.BelowThresholdError: ExitCode.BELOW_THRESHOLD,
    }
)


def exit_code_of(error: errors.MnistDiffError) -> ExitCode:
    """The code of an error, or of the kind of error it is a case of."""
    return next(code for kind, code in _BY_ERROR.items() if isinstance(error, kind))
