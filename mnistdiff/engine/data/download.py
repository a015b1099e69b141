"""Download of data set files over https."""

import io
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.client import HTTPException, IncompleteRead
from urllib.parse import urljoin

from mnistdiff.engine.data.datasets import DatasetSpec, IdxFile
from mnistdiff.engine.data.idx import uncompressed, verified
from mnistdiff.engine.libraries import require
from mnistdiff.errors import DataError

_TIMEOUT_SECONDS = 20.0
"""For the connection, and for each read."""
_ATTEMPTS = 3
_PAUSE_SECONDS = 1.0
_GZIP_OVERHEAD = 2**16
"""Bytes by which a compressed file may be larger than its content."""


def download(spec: DatasetSpec, file: IdxFile) -> bytes:
    """The content of a file of a data set, uncompressed and verified, from the first mirror that has it.

    Raises:
        DataError: if no https mirror is known, or the file of the last one has the wrong content.
        OSError, HTTPException: if the last one cannot be reached or closes the connection.
        MissingLibraryError: if torchvision cannot be loaded.
    """
    problem: Exception = DataError(f"no https address of {spec.title} is known")
    for address in _mirrors(spec):
        for attempt in range(_ATTEMPTS):
            time.sleep(_PAUSE_SECONDS * attempt)
            try:
                packed = io.BytesIO(read_url(urljoin(address, f"{file.name}.gz"), file.size + _GZIP_OVERHEAD))
                return verified(uncompressed(packed, file.size + 1, source=address), file, source=address)
            except (DataError, OSError, HTTPException) as error:
                problem = error
                if not _may_pass(error):
                    break
    raise problem


def _mirrors(spec: DatasetSpec) -> Iterator[str]:
    """Folder addresses from torchvision, which keeps them up to date."""
    if not spec.torchvision_name:
        return
    require("torchvision")
    from torchvision import datasets  # takes seconds

    for address in getattr(datasets, spec.torchvision_name).mirrors:
        if address.startswith("https:"):
            yield address


def read_url(address: str, limit: int) -> bytes:
    """The first ``limit`` bytes at an https address; no redirection to another protocol is followed.

    Raises:
        OSError, HTTPException: if it cannot be reached, refuses or closes the connection early.
    """
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    with opener.open(address, timeout=_TIMEOUT_SECONDS) as response:
        content: bytes = response.read(limit)
        if len(content) < limit and response.length:
            raise IncompleteRead(content, response.length)
        return content


def _may_pass(error: Exception) -> bool:
    """Whether an error may be temporary."""
    if isinstance(error, urllib.error.HTTPError):
        return error.code >= 500
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    return isinstance(cause, ConnectionError | TimeoutError | HTTPException)
