"""Many pages at once: each has its turn, in bounded memory; too many are refused; those that go are forgotten."""

import http.client
import json
import socket
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

from mnistdiff.studio.connections import MAX_CONNECTIONS
from mnistdiff.studio.jobs import MAX_WAITING

PAGES, DRAWINGS = 20, 3
MEMORY_MB = 60
"""That the server may grow by: of ONNX Runtime's arena and of the buffers of the connections."""
SHORT = {"text": "7", "n": 4, "seed": 1}
LONG = {"text": "7", "n": 64, "seed": 1, "steps": 500, "sampler": "ddpm", "guidance": 3.0}


def resident_mb(studio):
    """The memory of the server; 0 where the system does not say."""
    status = Path(f"/proc/{studio.process.pid}/status")
    if not status.exists():
        return 0.0
    [line] = [line for line in status.read_text().splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1]) / 1024


def test_pages_that_draw_at_once_are_served_in_their_turn(studio):
    def page(_=None):
        """One page: how long each of its drawings took, one after the other, and their pixels."""
        waits, images = [], set()
        for _ in range(DRAWINGS):
            began = time.monotonic()
            *_, done = studio.stream("/api/draw", SHORT)
            waits.append(time.monotonic() - began)
            images.add(done.data["images"])
        return waits, images

    _, alone = page()
    before = resident_mb(studio)
    with ThreadPoolExecutor(PAGES) as pages:
        served = [*pages.map(page, range(PAGES))]
    waits = [seconds for each, _ in served for seconds in each]
    assert all(images == alone for _, images in served)
    assert len(alone) == 1
    assert max(waits) <= 2 * statistics.mean(waits)
    assert resident_mb(studio) - before < MEMORY_MB


def test_more_than_may_wait_are_refused_and_the_rest_is_served(studio):
    streams = [studio.stream("/api/draw", LONG) for _ in range(MAX_WAITING + 1)]
    positions = [next(stream).data["position"] for stream in streams]
    assert positions == [*range(MAX_WAITING + 1)]
    refused = studio.post("/api/draw", LONG)
    assert refused.status == 503
    assert "waiting" in refused.json["error"]["message"]
    assert studio.get("/api/ping").status == 200
    for stream in streams[1:-1]:
        stream.close()
    moved = next(event for event in streams[-1] if event.data["position"] <= 1)
    assert moved.name == "queued"
    streams[0].close()
    assert next(streams[-1]).data == {"position": 0}
    streams[-1].close()


def test_a_page_that_closes_in_the_middle_ends_its_computation(studio):
    stream = studio.stream("/api/draw", LONG)
    while next(stream).name != "step":
        pass
    stream.close()
    began = time.monotonic()
    *_, done = studio.stream("/api/draw", SHORT)
    assert done.name == "done"
    assert time.monotonic() - began < 10  # the long one takes minutes


def test_a_page_that_does_not_read_holds_neither_the_line_nor_the_memory(studio):
    before = resident_mb(studio)
    body = json.dumps(LONG | {"steps": 100, "guidance": 1.0}).encode()
    head = f"POST /api/draw HTTP/1.1\r\nhost: 127.0.0.1:{studio.port}\r\ncookie: {studio.cookie}\r\n"
    head += f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    with socket.socket() as reader:
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        reader.connect(("127.0.0.1", studio.port))
        reader.sendall(head.encode() + body)
        reader.recv(1)
        *_, done = studio.stream("/api/draw", SHORT)
    assert done.name == "done"
    assert resident_mb(studio) - before < MEMORY_MB


def test_too_many_connections_are_closed_and_those_that_are_open_go_on(studio):
    mine = http.client.HTTPConnection("127.0.0.1", studio.port, timeout=20)
    mine.connect()
    with ExitStack() as stack:
        others = [socket.create_connection(("127.0.0.1", studio.port), 20) for _ in range(MAX_CONNECTIONS + 10)]
        for other in others:
            stack.enter_context(other)
        for other in others[-5:]:
            with suppress(ConnectionResetError):
                assert other.recv(1) == b""
        mine.request("GET", "/api/ping", headers={"cookie": studio.cookie})
        assert mine.getresponse().status == 200
        mine.close()
    for _ in range(100):
        with suppress(ConnectionResetError, http.client.RemoteDisconnected):
            assert studio.get("/api/ping").status == 200
            break
        time.sleep(0.05)
    else:
        raise AssertionError("it accepts no connection any more")
