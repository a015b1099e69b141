"""Exit codes, one for each kind of failure."""

from collections.abc import Mapping
from enum import IntEnum

from mnistdiff import errors


class ExitCode(IntEnum):
    """The exit code of the process; .github/docs/cli.md lists their causes."""

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
    PROCESS = 10
    SIGHUP = 129
    SIGINT = 130
    SIGPIPE = 141
    SIGTERM = 143


_BY_ERROR: Mapping[type[errors.MnistDiffError], ExitCode] = {
    errors.SettingsError: ExitCode.USAGE,
    errors.MissingLibraryError: ExitCode.USAGE,
    errors.CheckpointError: ExitCode.CHECKPOINT,
    errors.DataError: ExitCode.DATA,
    errors.StorageError: ExitCode.FILE_SYSTEM,
    errors.DivergedError: ExitCode.DIVERGED,
    errors.RunInUseError: ExitCode.RUN_IN_USE,
    errors.OutOfMemoryError: ExitCode.OUT_OF_MEMORY,
    errors.ProcessError: ExitCode.PROCESS,
    errors.BelowThresholdError: ExitCode.BELOW_THRESHOLD,
}


def exit_code_of(error: errors.MnistDiffError) -> ExitCode:
    """The exit code of an error: that of its class, or of the base class that has one."""
    return next(code for kind, code in _BY_ERROR.items() if isinstance(error, kind))
