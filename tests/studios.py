"""The studio as a user starts it: a server process on 127.0.0.1, and the requests of a page."""

import http.client
import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.cookies import SimpleCookie
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

START_SECONDS, REQUEST_SECONDS = 60, 60


class Answer(NamedTuple):
    """A response: its status, its headers in lower case, its body."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)


class Event(NamedTuple):
    """A server-sent event."""

    name: str
    data: Mapping[str, object]


@dataclass(frozen=True)
class Studio:
    """A server that runs: its address with the token, its cookie as ``name=value``, its process."""

    url: str
    cookie: str
    process: subprocess.Popen[bytes]

    @property
    def port(self) -> int:
        return urlsplit(self.url).port

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @contextmanager
    def open(self, method: str, path: str, body: object = None, **headers: str) -> Iterator[http.client.HTTPResponse]:
        """The response to a request with the cookie; a body that is not bytes is sent as JSON."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=REQUEST_SECONDS)
        values = {"cookie": self.cookie, **{name.replace("_", "-"): value for name, value in headers.items()}}
        if body is not None and not isinstance(body, bytes):
            values, body = {"content-type": "application/json", **values}, json.dumps(body).encode()
        try:
            connection.request(method, path, body, values)
            yield connection.getresponse()
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Answer:
        return self.request("GET", path, **headers)

    def post(self, path: str, body: object, **headers: str) -> Answer:
        return self.request("POST", path, body, **headers)

    def request(self, method: str, path: str, body: object = None, **headers: str) -> Answer:
        with self.open(method, path, body, **headers) as response:
            names = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, names, response.read())

    def stream(self, path: str, body: object = None, **headers: str) -> Iterator[Event]:
        """The events of a computation, or of what changes, one by one; closing the iterator closes the connection."""
        with self.open("GET" if body is None else "POST", path, body, **headers) as response:
            if response.status != 200:
                raise AssertionError(f"{response.status} {response.read()!r}")
            yield from events(response)

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(10)
        self.process.stdout.close()
        self.process.stderr.close()


def events(response: http.client.HTTPResponse) -> Iterator[Event]:
    """The events of a response, as the WHATWG parses them where each has one line of data."""
    name = ""
    for line in response:
        field, _, value = line.decode().rstrip("\n").partition(": ")
        if field == "event":
            name = value
        elif field == "data":
            yield Event(name, json.loads(value))


def cookie_of(url: str) -> str:
    """The cookie that the address with the token gives, as ``name=value``."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=REQUEST_SECONDS)
    try:
        connection.request("GET", f"/?{parts.query}")
        response = connection.getresponse()
        assert response.status == 303, response.read()
        [(name, morsel)] = SimpleCookie(response.getheader("set-cookie")).items()
    finally:
        connection.close()
    return f"{name}={morsel.value}"


def _heed_signals() -> None:
    """Have a new process react to the signals of a terminal, also where the tests run in the background."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def start(arguments: Sequence[object], cwd: Path, env: Mapping[str, str] | None = None) -> Studio:
    """Start a server that opens no browser."""
    process = subprocess.Popen(
        [sys.executable, "-m", "mnistdiff", "studio", "--no-open", *map(str, arguments)],
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=_heed_signals,
    )
    url = process.stdout.readline().decode().strip()
    if not url:
        _, err = process.communicate(timeout=START_SECONDS)
        raise AssertionError(f"the studio did not start: {err.decode()}")
    return Studio(url, cookie_of(url), process)
