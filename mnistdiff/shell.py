"""Commands that the user may copy: quoting of paths, and the option that names a class."""

import os
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mnistdiff.engine.data.datasets import DatasetSpec

# Characters that are literal to cmd.exe and PowerShell: unquoted, and between double quotes.
_PLAIN, _QUOTED = re.compile(r"[\w@+=:./\\-]+"), re.compile(r"[^`$%!^\"]+")


def quoted(path: str | Path, *, windows: bool = os.name == "nt") -> str:
    """Quote a path as one word of a POSIX shell that no option parser takes for an option.

    A path with unprintable characters is written as ``$'...'`` with escaped bytes, for bash and zsh. On Windows, quote
    it for cmd.exe and PowerShell, or for PowerShell alone if it holds any of ``$`%!``.
    """
    text = os.fspath(path)
    if text.startswith("-"):
        text = f"./{text}"
    if windows and text.isprintable():
        if _PLAIN.fullmatch(text):
            return text
        if _QUOTED.fullmatch(text):
            return f'"{text}"'
    if text.isprintable():
        return shlex.quote(text)
    letters = (
        chr(byte) if 0x20 <= byte < 0x7F and chr(byte) not in "'\\" else f"\\x{byte:02x}" for byte in os.fsencode(text)
    )
    return f"$'{''.join(letters)}'"


def class_option(dataset: "DatasetSpec") -> str:
    """An option of ``sample`` that names a class of a data set; empty if none can be given without an equals sign."""
    if dataset.has_digits:
        return "--digit 7"
    names = [name for name in dataset.class_names if not name.startswith("-")]
    return f"--class {quoted(names[-1])}" if names else ""
