"""The app: the table of routes, the files of the page, and the error boundary."""

from importlib import resources
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from mnistdiff.errors import MnistDiffError
from mnistdiff.studio import about, draw, explain, hand, runs
from mnistdiff.studio.answers import Json, RequestError, error_answer
from mnistdiff.studio.room import Studio
from mnistdiff.studio.safety import Access, Guard

_STATIC = Path(str(resources.files("mnistdiff.studio"))) / "static"
_KINDS = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
}
"""Media types; the files of these kinds in the folder are the table of what is served."""
_ANSWERED = (HTTPException, MnistDiffError, OSError, MemoryError, Exception)
"""Exceptions that have an answer: all; without the first four, Starlette would raise them again."""
_FILES = {path.name: path for path in _STATIC.iterdir() if path.suffix in _KINDS}


def create_app(studio: Studio, access: Access) -> ASGIApp:
    """The studio as an ASGI application.

    Args:
        studio: its state.
        access: who may use it.
    """
    app = Starlette(routes=ROUTES, exception_handlers=dict.fromkeys(_ANSWERED, _error))
    app.router.redirect_slashes = False  # one address for each thing
    app.state.studio = studio
    return Guard(app, access)


async def _page(request: Request) -> Response:
    return _served("index.html")


async def _file(request: Request) -> Response:
    return _served(request.path_params["name"])


async def _ping(request: Request) -> Response:
    """Whether the server is there."""
    return Json({"ok": True})


def _served(name: str) -> Response:
    path = _FILES.get(name)
    if path is None:
        raise RequestError(404, "there is no such file")
    return Response(path.read_bytes(), media_type=_KINDS[path.suffix])


async def _error(request: Request, error: Exception) -> Response:
    return error_answer(error)


ROUTES = (
    Route("/", _page),
    Route("/static/{name}", _file),
    Route("/api/ping", _ping),
    *about.ROUTES,
    *draw.ROUTES,
    *hand.ROUTES,
    *explain.ROUTES,
    *runs.ROUTES,
)
"""Every address that is served."""
