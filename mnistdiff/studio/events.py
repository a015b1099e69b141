"""Server-sent events (WHATWG HTML, section 9.2): the events of a job as the body of a response."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing, suppress
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from mnistdiff.studio.answers import RequestError, error_content
from mnistdiff.studio.jobs import Emit, Event, Jobs, Work

T = TypeVar("T")


class GoneError(RequestError):
    """The client has gone, so that nobody waits for the answer."""


def encoded(event: Event) -> bytes:
    """An event as bytes: its name, its content as JSON on one line."""
    return f"event: {event.name}\ndata: {json.dumps(event.data, allow_nan=False)}\n\n".encode()


class EventStream(Response):
    """A response of events, which ends when its reader goes; an error is the event ``failed``.

    Args:
        events: that are sent. The generator is closed in the end.
    """

    media_type = "text/event-stream"

    def __init__(self, events: AsyncGenerator[Event]) -> None:
        super().__init__(headers={"X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events until they end, or the reader goes."""
        with suppress(GoneError):
            await while_connected(receive, self._send_all(send))

    async def _send_all(self, send: Send) -> None:
        """Send the events; an error before the first is left to the error boundary, which has a status for it."""
        has_begun = False
        async with aclosing(self._events) as events:
            try:
                async for event in events:
                    if not has_begun:
                        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
                    has_begun = True
                    await send(_chunk(event))
            except Exception as error:
                if not has_begun:
                    raise
                await send(_chunk(Event("failed", error_content(error))))
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def _chunk(event: Event) -> Message:
    return {"type": "http.response.body", "body": encoded(event), "more_body": True}


async def while_connected(receive: Receive, work: Coroutine[Any, Any, T]) -> T:
    """The result of some work, which ends when the client goes.

    Raises:
        GoneError: if it has gone.
    """
    working, leaving = asyncio.ensure_future(work), asyncio.ensure_future(_disconnected(receive))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise GoneError(400, "the client has gone")
    finally:
        working.cancel()
        leaving.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


async def _disconnected(receive: Receive) -> None:
    """Return when the client has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


def job_stream(jobs: Jobs, work: Work) -> EventStream:
    """The events of a computation, which waits in line, as a response."""
    return EventStream(jobs.run(work))


async def job_result(request: Request, jobs: Jobs, compute: Callable[[Emit], T]) -> T:
    """The result of a computation, which waits in line.

    Args:
        request: that asks for it; its body is read already.
        jobs: the line.
        compute: it calls ``check`` of its argument after each of its steps.

    Raises:
        RequestError: if too many wait, or the client has gone; and any error of the computation.
    """
    return await while_connected(request.receive, jobs.result(compute))
