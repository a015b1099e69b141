"""What the parts of the page share: the state of the studio, and the bodies of requests."""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict
from starlette.requests import ClientDisconnect, Request

from mnistdiff import Model
from mnistdiff.errors import field_errors
from mnistdiff.studio.answers import RequestError
from mnistdiff.studio.jobs import Jobs

T = TypeVar("T", bound=BaseModel)
BODY_SECONDS = 10.0
"""A body that takes longer to arrive is refused."""


@dataclass(frozen=True)
class Studio:
    """The state of the studio.

    Attributes:
        model: that samples and reads; used by jobs alone.
        runs: the folder whose runs are shown.
        jobs: the line of computations.
    """

    model: Model
    runs: Path
    jobs: Jobs


class Body(BaseModel):
    """The JSON of a request: unknown fields, numbers in quotes and numbers that are not finite are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


def studio_of(request: Request) -> Studio:
    """The state of the studio that answers a request."""
    studio: Studio = request.app.state.studio
    return studio


async def read_body(request: Request, kind: str) -> bytes:
    """The body of a request; ``safety`` bounds its size.

    Args:
        request: what arrived.
        kind: the media type that it must have: ``application/json``, or its first part, as in ``image/``.

    Raises:
        RequestError: if it is of another type, too large, or does not arrive in time.
    """
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not (given == kind or (kind.endswith("/") and given.startswith(kind))):
        raise RequestError(415, f"the body should be {kind}{'*' * kind.endswith('/')}, not {given or 'of no type'}")
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await request.body()
    except TimeoutError as error:
        raise RequestError(400, f"the body did not arrive within {BODY_SECONDS:g} seconds") from error
    except ClientDisconnect as error:
        raise RequestError(400, "the body ended too early") from error


async def read_json(request: Request, kind: type[T]) -> T:
    """The body of a request, JSON.

    Args:
        request: what arrived.
        kind: its fields.

    Raises:
        RequestError: as ``read_body``.
        SettingsError: naming every field at fault.
    """
    content = await read_body(request, "application/json")
    with field_errors():
        return kind.model_validate_json(content)
