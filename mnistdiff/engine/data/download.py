"""Download of data set files over https."""

import hashlib
import io
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from http.client import HTTPException
from typing import IO, TypeVar
from urllib.parse import urljoin

from mnistdiff.engine.data import idx
from mnistdiff.engine.data.datasets import DatasetSpec
from mnistdiff.engine.data.idx_file import Archive, IdxFile
from mnistdiff.engine.libraries import require
from mnistdiff.engine.progress import Progress, Work
from mnistdiff.errors import DataError, StorageError

R = TypeVar("R")

_TIMEOUT_SECONDS = 20.0
"""For the connection, and for each read."""
_ATTEMPTS = 3
_PAUSE_SECONDS = 1.0
_CHUNK = 2**20
_MEGABYTE = 10**6


def download(spec: DatasetSpec, file: IdxFile) -> Work[None, bytes]:
    """Download a file of a data set, from the first mirror that has it.

    Returns:
        the verified file as it is to be stored: the published ``.gz`` file, or its content if that has the digest.

    Raises:
        DataError: if no https mirror is known, or the file of the last one has the wrong content.
        OSError, HTTPException: if the last one cannot be reached or closes the connection.
        MissingLibraryError: if torchvision cannot be loaded.
    """
    target = io.BytesIO()

    def check(address: str) -> bytes:
        packed = target.getvalue()
        if file.stored_name == file.name:
            return idx.unpacked(packed, file, source=address, hint="").content
        if not file.matches_packed(packed):
            raise DataError(f"{address} has the wrong content: its SHA-256 is not {file.gz_sha256[:12]}...")
        return packed

    addresses = (urljoin(mirror, f"{file.name}.gz") for mirror in _mirrors(spec))
    return (yield from _received(addresses, file.size + idx.GZIP_OVERHEAD, target, check, title=spec.title))


def download_archive(archive: Archive, target: IO[bytes], *, title: str) -> Work[None, None]:
    """Download an archive.

    Args:
        archive: what to download.
        target: an empty file, that is written.
        title: of the data set.

    Raises:
        DataError: if it has the wrong content.
        OSError, HTTPException: if it cannot be reached, or the connection is closed.
        StorageError: if the file cannot be written.
    """

    def check(address: str) -> None:
        target.seek(0)
        digest = hashlib.file_digest(target, "sha256").hexdigest()  # type: ignore[arg-type]
        if digest != archive.sha256:
            raise DataError(
                f"{address} has the wrong content: its SHA-256 is {digest[:12]}..., not {archive.sha256[:12]}..."
            )

    yield from _received([archive.address], archive.size + 1, target, check, title=title)


def files_in(content: IO[bytes], archive: Archive, files: Sequence[IdxFile]) -> Iterator[tuple[str, bytes]]:
    """Name and content of the ``.gz`` files of data sets in a verified archive.

    Raises:
        DataError: if one is missing or is not what it should be.
    """
    with zipfile.ZipFile(content) as members:
        for file in files:
            try:
                with members.open(f"{archive.folder}{file.name}.gz") as member:
                    packed = member.read(file.size + idx.GZIP_OVERHEAD)
            except (KeyError, zipfile.BadZipFile) as error:
                raise DataError(f"{archive.address} does not hold {file.name}.gz: {error}") from error
            idx.unpacked(packed, file, source=f"{file.name}.gz of {archive.address}", hint="")
            yield f"{file.name}.gz", packed


def _received(
    addresses: Iterable[str], limit: int, target: IO[bytes], check: Callable[[str], R], *, title: str
) -> Work[None, R]:
    """Write to ``target`` what the first address has whose content ``check`` accepts, and return what it returns."""
    problem: Exception = DataError(f"no https address of {title} is known")
    for address in addresses:
        for attempt in range(_ATTEMPTS):
            time.sleep(_PAUSE_SECONDS * attempt)
            target.seek(0)
            target.truncate()
            try:
                for done, total in receive(address, limit, target):
                    yield Progress("downloading, MB", done // _MEGABYTE, total // _MEGABYTE)
                return check(address)
            except (DataError, OSError, HTTPException) as error:
                problem = error
                if isinstance(error, urllib.error.HTTPError):
                    error.close()  # its response, which is open until then
                if not _may_pass(error):
                    break
    raise problem


def _mirrors(spec: DatasetSpec) -> Iterator[str]:
    """Folder addresses: those of the spec, or else from torchvision, which keeps them up to date."""
    if spec.mirrors or not spec.torchvision_name:
        yield from spec.mirrors
        return
    require("torchvision")
    from torchvision import datasets  # takes seconds

    for address in getattr(datasets, spec.torchvision_name).mirrors:
        if address.startswith("https:"):
            yield address


def receive(address: str, limit: int, target: IO[bytes]) -> Iterator[tuple[int, int]]:
    """Write to a file what is at an https address; no redirection to another protocol is followed.

    Args:
        address: where it is.
        limit: bytes that are read at most.
        target: the file.

    Yields:
        bytes received, and in all as far as known.

    Raises:
        OSError, HTTPException: if it cannot be reached, refuses or closes the connection early.
        StorageError: if the file cannot be written.
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
        done, total = 0, min(response.length or limit, limit)
        while chunk := response.read(min(_CHUNK, limit - done)):
            done += len(chunk)
            try:
                target.write(chunk)
                target.flush()
            except OSError as error:
                raise StorageError(
                    f"the download cannot be stored: {error.strerror}", "Free some space, or set `data_dir`."
                ) from error
            yield done, total
        if done < limit and response.length:
            raise ConnectionError(f"closed after {done:,} of {total:,} bytes")


def _may_pass(error: Exception) -> bool:
    """Whether an error may be temporary."""
    if isinstance(error, urllib.error.HTTPError):
        return error.code >= 500
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    return isinstance(cause, ConnectionError | TimeoutError | HTTPException)
