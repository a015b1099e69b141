"""Standard streams: a closed or full stderr must not stop the work."""

import io
import os
import sys
from contextlib import suppress
from typing import Any


class _Dropping(io.FileIO):
    """A file that accepts every write, and drops what cannot be written."""

    def write(self, content: Any, /) -> int:
        """Write what can be written; return the number of bytes accepted, which is all."""
        rest = memoryview(content).cast("B")
        size = len(rest)
        with suppress(OSError):
            while rest:
                written = super().write(rest)
                if written is None:  # a non-blocking stream that is full
                    break
                rest = rest[written:]
        return size


def keep_standard_streams() -> None:
    """Open closed standard streams, so that no other file gets their descriptors; let stderr drop failed writes."""
    if os.name != "posix":
        return
    for descriptor, mode in enumerate((os.O_RDONLY, os.O_WRONLY, os.O_WRONLY)):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, mode)  # gets the lowest number that is free
    encoding, errors = (sys.stderr.encoding, sys.stderr.errors) if sys.stderr is not None else ("utf-8", None)
    raw = _Dropping(2, "w", closefd=False)
    sys.stderr = io.TextIOWrapper(
        io.BufferedWriter(raw), encoding=encoding, errors=errors or "backslashreplace", line_buffering=True
    )
