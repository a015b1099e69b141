"""Downloads: mirrors, attempts, and what is refused."""

import gzip
import hashlib
import io
import socket
import sys
import urllib.error
from collections.abc import Iterator
from dataclasses import replace
from http.client import IncompleteRead
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from types import ModuleType, SimpleNamespace
from typing import IO

import pytest

from mnistdiff.engine.data import download
from mnistdiff.engine.data.datasets import MNIST
from mnistdiff.engine.data.idx_file import IdxFile
from mnistdiff.engine.progress import finish
from mnistdiff.errors import DataError

CONTENT = bytes([0, 0, 8, 1, 0, 0, 0, 3, 1, 2, 3])
FILE = IdxFile("three-idx1-ubyte", (3,), hashlib.sha256(CONTENT).hexdigest())
PACKED = gzip.compress(CONTENT)
FIRST, SECOND = "https://first.example/mnist/three-idx1-ubyte.gz", "https://second.example/three-idx1-ubyte.gz"


class Mirrors:
    """Answers by address: bytes, or an error to raise; the last one of a list repeats."""

    def __init__(self, **answers: list[bytes | Exception]) -> None:
        self.answers, self.asked = answers, []

    def __call__(self, address: str, limit: int, target: IO[bytes]) -> Iterator[tuple[int, int]]:
        self.asked.append(address)
        answers = self.answers["first" if address == FIRST else "second"]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        target.write(answer[:limit])
        yield len(answer), len(answer)


@pytest.fixture(autouse=True)
def _torchvision(monkeypatch: pytest.MonkeyPatch) -> None:
    torchvision = ModuleType("torchvision")
    addresses = ["http://plain.example/", "https://first.example/mnist/", "https://second.example/"]
    torchvision.datasets = SimpleNamespace(MNIST=SimpleNamespace(mirrors=addresses))  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torchvision", torchvision)
    monkeypatch.setattr(download, "_PAUSE_SECONDS", 0)


def unreachable() -> urllib.error.URLError:
    return urllib.error.URLError(socket.gaierror(-2, "Name or service not known"))


def answered(code: int) -> urllib.error.HTTPError:
    return urllib.error.HTTPError("https://example.org", code, "no", None, None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("first", "asked"),
    [
        ([PACKED], [FIRST]),
        ([TimeoutError(), ConnectionResetError(), PACKED], [FIRST] * 3),
        ([answered(503), PACKED], [FIRST] * 2),
        ([IncompleteRead(b""), PACKED], [FIRST] * 2),
        ([TimeoutError()], [FIRST] * 3 + [SECOND]),
        ([unreachable()], [FIRST, SECOND]),
        ([answered(404)], [FIRST, SECOND]),
        ([b"<html>"], [FIRST, SECOND]),
        ([PACKED[:-3]], [FIRST, SECOND]),
        ([gzip.compress(CONTENT + b"\0")], [FIRST, SECOND]),
    ],
)
def test_a_failure_that_may_pass_is_tried_again_then_the_next_mirror(monkeypatch, first, asked):
    mirrors = Mirrors(first=first, second=[PACKED])
    monkeypatch.setattr(download, "receive", mirrors)
    assert finish(download.download(MNIST, FILE)) == CONTENT
    assert mirrors.asked == asked  # never http


@pytest.mark.parametrize("error", [unreachable(), answered(404), TimeoutError("timed out"), DataError("other content")])
def test_the_last_error_is_raised_when_no_mirror_serves(monkeypatch, error):
    monkeypatch.setattr(download, "receive", Mirrors(first=[TimeoutError()], second=[error]))
    with pytest.raises(type(error)) as raised:
        finish(download.download(MNIST, FILE))
    assert raised.value is error


def test_a_data_set_of_no_known_address_is_a_data_error():
    with pytest.raises(DataError, match="MNIST"):
        finish(download.download(replace(MNIST, torchvision_name=""), FILE))


@pytest.fixture
def server() -> Iterator[SimpleNamespace]:
    """A server of http that redirects, and keeps the paths it was asked for."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield SimpleNamespace(address=f"http://127.0.0.1:{http.server_port}/", asked=asked)
        http.shutdown()
        thread.join()


@pytest.mark.parametrize("scheme", ["http", "ftp", "file", "data"])
def test_nothing_but_https_is_opened(server, scheme):
    with pytest.raises(urllib.error.URLError, match="unknown url type"):
        list(download.receive(server.address.replace("http", scheme), 10, io.BytesIO()))
    assert server.asked == []


def test_a_server_without_a_valid_certificate_is_refused(server):
    with pytest.raises(OSError, match="(?i)ssl"):
        list(download.receive(server.address.replace("http", "https"), 10, io.BytesIO()))
    assert server.asked == []


def test_the_process_keeps_its_time_limit_and_opener(monkeypatch):
    monkeypatch.setattr(download, "receive", Mirrors(first=[TimeoutError()], second=[PACKED]))
    before = socket.getdefaulttimeout(), urllib.request._opener
    finish(download.download(MNIST, FILE))
    assert (socket.getdefaulttimeout(), urllib.request._opener) == before
