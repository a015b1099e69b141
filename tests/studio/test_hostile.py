"""Hostile requests: each has an answer, none is a 500, none stays for ever; the server draws the same as before.

All go to 127.0.0.1, in bounded number, time and size.
"""

import json
import re
import socket
import time
from typing import NamedTuple

import pytest
from hostile_pictures import HOSTILE
from hostile_requests import DRAW, NO_DRAWING, Writer, requests

from mnistdiff.studio.connections import HEADER_SECONDS

ANSWER_SECONDS = 20
PICTURES = [
    *("png-of-60000x60000-promised", "png-of-no-width", "png-with-a-packed-text-bomb", "png-with-two-headers"),
    *("jpeg-of-65500x65500", "jpeg-of-no-height", "gif-of-65535x65535", "tiff-of-2-billion-strips"),
    *("tiff-that-goes-round", "webp-of-16777216x16777216", "bmp-upside-down-without-end", "eps", "ico", "pnm"),
]


def answered(port: int, content: bytes, *, is_all: bool) -> set[int]:
    """The statuses that answer these bytes, of which the client says if they are all; 0 if there is none."""
    with socket.create_connection(("127.0.0.1", port), ANSWER_SECONDS) as connection:
        received = b""
        try:
            connection.sendall(content)
            if is_all:
                connection.shutdown(socket.SHUT_WR)
            while block := connection.recv(65536):
                received += block
        except (ConnectionResetError, BrokenPipeError):  # refused before all of it was read
            pass
    return {int(status) for status in re.findall(rb"^HTTP/1\.1 (\d{3}) ", received, re.MULTILINE)} or {0}


class Slow(NamedTuple):
    """Connections that say nothing, or begin to and do not end; one with a stream of events; when they were opened."""

    connections: list[socket.socket]
    stream: socket.socket
    began: float


@pytest.fixture(scope="module")
def slow(studio):
    """Connections of slow clients, and one of a page."""
    write = Writer(studio)
    beginnings = [
        b"",
        b"GET / HT",
        write()[:-2],
        write(cookie="x", connection="keep-alive"),
        write(connection="keep-alive") + b"GET",
        write("POST", "/api/draw", b"{", content_length="100"),
        write("GET", "/api/ping", b"{", content_length="100", connection="keep-alive"),
    ]
    connections = []
    for beginning in beginnings * 3:
        connection = socket.create_connection(("127.0.0.1", studio.port), ANSWER_SECONDS)
        connection.sendall(beginning)
        connections.append(connection)
    stream = socket.create_connection(("127.0.0.1", studio.port), ANSWER_SECONDS)
    stream.sendall(write(connection="keep-alive") + write(path="/api/runs/events", connection="keep-alive"))
    yield Slow(connections, stream, time.monotonic())
    for connection in (*connections, stream):
        connection.close()


def test_hostile_requests_are_refused_and_it_still_draws_the_same(studio, slow):
    before = [event.data for event in studio.stream("/api/draw", DRAW)][-1]
    hostile = [*requests(Writer(studio))]
    assert len(hostile) >= 200
    wrong = []
    for what, content, statuses in hostile:
        found = answered(studio.port, content, is_all=0 in statuses)
        if not (found <= statuses and 500 not in found):
            wrong.append((what, found, content[:200]))
    assert wrong == [], "\n".join(map(str, wrong))
    after = [event.data for event in studio.stream("/api/draw", DRAW)][-1]
    assert after["images"] == before["images"]


@pytest.mark.parametrize("field", ["text", "labels", "seed", "n", "steps", "guidance", "sampler", "guidance_interval"])
def test_a_value_out_of_range_is_named(studio, field):
    tried = [changes for changes in NO_DRAWING if next(iter(changes)) == field]
    assert len(tried) > 2
    for changes in tried:
        answer = studio.post("/api/draw", {**DRAW, **changes})
        error = answer.json if answer.status == 422 else json.loads(answer.body.split(b"data: ")[-1])
        assert answer.status in (200, 422)
        named = {"text", "labels", "n"} if field in ("text", "labels") else {field}
        assert error["error"]["field"] in named, (changes, error)


@pytest.mark.parametrize("name", PICTURES)
def test_a_hostile_picture_is_refused(studio, name):
    answer = studio.post("/api/read", HOSTILE[name](), content_type="image/png")
    assert answer.status in (200, 413, 422)
    assert b"unexpected" not in answer.body
    assert answer.status != 200 or b"event: failed" in answer.body or b"event: done" in answer.body


def test_a_slow_client_is_not_waited_for(slow):
    began = slow.began
    for connection in slow.connections:
        connection.settimeout(max(0.1, began + HEADER_SECONDS + 5 - time.monotonic()))
        for byte in b"x" * 1000:  # it goes on to send, slowly
            try:
                connection.send(bytes([byte]))
                connection.settimeout(0.05)
                while connection.recv(65536):
                    pass
                break
            except TimeoutError:
                assert time.monotonic() < began + HEADER_SECONDS + 5
            except (ConnectionResetError, BrokenPipeError):
                break


def test_a_stream_goes_on_though_no_request_follows(slow):
    time.sleep(max(0, slow.began + HEADER_SECONDS + 1 - time.monotonic()))
    slow.stream.settimeout(0.5)
    received, is_open = b"", False
    try:
        while block := slow.stream.recv(65536):
            received += block
    except TimeoutError:
        is_open = True
    assert is_open
    assert received.count(b"HTTP/1.1 200") == 2
    assert b"event: runs" in received


def test_nothing_unexpected_was_printed(studio):
    studio.process.terminate()
    assert studio.process.wait(10) == 143
    assert studio.process.stderr.read().splitlines() == [b"the studio of bundled-2; Ctrl-C ends it"]
