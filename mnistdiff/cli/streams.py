"""Standard streams that are closed, full or read by nobody do not end the work."""

import io
import os
import sys
from contextlib import suppress
from typing import Any


class _Dropping(io.FileIO):
    """A file that takes whatever is written to it, and drops what cannot be stored."""

    def write(self, content: Any, /) -> int:
        """Write all of it or nothing that anybody will miss; returns the number of bytes taken."""
        rest = memoryview(content).cast("B")
        size = len(rest)
        with suppress(OSError):
            while rest:
                written = super().write(rest)
                if written is None:  # not now, on a stream that does not block
                    break
                rest = rest[written:]
        return size


def keep_standard_streams() -> None:
    """Open what the caller closed, so that no file of ours gets its number, and let stderr drop what nobody reads."""
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
