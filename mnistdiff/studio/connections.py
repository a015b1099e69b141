"""Connections: how many, and how long one may take to say what it wants."""

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

MAX_CONNECTIONS = 200
"""More are closed as they are opened."""
HEADER_SECONDS = 10.0
"""A connection closes if the head of its next request does not arrive in this time, or not begin to in half of it."""


class Connection(H11Protocol):
    """A connection that closes where the client sends no request, or one without end."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Accept the client, or close the connection if there are too many."""
        super().connection_made(transport)
        if len(self.connections) > MAX_CONNECTIONS:
            transport.abort()
            return
        self._set_deadline()

    def data_received(self, data: bytes) -> None:
        """Read what the client sends. Bytes that arrive slowly do not extend the time for a head."""
        super().data_received(data)
        self._set_deadline()

    def on_response_complete(self) -> None:
        """Wait for the next request, which may be there already."""
        super().on_response_complete()
        self._set_deadline()

    def connection_lost(self, exc: Exception | None) -> None:
        """Clean up."""
        self._drop_deadline()
        super().connection_lost(exc)

    def _set_deadline(self) -> None:
        """Close the connection in a while, or earlier if that was said before; not while a request is answered."""
        if self.cycle is not None and not self.cycle.response_complete:
            self._drop_deadline()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(HEADER_SECONDS, self.transport.abort)

    def _drop_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = None
