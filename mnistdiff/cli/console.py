"""All output: results go to stdout, everything else to stderr."""

import io
import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # imported where it prints: commands with quiet output do without it
    from rich.console import Console


class PipeClosedError(Exception):
    """stdout was closed by its reader (SIGPIPE), as ``head`` does."""


def talk() -> "Console":
    """A Rich console on stderr."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, soft_wrap=True)


def stdout_is_terminal() -> bool:
    """Whether stdout is a terminal; it may also be closed."""
    return sys.stdout is not None and sys.stdout.isatty()


def stderr_is_terminal() -> bool:
    """Whether stderr is a terminal; it may also be closed."""
    return sys.stderr is not None and sys.stderr.isatty()


def can_ask() -> bool:
    """Whether stdin and stderr are terminals, so that the user can be asked."""
    return sys.stdin is not None and sys.stdin.isatty() and stderr_is_terminal()


def replace_what_has_no_code() -> None:
    """Print ``?`` for characters that the encoding of stdout lacks, such as an old code page of Windows."""
    if isinstance(sys.stdout, io.TextIOWrapper) and not sys.stdout.encoding.lower().startswith("utf"):
        sys.stdout.reconfigure(errors="replace")


def printable(text: str) -> str:
    """``text`` on one line, with every unprintable character escaped.

    File names and file contents must not control the terminal (escape sequences), reorder the text (bidirectional
    overrides) or add lines (line feeds).
    """
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def note(*lines: str, quiet: bool = False) -> None:
    """Print lines of information on stderr."""
    if not quiet and sys.stderr is not None:
        print("\n".join(map(printable, lines)), file=sys.stderr, flush=True)  # noqa: T201


def warn(message: str) -> None:
    """Print a warning on stderr, also when quiet."""
    from rich.text import Text

    talk().print(Text.assemble(("warning: ", "yellow"), printable(message)))


def error(message: str, hint: str, *, code: int, as_json: bool, field: str = "") -> None:
    """Print what went wrong and what to do, as text or as one JSON object, on stderr.

    ``field`` is the parameter at fault, for JSON, if the message names one.
    """
    if as_json:
        content = {"code": code, "message": message, "hint": hint, **({"field": field} if field else {})}
        print(json.dumps({"error": content}), file=sys.stderr)  # noqa: T201
        return
    from rich.text import Text

    console = talk()
    console.print(Text.assemble(("error: ", "bold red"), printable(message)))
    if hint:
        console.print(Text(printable(hint)))


def result(line: str) -> None:
    """Print one line of result on stdout, unbuffered.

    A pipe gets it byte for byte, as a script needs a path; a terminal gets it with unprintable characters escaped.

    Raises:
        PipeClosedError: if the reader has closed the pipe.
    """
    shown = printable(line) if stdout_is_terminal() else line
    result_bytes(shown.encode(errors="surrogateescape") + b"\n")


def result_json(content: Mapping[str, Any]) -> None:
    """Print a JSON object on a line of stdout."""
    result(json.dumps(content, allow_nan=False))


def result_bytes(content: bytes) -> None:
    """Write bytes of result to stdout, unbuffered.

    Raises:
        PipeClosedError: if the reader has closed the pipe.
        OSError: if it cannot be written.
    """
    if sys.stdout is None:  # closed by the caller, as with >&-
        raise PipeClosedError
    try:
        sys.stdout.flush()
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
    except BrokenPipeError as problem:
        raise PipeClosedError from problem
    except OSError as problem:  # such as a full disk behind it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # at exit, Python tries to write it once more
        problem.filename = "standard output"
        raise


def result_table(title: str, rows: Sequence[Sequence[str]], *, header: Sequence[str] = ()) -> None:
    """Print names and values on stdout: a table on a terminal, lines ``name<TAB>value`` in a pipe.

    The ``title`` is shown on a terminal only; with a ``header``, the values are columns of numbers.
    """
    if not stdout_is_terminal():
        for cells in (header, *rows) if header else rows:
            result("\t".join(printable(cell) for cell in cells))
        return
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    heading = Text(printable(title)) if title else None
    table = Table(title=heading, show_header=bool(header), title_justify="left")
    if header:
        table.box, table.padding = SIMPLE, (0, 1, 0, 0)
    for number, name in enumerate(header):
        table.add_column(Text(printable(name)), justify="right" if number else "left")
    for name, *values in rows:
        table.add_row(Text(printable(name), style="bold"), *(Text(printable(value)) for value in values))
    Console(highlight=False).print(table)


def size(count: int) -> str:
    """A number of bytes with its unit: ``1.2 MB``."""
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.1f} kB"
