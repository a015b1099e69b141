"""Requests to the studio of those who may not, and requests that are broken."""

import itertools
import json
from collections.abc import Iterable
from typing import NamedTuple

from studios import Studio

from mnistdiff.studio.app import ROUTES
from mnistdiff.studio.safety import MAX_BODY

DRAW = {"text": "42", "n": 2, "seed": 3}
POSTS = sorted(route.path for route in ROUTES if "POST" in route.methods)
REFUSED, BROKEN = {403}, {400, 413, 415, 422}
NO_HOSTS = [
    *("", "localhost", "127.0.0.1", "127.0.0.1:1", "127.0.0.1:{port}0", "evil.example", "evil.example:{port}"),
    *(
        "127.0.0.1.evil.example:{port}",
        "127.0.0.1:{port}.evil.example",
        "evil.example@127.0.0.1:{port}",
        "[",
        "]:{port}",
    ),
    *(
        "localhost.:{port}",
        "0.0.0.0:{port}",
        "0:{port}",
        "127.1:{port}",
        "2130706433:{port}",
        "[::ffff:127.0.0.1]:{port}",
    ),
    *("127.0.0.1:{port}, evil.example", "127.0.0.1:{port}/", "127.0.0.1:{port}#", "127.0.0.1 :{port}", "\xe9:{port}"),
]
NO_COOKIES = [
    *(
        "",
        "{name}=",
        "{name}=x",
        "{name}={token}x",
        "{name}={token[:-1]}",
        "{name}={token.upper()}",
        "{name}",
        "={token}",
    ),
    *(
        "x{name}={token}",
        "{name}x={token}",
        "{name}=\xe9\xff",
        "{name}=" + "A" * 5000,
        ";;;=;",
        "{name}={token}; {name}=x",
    ),
]
NO_ORIGINS = [
    *("null", "http://evil.example", "https://127.0.0.1:{port}", "http://127.0.0.1", "http://127.0.0.1:1", "", "\xff"),
    *("http://127.0.0.1:{port}/", "http://127.0.0.1:{port}.evil.example", "http://localhost:{port}", "file://", "*"),
]
NO_SITES = ["cross-site", "same-site", "x", ""]
NO_METHODS = ["PUT", "PATCH", "DELETE", "TRACE", "CONNECT", "PROPFIND", "X" * 100]
NO_PATHS = [
    *("../app.py", "..%2fapp.py", "%2e%2e/app.py", "%2e%2e%2fapp.py", "..%5capp.py", "..\\app.py", "....//app.py"),
    *(
        "%252e%252e%252fapp.py",
        "/etc/passwd",
        "%2fetc%2fpasswd",
        "index.html/",
        "index.html%00",
        "%00",
        "%c0%ae%c0%ae/x",
    ),
    *("%ff", "%", "%zz", ".", "..", "", "index.html/../../app.py", "main.js;x", "MAIN.JS", "a" * 5000, "C:%5cx", "con"),
]
NO_JSON = [
    b"",
    b"{",
    b"[]",
    b"null",
    b"7",
    b'"x"',
    b"\xff\xfe\x00",
    b"{}\x00",
    b"\x00" * 1000,
    b'{"text": NaN}',
    b'{"text": "7", "seed": Infinity}',
    b'{"text": "7", "seed": ' + b"9" * 10_000 + b"}",
    b'{"text": "7", "seed": 1e999}',
    b"[" * 100_000,
    b'{"a":' * 50_000,
    b'{"text": "\\ud800", "seed": 1}',
    b'{"text": "\xc3\x28", "seed": 1}',
    json.dumps({"__proto__": {}, "constructor": 1}).encode(),
]
NO_DRAWING = [
    *({"text": value} for value in ("", "x", "7x", "7" * 201, "77777777777" * 6, "\0", "\u202e", 7, None, ["7"], {})),
    *(
        {"labels": value, "text": None}
        for value in ([], [10], [-1], [7.5], ["x"], [None], [[7]], 7, "7", [1] * 65, [True])
    ),
    *({"seed": value} for value in (-1, 2**32, 10**30, 1.5, "1", None, True, [])),
    *({"n": value} for value in (0, -1, 65, 10**9, 1e3, "2", None, True)),
    *({"steps": value} for value in (0, -1, 501, 10**30, 1.5, "2", True, [])),
    *({"guidance": value} for value in (-1, 1e9, "2", [], True)),
    *({"sampler": value} for value in ("", "x", "DDIM", 1, "../ddim", "ddim\0")),
    *({"guidance_interval": value} for value in ([0], [0, 2], [1, 0], "0:1", [0, 1, 2], ["0", "1"], {})),
    *({"eta": value, "sampler": "ddim"} for value in (-0.1, 1.1, "0", [])),
    {"labels": [7]},
    {"spacing": "even"},
    {"weights": "raw"},
    {"processes": 64},
]


class Hostile(NamedTuple):
    """A request as bytes, and the statuses that may answer it; none where the connection may just be closed."""

    what: str
    content: bytes
    statuses: frozenset[int]


class Writer:
    """Writes requests to a server, by default those of its page."""

    def __init__(self, studio: Studio):
        self.port = studio.port
        self.name, _, self.token = studio.cookie.partition("=")

    def filled(self, text):
        """A template with the port, the token and the name of the cookie."""
        known = {"{port}": str(self.port), "{name}": self.name, "{token}": self.token}
        known |= {"{token[:-1]}": self.token[:-1], "{token.upper()}": self.token.swapcase()}
        for name, value in known.items():
            text = text.replace(name, value)
        return text

    def __call__(self, method="GET", path="/api/ping", body=None, **changes):
        headers = {"host": "127.0.0.1:{port}", "cookie": "{name}={token}", "connection": "close"}
        if body is not None:
            headers |= {"content-type": "application/json", "content-length": str(len(body))}
        headers |= {name.replace("_", "-"): value for name, value in changes.items()}
        lines = [f"{method} {path} HTTP/1.1", *(f"{n}: {v}" for n, v in headers.items() if v is not None)]
        return self.filled("\r\n".join(lines)).encode("latin-1") + b"\r\n\r\n" + (body or b"")


def requests(write: Writer) -> Iterable[Hostile]:
    def each(what, contents, statuses):
        return (Hostile(f"{what} {number}", content, frozenset(statuses)) for number, content in enumerate(contents))

    yield from each("host", (write(host=host) for host in NO_HOSTS), {400, 403})
    yield from each("host of the page", (write(path="/?token={token}", host=host) for host in NO_HOSTS), {400, 403})
    yield from each("no host", [write(host=None)], {400})
    yield from each("cookie", (write(cookie=cookie) for cookie in NO_COOKIES), REFUSED)
    yield from each("no cookie", (write(path=path, cookie=None) for path in ("/", "/static/main.js", "/no")), REFUSED)
    yield from each(
        "token", (write(path=f"/?token={t}", cookie=None) for t in ("", "x", "%ff", "\0"[:0], "{token}x")), REFUSED
    )
    yield from each("token elsewhere", [write(path="/api/ping?token={token}", cookie=None)], REFUSED)
    yield from each("token posted", [write("POST", "/?token={token}", b"{}", cookie=None)], REFUSED)
    yield from each("origin", (write(origin=origin) for origin in NO_ORIGINS), {400, 403})
    posted = json.dumps(DRAW).encode()
    yield from each("origin of a post", (write("POST", "/api/draw", posted, origin=o) for o in NO_ORIGINS), {400, 403})
    yield from each("site", (write("POST", "/api/draw", posted, sec_fetch_site=site) for site in NO_SITES), REFUSED)
    yield from each("a frame", [write(path="/static/main.js", sec_fetch_site="cross-site")], REFUSED)
    both = itertools.product(NO_METHODS, ("/", "/api/draw", "/static/main.js"))
    yield from each("method", (write(method, path) for method, path in both), {400, 404, 405})
    yield from each("post of a page", [write("POST", "/", b"{}"), write("POST", "/api/model", b"{}")], {405})
    yield from each("static", (write(path=f"/static/{path}") for path in NO_PATHS), {400, 404})
    yield from each("run", (write(path=f"/api/runs/{path}/evaluation") for path in NO_PATHS), {400, 404})
    yield from each("preview", (write(path=f"/api/runs/x/preview/{path}") for path in NO_PATHS), {400, 404})
    yield from each(
        "path", (write(path=path) for path in ("//", "*", "http://evil.example/", "/api", "/API/ping")), {404}
    )
    for path in POSTS:
        yield from each(f"body of {path}", (write("POST", path, body) for body in NO_JSON), BROKEN)
    kinds = ("text/plain", "", "application/jsonx; charset=\xff", "multipart/form-data; boundary=x", None)
    yield from each("type", (write("POST", "/api/draw", posted, content_type=kind) for kind in kinds), {415})
    yield from broken(write, posted)


def broken(write: Writer, posted: bytes) -> Iterable[Hostile]:
    """Requests that are not HTTP, lie about their length, or are too large."""
    post = ("POST", "/api/draw", posted)
    chunked = {"transfer_encoding": "chunked", "content_length": None}
    large = b"x" * (MAX_BODY + 1)
    chunks = b"%x\r\n%s\r\n0\r\n\r\n" % (len(large), large)
    for what, content, statuses in [
        ("too large", write("POST", "/api/draw", large), {413}),
        ("said to be too large", write(*post, content_length="99999999999"), {413}),
        ("chunks too large", write("POST", "/api/draw", chunks, **chunked), {413}),
        ("a chunk that is none", write("POST", "/api/draw", b"zz\r\n{}\r\n0\r\n\r\n", **chunked), {400, 0}),
        ("a chunk of a huge size", write("POST", "/api/draw", b"f" * 40 + b"\r\n{}", **chunked), {400, 0}),
        ("chunks without end", write("POST", "/api/draw", b"2\r\n{}\r\n", **chunked), {400, 0}),
        ("a shorter body", write(*post, content_length="9000"), {400, 0}),
        ("a longer body", write(*post, content_length="3"), {400, 422}),
        ("a negative length", write(*post, content_length="-1"), {400}),
        ("no number", write(*post, content_length="0x10"), {400}),
        ("a long number", write(*post, content_length="9" * 200), {400, 413}),
        ("two lengths", write(*post, content_length="3, 4"), {400}),
        ("both", write(*post, transfer_encoding="chunked"), {400, 0}),
        ("another encoding", write(*post, transfer_encoding="gzip"), {400, 501, 0}),
        ("many headers", write(**{f"x{k}": "y" * 20 for k in range(2000)}), {200, 400}),
        ("a long header", write(x="y" * 100_000), {200, 400}),
        ("a long address", write(path="/" + "y" * 100_000), {400, 404}),
        ("a null byte", write(x="a\0b"), {400}),
        ("a folded header", write(x="a\r\n b"), {200, 400}),
        ("a split header", write(x="a\r\nhost: evil.example"), {400}),
        ("no colon", write(x="a\r\nnonsense"), {400}),
        ("HTTP 1.0", b"GET /api/ping HTTP/1.0\r\n\r\n", {403}),
        ("HTTP 0.9", b"GET /\r\n\r\n", {400}),
        ("HTTP 3.7", write().replace(b"HTTP/1.1", b"HTTP/3.7"), {200, 400}),
        ("HTTP 2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", {400, 403}),
        ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500), {400, 0}),
        ("garbage", bytes(range(256)) * 10, {400, 0}),
        ("nothing", b"", {0}),
        ("empty lines", b"\r\n" * 10_000, {400, 0}),
        ("a websocket", write(upgrade="websocket", connection="upgrade", sec_websocket_key="x"), {200, 400}),
        ("expectation", write(*post, expect="100-continue", content_type="text/plain"), {100, 415}),
        ("many ranges", write(path="/static/main.js", range="bytes=" + "0-1," * 500), {200}),
        ("pipelined", write(connection="keep-alive") * 20 + write(path="/no"), {200, 404}),
    ]:
        yield Hostile(what, content, frozenset(statuses))
