"""Paths in commands that are shown to be copied."""

import os
import shlex
from pathlib import Path


def quoted(path: str | Path) -> str:
    """A path as one word of a POSIX shell, which the shell takes literally and no option parser for an option.

    Where it holds what cannot be printed, it is written as ``$'...'`` with its bytes spelled out, as bash and zsh read
    it.
    """
    text = os.fspath(path)
    if text.startswith("-"):
        text = f"./{text}"
    if text.isprintable():
        return shlex.quote(text)
    letters = (
        chr(byte) if 0x20 <= byte < 0x7F and chr(byte) not in "'\\" else f"\\x{byte:02x}" for byte in os.fsencode(text)
    )
    return f"$'{''.join(letters)}'"
