"""The server: listens, opens the page, and ends at once with the program."""

import asyncio
import errno
import ipaddress
import logging
import socket
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

from uvicorn import Config, Server

from mnistdiff import Model
from mnistdiff.errors import SettingsError, StorageError, shown
from mnistdiff.studio.app import create_app
from mnistdiff.studio.connections import Connection
from mnistdiff.studio.jobs import Jobs
from mnistdiff.studio.room import Studio
from mnistdiff.studio.safety import Access

_BACKLOG = 128
_SEND_BUFFER = 2**18
"""Bytes of a connection that the system keeps for a client that does not read; by default they become megabytes."""


def serve(
    model: Model, runs: Path, *, host: str = "127.0.0.1", port: int = 0, ready: Callable[[Access], object]
) -> None:
    """Serve the studio until the process ends.

    Args:
        model: that samples and reads.
        runs: the folder whose runs are shown.
        host: the IP address to bind, or ``localhost``.
        port: of it; 0 chooses a free one.
        ready: called once connections are accepted.

    Raises:
        SettingsError: for a host that is neither.
        StorageError: if the address cannot be bound.
    """
    with _listening(host, port) as listener:
        access = Access(host, listener.getsockname()[1])
        asyncio.run(_serve(model, runs, listener, access, ready))


async def _serve(
    model: Model, runs: Path, listener: socket.socket, access: Access, ready: Callable[[Access], object]
) -> None:
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # errors are printed where they are answered
    app = create_app(Studio(model, runs, Jobs()), access)
    config = Config(
        app,
        http=Connection,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=_BACKLOG,
    )
    ready(access)
    await _Server(config).serve([listener])


class _Server(Server):
    """A server that leaves signals to the program."""

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Set no handlers."""
        yield


@contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    """A socket that accepts connections."""
    _require_address(host)
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listener = socket.create_server(address[:2], family=family, backlog=_BACKLOG)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            message = f"`port` {port} of {host} is in use"
            raise StorageError(message, "Use another `port`, or leave it out.") from error
        message = f"`host` {host} and `port` {port} cannot be served: {error.strerror}"
        raise StorageError(message, "Use an address of this machine, and a port that you may open.") from error
    with listener:
        yield listener


def _require_address(host: str) -> None:
    """Refuse names: whom they mean is for others to say, and whoever controls them could serve pages at them."""
    try:
        if host != "localhost":
            ipaddress.ip_address(host)
    except ValueError as error:
        message = f"`host` {shown(host)} is no IP address"
        raise SettingsError(message, "Use 127.0.0.1, or an address of this machine.") from error


def open_in_browser(url: str) -> None:
    """Open an address in the browser of the user, from a process of its own, which may print what it likes."""
    nowhere = subprocess.DEVNULL
    command = [sys.executable, "-m", "webbrowser", url]
    subprocess.Popen(command, stdin=nowhere, stdout=nowhere, stderr=nowhere, start_new_session=True)
