"""Who may use the studio: the guard before every route.

The threats are other web pages in the same browser (posts from another site, DNS rebinding, frames), other users and
programs of the machine or the network, and requests that are broken or without end.
"""

import hmac
import ipaddress
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mnistdiff.studio.answers import RequestError, error_answer

MAX_BODY = 1_000_000
"""Bytes of a body."""
_POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' blob: data:",
    "connect-src": "'self'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
    "base-uri": "'none'",
}
_HEADERS: Mapping[str, str] = MappingProxyType(
    {
        "content-security-policy": "; ".join(f"{name} {value}" for name, value in _POLICY.items()),
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
        "referrer-policy": "no-referrer",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
    }
)
_OWN_SITES = (None, "same-origin", "none")
"""Values of Sec-Fetch-Site: of other clients than browsers, of the page itself, of an address that was typed."""
_HOST = re.compile(r"(\[[^\[\]]+\]|[^:\[\]]+)(?::([0-9]{1,5}))?")
"""A name, or an address of IPv6 in brackets, and perhaps a port."""
_EVERY_ADDRESS = ("0.0.0.0", "::")
_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


@dataclass(frozen=True)
class Access:
    """Who may use the studio: whoever has the token, at an address that is served.

    Attributes:
        host: the address that the server is bound to.
        port: of it.
        token: a secret.
    """

    host: str
    port: int
    token: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)

    @property
    def url(self) -> str:
        """The address to open: the page, with the token."""
        return f"http://{self._name}:{self.port}/?token={self.token}"

    @property
    def _name(self) -> str:
        """The host in an address."""
        if self.host in _EVERY_ADDRESS:
            return "127.0.0.1"
        return f"[{self.host}]" if ":" in self.host else self.host

    @property
    def is_local(self) -> bool:
        """Whether this machine alone can reach the server."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def cookie(self) -> str:
        """The name of the cookie. Ports share cookies: with one name, two studios would end each other's sessions."""
        return f"mnistdiff-studio-{self.port}"

    def serves(self, host: str) -> bool:
        """Whether a Host header names an address that is served; a name that DNS could point here does not."""
        match = _HOST.fullmatch(host.lower())
        if match is None or (match[2] or "80") != str(self.port):  # browsers leave out the port of HTTP
            return False
        name = match[1]
        if name == self._name.lower() or (self.is_local and name in _LOOPBACK):
            return True
        return self.host in _EVERY_ADDRESS and (name in _LOOPBACK or _is_address(name))

    def accepts(self, token: str | None) -> bool:
        """Whether this is the token, in constant time."""
        return hmac.compare_digest((token or "").encode(errors="replace"), self.token.encode())


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True


class Guard:
    """An ASGI application that lets requests through to another if they may, and secures its responses.

    Args:
        app: the application.
        access: who may use it.
    """

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        request = Request(scope)
        secure = _secured(send, scope["path"])
        try:
            if self._brings_the_token(request):
                await self._welcome()(scope, receive, secure)
                return
            self._check(request)
        except RequestError as error:
            await error_answer(error)(scope, receive, secure)
            return
        await self._app(scope, _bounded(receive, request.headers), secure)

    def _brings_the_token(self, request: Request) -> bool:
        """Whether this is the first request of a browser, at the address that was printed."""
        self._check_host(request.headers)
        asks = request.method == "GET" and request.scope["path"] == "/" and "token" in request.query_params
        return asks and self._access.accepts(request.query_params["token"])

    def _welcome(self) -> RedirectResponse:
        """The cookie, and the address without the token, which would stay in the history of the browser."""
        response = RedirectResponse("/", 303)
        response.set_cookie(self._access.cookie, self._access.token, httponly=True, samesite="strict")
        return response

    def _check(self, request: Request) -> None:
        """Raise RequestError for a request that may not come through."""
        headers = request.headers
        if not self._access.accepts(request.cookies.get(self._access.cookie)):
            raise RequestError(403, "this needs the address with its token, as the terminal shows it")
        opens_the_page = request.scope["path"] == "/" and headers.get("sec-fetch-mode") == "navigate"
        if not opens_the_page and headers.get("sec-fetch-site") not in _OWN_SITES:
            raise RequestError(403, "another site sent this request")
        if headers.get("origin") not in (None, f"http://{headers['host']}"):
            raise RequestError(403, "another site sent this request")
        if int(headers.get("content-length", 0)) > MAX_BODY:
            raise _too_large()

    def _check_host(self, headers: Headers) -> None:
        if len(headers.getlist("host")) != 1 or not self._access.serves(headers["host"]):
            raise RequestError(403, "this address is not served", "Use the address that the terminal shows.")


def _too_large() -> RequestError:
    return RequestError(413, f"the body is larger than {MAX_BODY:,} bytes")


def _bounded(receive: Receive, headers: Headers) -> Receive:
    """``receive``, which refuses a body that is too large, whatever its header says."""
    left = MAX_BODY

    async def bounded() -> Message:
        nonlocal left
        message = await receive()
        left -= len(message.get("body", b""))
        if left < 0:
            raise _too_large()
        return message

    return bounded


def _secured(send: Send, path: str) -> Send:
    """``send``, which adds the headers that make a response safe."""

    async def secured(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers.update({**_HEADERS, "cache-control": "no-cache" if path.startswith("/static/") else "no-store"})
        await send(message)

    return secured
