"""Errors as answers: a status and ``{"error": {"message", "hint", "field"}}``."""

import json
import re
import sys
import traceback
from collections.abc import Mapping

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from mnistdiff import errors
from mnistdiff.errors import MnistDiffError

_STATUS: Mapping[type[Exception], int] = {
    errors.NeedsTeacherError: 409,
    errors.SettingsError: 422,
    errors.StorageError: 422,
    errors.OutOfMemoryError: 503,
    errors.MissingLibraryError: 503,
    errors.MnistDiffError: 409,
    FileNotFoundError: 404,
    OSError: 409,
    MemoryError: 503,
}
"""Of each kind of error, the first that it is."""
_BUG = 500
_FIELD = re.compile(r"`((\w+)[\w.-]*)`")
"""A field in a message, and the first part of its name where it is a place within it, such as `labels.0`."""
_SENTENCES: Mapping[int, str] = {404: "there is nothing at this address", 405: "this address has another method"}


class RequestError(MnistDiffError):
    """A request that is refused for what it is, whatever it asks for.

    Args:
        status: of HTTP, 400 to 499 or 503.
        message: what is wrong with it.
        hint: what to do next.
    """

    def __init__(self, status: int, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.status = status


def status_of(error: Exception) -> int:
    """The status of HTTP for an error; 500 for one that is a bug of this program."""
    if isinstance(error, RequestError):
        return error.status
    if isinstance(error, HTTPException):
        return error.status_code
    return next((status for kind, status in _STATUS.items() if isinstance(error, kind)), _BUG)


def error_content(error: Exception) -> dict[str, object]:
    """What the page is told of an error, and of a bug no more than that; its traceback goes to stderr."""
    if status_of(error) == _BUG:
        traceback.print_exception(error, file=sys.stderr)
        message, hint = "unexpected failure", "The terminal shows the details; please report them."
    elif isinstance(error, MnistDiffError):
        message, hint = error.message, error.hint
    elif isinstance(error, HTTPException):
        message, hint = _SENTENCES.get(error.status_code, error.detail), ""
    elif isinstance(error, OSError):
        message, hint = f"{error.strerror or 'the file system refuses'}", ""
    else:
        message, hint = "out of memory", "Close other programs, or ask for fewer images."
    field = _FIELD.search(message)
    return {"error": {"message": _plain(message), "hint": _plain(hint), "field": field[2] if field else ""}}


class Json(JSONResponse):
    """JSON as a response, in ASCII: names of files may hold what UTF-8 cannot encode."""

    def render(self, content: object) -> bytes:
        """The body."""
        return json.dumps(content, allow_nan=False).encode("ascii")


def error_answer(error: Exception) -> Json:
    """An error as a response."""
    headers = error.headers if isinstance(error, HTTPException) else None
    return Json(error_content(error), status_of(error), headers)


def _plain(text: str) -> str:
    """A message without the backticks around fields; bytes of file names that are not UTF-8 are escaped."""
    return _FIELD.sub(r"\1", text).encode(errors="backslashreplace").decode()
