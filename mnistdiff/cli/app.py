"""The Typer app: registration, the error boundary, ``main``."""

import gc
import os
import sys
import traceback
from typing import Annotated, NamedTuple

import typer

from mnistdiff import __version__
from mnistdiff.cli import console
from mnistdiff.cli.exit_codes import ExitCode, exit_code_of
from mnistdiff.cli.registry import COMMANDS, Commands, fields_in, flags_of, with_flags
from mnistdiff.cli.signals import Unwinding, leave_at_once_on_signals, unwind_on_signals
from mnistdiff.cli.streams import keep_standard_streams
from mnistdiff.engine.libraries import explain_import
from mnistdiff.engine.threads import prepare_threads
from mnistdiff.errors import MnistDiffError

_STDOUT = 1
_ISSUES = "This is a bug in mnistdiff; please report it with the lines above."

app = typer.Typer(
    name="mnistdiff",
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)


def _print_version(value: bool) -> None:
    if value:
        console.result(f"mnistdiff {__version__}")
        raise typer.Exit


@app.callback(
    invoke_without_command=True,
    epilog="Examples:\n\nmnistdiff sample --digit 7 --n 16\n\nmnistdiff train --preset fast --max-minutes 15\n\n"
    "Exit codes: 0 done, 2 usage, 3 checkpoint, 4 data, 5 file system, 6 diverged, 7 run in use, "
    "8 out of memory, 9 below a threshold, 10 a process was lost, 130 Ctrl-C, 143 SIGTERM, 1 a bug.",
)
def root(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Train a class-conditional diffusion model (DDPM) on MNIST and sample digits from it.

    Without a command, mnistdiff starts an interactive session in the terminal.
    """
    del version
    if context.invoked_subcommand is not None:
        return
    if console.can_ask():
        from mnistdiff.cli import interactive

        interactive.run()
        return
    console.note(
        "usage: mnistdiff COMMAND",
        f"commands: {', '.join(name for name, entry in COMMANDS.items() if not entry.hidden)}",
        "more: mnistdiff --help",
    )
    raise typer.Exit(ExitCode.USAGE)


def main() -> None:
    """Run the program: the entry point of ``mnistdiff``."""
    unwinding = unwind_on_signals()
    keep_standard_streams()
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # to look for some reads every installed package
    prepare_threads()
    console.replace_what_has_no_code()
    arguments = sys.argv[1:]
    if os.name == "nt":
        from mnistdiff.cli.windows import with_patterns_expanded

        arguments = with_patterns_expanded(arguments)
    try:
        sys.exit(run(arguments, unwinding))
    finally:
        leave_at_once_on_signals()
        gc.freeze()  # the process ends: searching all that is left for garbage takes 50 ms


def run(arguments: list[str], unwinding: Unwinding | None = None) -> int:
    """Run a command line; report every failure as a message with an exit code.

    Args:
        arguments: the words after the program's name.
        unwinding: of the signal handlers; a failure after a signal is not reported.

    Returns:
        the exit code.
    """
    as_json = "--json" in arguments
    try:
        code = app(arguments, prog_name="mnistdiff", standalone_mode=False)
    except SystemExit as leaving:
        if leaving.code != 1:
            raise  # a signal
        return _closed_stdout()  # Typer exits with 1 if stdout is closed while it prints help
    except Exception as error:
        if unwinding is not None and unwinding.exit_code:
            return unwinding.exit_code
        if isinstance(error, console.PipeClosedError):
            return _closed_stdout()
        if isinstance(error, typer.Abort):
            return ExitCode.SIGINT
        failure = _failure(error, arguments)
        if failure.code == ExitCode.BUG:
            traceback.print_exc()
        console.error(failure.message, failure.hint, code=failure.code, as_json=as_json, field=failure.field)
        return failure.code
    return code if isinstance(code, int) else ExitCode.DONE


class _Failure(NamedTuple):
    """What is reported of a failed command; ``field`` is the parameter at fault, if one is known."""

    message: str
    hint: str
    code: ExitCode
    field: str = ""


def _failure(error: Exception, arguments: list[str]) -> _Failure:
    """What to report of an exception."""
    if isinstance(error, ImportError):
        error = explain_import(error) or error
    match error:
        case MnistDiffError():
            return _of_the_engine(error, _called(arguments))
        case typer.TyperException():
            hint = _usage_hint(arguments) if error.exit_code == ExitCode.USAGE else ""
            return _Failure(_usage_message(error), hint, ExitCode(error.exit_code))
        case OSError():
            where = f"{error.filename}: " if error.filename else ""
            message = f"{where}{error.strerror or error}"
            return _Failure(message, "Check free space and permissions.", ExitCode.FILE_SYSTEM)
        case MemoryError():
            return _Failure("out of memory", "Close other programs, or use fewer images.", ExitCode.OUT_OF_MEMORY)
        case _:
            return _Failure("unexpected failure", _ISSUES, ExitCode.BUG)


def _of_the_engine(error: MnistDiffError, command: str) -> _Failure:
    """An error of the engine, with flags instead of fields: those of the command, or in a hint to train, of train."""
    from mnistdiff.settings import TrainSettings

    flags = flags_of(command) if command else {}
    field = next((name for name in fields_in(error.message) if name in flags), "")
    of_train = {name: f"--{name.replace('_', '-')}" for name in TrainSettings.model_fields}
    hint = with_flags(error.hint, of_train | flags)
    return _Failure(with_flags(error.message, flags), hint, exit_code_of(error), field)


def _usage_message(error: typer.TyperException) -> str:
    """The message of Typer, with the variable instead of the option if the value came from one."""
    context, option = getattr(error, "ctx", None), getattr(error, "param", None)
    if context is not None and option is not None:
        source = context.get_parameter_source(option.name)
        if source is not None and source.name == "ENVIRONMENT":
            return f"Invalid value for {option.envvar}: {error.message}"
    return error.format_message()


def _closed_stdout() -> int:
    """The exit code for a closed stdout, which the interpreter must not flush at exit."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), _STDOUT)
    return ExitCode.SIGPIPE


def _usage_hint(arguments: list[str]) -> str:
    """The command that shows help, and how to write a file name that was taken for an option."""
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    file = next((word for word in options if word.startswith("-") and _is_file_name(word)), None)
    written = f"If {file} is a file, write it last, after two dashes: -- {file}  " if file else ""
    return f"{written}Help: {' '.join(['mnistdiff', *filter(None, [_called(arguments)]), '--help'])}"


def _is_file_name(word: str) -> bool:
    return os.path.lexists(word) or (os.path.splitext(word)[1][1:2].isalpha() and "=" not in word)


def _called(arguments: list[str]) -> str:
    """The command that is called; empty if none is."""
    return next((word for word in arguments if word in COMMANDS), "")
