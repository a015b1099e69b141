"""Connections: how many, and how long one may take to say what it wants."""

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

MAX_CONNECTIONS = 200
"""More are closed as they are opened."""
HEADER_SECONDS = 10.0
"""A connection closes if it does not send the head of its next request for as long; waiting between two is half."""


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
        self._await_head()

    def data_received(self, data: bytes) -> None:
        """Read what the client sends."""
        super().data_received(data)
        if self._is_between_requests:
            self._await_head()
        else:
            self._forget()

    def connection_lost(self, exc: Exception | None) -> None:
        """Clean up."""
        self._forget()
        super().connection_lost(exc)

    @property
    def _is_between_requests(self) -> bool:
        return self.conn.their_state is h11.IDLE and self.conn.our_state is h11.IDLE

    def _await_head(self) -> None:
        """Close the connection in a while, unless it is to be closed earlier."""
        if self._deadline is None:
            self._deadline = self.loop.call_later(HEADER_SECONDS, self.transport.abort)

    def _forget(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = None
