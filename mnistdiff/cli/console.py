"""The only place that prints. Results go to stdout, talk to stderr."""

import io
import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # who prints, imports it: a pipe that wants pictures need not wait for it
    from rich.console import Console


class PipeClosedError(Exception):
    """Whoever read our stdout has gone, as ``head`` does when it has seen enough."""


def talk() -> "Console":
    """The console for people, on stderr."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, soft_wrap=True)


def stdout_is_terminal() -> bool:
    """Whether results go to a person; stdout may also be closed."""
    return sys.stdout is not None and sys.stdout.isatty()


def stderr_is_terminal() -> bool:
    """Whether talk goes to a person; stderr may also be closed."""
    return sys.stderr is not None and sys.stderr.isatty()


def can_ask() -> bool:
    """Whether there is a person to ask and to answer; either stream may also be closed."""
    return sys.stdin is not None and sys.stdin.isatty() and stderr_is_terminal()


def replace_what_has_no_code() -> None:
    """Let a help text for a pipe in an old code page, as Windows has them, show ``?`` for letters that it lacks."""
    if isinstance(sys.stdout, io.TextIOWrapper) and not sys.stdout.encoding.lower().startswith("utf"):
        sys.stdout.reconfigure(errors="replace")


def printable(text: str) -> str:
    """``text`` on one line, with all that cannot be printed spelled out.

    So no file name and no file content can steer the terminal (escape sequences), turn the text around (bidirectional
    overrides) or add a line of its own (line feeds).
    """
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def note(*lines: str, quiet: bool = False) -> None:
    """Tell the user something."""
    if not quiet and sys.stderr is not None:
        print("\n".join(map(printable, lines)), file=sys.stderr, flush=True)  # noqa: T201


def warn(message: str) -> None:
    """Tell the user something that needs attention, even when quiet."""
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
    """One line of result on stdout, at once, so that a pipe sees it while work goes on.

    A pipe gets it byte for byte, as a script needs a path; a terminal gets what can be printed of it.

    Raises:
        PipeClosedError: if nobody reads any more.
    """
    shown = printable(line) if stdout_is_terminal() else line
    result_bytes(shown.encode(errors="surrogateescape") + b"\n")


def result_json(content: Mapping[str, Any]) -> None:
    """One JSON object on a line of stdout."""
    result(json.dumps(content, allow_nan=False))


def result_bytes(content: bytes) -> None:
    """Bytes of result on stdout, at once.

    Raises:
        PipeClosedError: if nobody reads any more.
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
    """Names and values on stdout: a table on a terminal, lines with tabs, ``name<TAB>value``, in a pipe.

    The ``title`` is for the terminal alone; with a ``header``, the values are numbers in columns.
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
    """A number of bytes for people."""
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.1f} kB"
