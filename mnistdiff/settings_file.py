"""Read a settings file: TOML, or the ``settings.json`` of a run folder."""

import codecs
import json
import os
import select
import stat
import time
from pathlib import Path
from typing import Any

from mnistdiff.engine.storage import open_without_waiting
from mnistdiff.errors import SettingsError, shown

_MAX_BYTES = 64 * 1024
_MAX_DOTS_IN_A_LINE = 200
"""The memory that tomllib needs grows with the square of the dots in a key. Only paths and comments have dots."""
_PIPE_SECONDS = 10.0
_BYTE_ORDER_MARKS = (  # longest first: those of UTF-32 begin with those of UTF-16
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


def read_settings_file(path: Path) -> dict[str, object]:
    """The settings in a file, by name.

    The file may begin with a byte order mark, of UTF-8, UTF-16 or UTF-32, and may be a pipe.

    Raises:
        SettingsError: if the file is missing or malformed, naming the place.
    """
    try:
        content = read_file_or_pipe(path)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise SettingsError(f"cannot read the settings file {path}: {reason}") from error
    try:
        text = _decoded(content)
        # A pipe has no file extension; TOML never begins with a brace.
        is_json = path.suffix.lower() == ".json" or text.lstrip().startswith("{")
        values = _parsed(text, is_json=is_json)
    except (ValueError, RecursionError) as error:
        raise SettingsError(f"{path} is not valid: {_reason(error)}", "Write lines such as: epochs = 20") from error
    if not isinstance(values, dict):
        raise SettingsError(f"{path} should hold names and values, not a {type(values).__name__}")
    return values


def read_file_or_pipe(path: Path, *, max_bytes: int = _MAX_BYTES) -> bytes:
    """The content of a regular file or a pipe; at most ``max_bytes`` + 1 bytes.

    Raises:
        OSError: if it cannot be read.
        ValueError: if it is something else.
    """
    if path.is_dir():
        raise ValueError("it is a folder")
    with open_without_waiting(path) as file:
        kind = os.fstat(file.fileno()).st_mode
        if not (stat.S_ISREG(kind) or stat.S_ISFIFO(kind)):
            raise ValueError("it is neither a file nor a pipe")
        content = b""
        deadline = time.monotonic() + _PIPE_SECONDS
        while len(content) <= max_bytes:
            if stat.S_ISFIFO(kind) and not select.select([file], [], [], max(0, deadline - time.monotonic()))[0]:
                raise ValueError(f"the pipe did not end within {_PIPE_SECONDS:.0f} s")
            chunk = file.read(max_bytes + 1 - len(content))
            if not chunk:
                break
            content += chunk
    if stat.S_ISFIFO(kind) and not content:
        raise ValueError("it is an empty pipe")
    return content


def _decoded(content: bytes) -> str:
    """Decode UTF-8, or the encoding of the byte order mark; line ends become line feeds.

    Raises:
        ValueError: for another encoding, or if it is too long.
    """
    if len(content) > _MAX_BYTES:
        raise ValueError(f"it holds more than {_MAX_BYTES // 1024} kB, and settings take a few lines")
    mark, encoding = next(((m, e) for m, e in _BYTE_ORDER_MARKS if content.startswith(m)), (b"", "utf-8"))
    try:
        text = content[len(mark) :].decode(encoding)
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:  # UTF-16 without a mark decodes to letters between NULs
        raise ValueError("its encoding is not UTF-8 (or UTF-16 or UTF-32 with a byte order mark): save it as UTF-8")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _parsed(text: str, *, is_json: bool) -> Any:
    """Parse JSON or TOML.

    Raises:
        ValueError, RecursionError: if it is malformed.
    """
    if is_json:
        return json.loads(text, object_pairs_hook=unique_names)
    if any(line.count(".") > _MAX_DOTS_IN_A_LINE for line in text.split("\n")):
        raise ValueError(f"a line holds more than {_MAX_DOTS_IN_A_LINE} dots")
    import tomllib  # here, since importing it takes time

    return tomllib.loads(text)


def unique_names(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """A JSON object; ValueError for a duplicate name: readers differ in which value they take."""
    values: dict[str, object] = {}
    for name, value in pairs:
        if name in values:
            raise ValueError(f"{shown(name)} occurs twice")
        values[name] = value
    return values


def _reason(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    return "a number has too many digits" if "int_max_str_digits" in str(error) else str(error)
