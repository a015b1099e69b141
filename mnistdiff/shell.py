"""Paths in commands that are shown to be copied."""

import os
import re
import shlex
from pathlib import Path

# What neither cmd.exe nor PowerShell takes for anything else, alone and between double quotes.
_PLAIN, _QUOTED = re.compile(r"[\w@+=:./\\-]+"), re.compile(r"[^`$%!^\"]+")


def quoted(path: str | Path, *, windows: bool = os.name == "nt") -> str:
    """A path as one word of a POSIX shell, which the shell takes literally and no option parser for an option.

    Where it holds what cannot be printed, it is written as ``$'...'`` with its bytes spelled out, as bash and zsh read
    it. On Windows it is one word of cmd.exe and of PowerShell, or of PowerShell alone where it holds ``$`%!``.
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
