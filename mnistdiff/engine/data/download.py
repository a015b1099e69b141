"""MNIST from the network, by torchvision."""

import io
import socket
import sys
import urllib.request
from contextlib import redirect_stderr, redirect_stdout
from http.client import HTTPResponse
from pathlib import Path

from mnistdiff.engine.libraries import require

_TIMEOUT_SECONDS = 20.0


def download(root: Path) -> None:
    """Have torchvision fetch the four files into ``root/MNIST/raw``, quietly and by https alone.

    Raises:
        OSError, HTTPException, RuntimeError: what torchvision and urllib raise.
    """
    # torchvision offers no way to set these two, so they are changed for all of the process while it fetches.
    timeout, opener = socket.getdefaulttimeout(), urllib.request._opener  # type: ignore[attr-defined]
    socket.setdefaulttimeout(_TIMEOUT_SECONDS)
    urllib.request.install_opener(urllib.request.build_opener(_NoPlainHttp))
    try:
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            # Seconds of import, for those who lack the files.
            require("torchvision")
            from torchvision import datasets

            class MNIST(datasets.MNIST):  # type: ignore[misc]  # the name becomes that of the folder
                mirrors = [mirror for mirror in datasets.MNIST.mirrors if mirror.startswith("https:")]

            MNIST(root, download=True)
    finally:
        socket.setdefaulttimeout(timeout)
        urllib.request.install_opener(opener)


class _NoPlainHttp(urllib.request.HTTPHandler):
    """Refuses http, to which torchvision turns when any https transfer fails, even for want of disk space."""

    def http_open(self, req: urllib.request.Request) -> HTTPResponse:
        raise sys.exception() or OSError(f"{req.full_url} is not https")
