"""The cache of prepared pictures: images and labels by their digest, and what a list of files was made to.

A file of images is named by the SHA-256 of its content: the IDX files of images and labels, one behind the other.
A file of the index is named by the digest of a listing and that of the settings; it holds the record.
"""

import hashlib
import json
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from mnistdiff.engine.cache import cache_folder
from mnistdiff.engine.data.datasets import LabelledImages
from mnistdiff.engine.data.idx_file import idx_header
from mnistdiff.engine.storage import is_temporary, make_folder, new_file, remove, write_atomically
from mnistdiff.errors import MnistDiffError
from mnistdiff.pictures import Pictures, PictureSettings

MAX_BYTES = 4 * 10**9
"""Of all images in the cache: the least recently used are removed."""
_IMAGES, _RECORD = ".idx", ".json"
_MAX_RECORDS = 1000
_DAY_SECONDS = 86_400
_VERSION = 1
"""To be raised when pictures are prepared differently."""
_DIMENSIONS = 3


def digest_of(data: LabelledImages) -> str:
    """The SHA-256 of two IDX files: images, then labels."""
    sha256 = hashlib.sha256()
    for part in _parts(data):
        sha256.update(part)
    return sha256.hexdigest()


def _parts(data: LabelledImages) -> Iterator[memoryview]:
    for array in (data.images, data.labels):
        yield memoryview(idx_header(array.shape))
        yield np.ascontiguousarray(array).reshape(-1).data


def kept_images(sha256: str) -> LabelledImages | None:
    """The images with this digest; None if the cache has none, or a file that is damaged."""
    path = _path(sha256 + _IMAGES)
    if path is None:
        return None
    try:
        content = np.fromfile(path, np.uint8)
        os.utime(path)
    except OSError:
        return None
    if hashlib.sha256(content.data).hexdigest() != sha256:
        with suppress(OSError):
            remove(path)
        return None
    shape = np.frombuffer(content[4 : 4 * (1 + _DIMENSIONS)], ">u4").astype(int)
    start = 4 * (1 + _DIMENSIONS)
    end = start + int(shape.prod())
    return LabelledImages(content[start:end].reshape(shape), content[end + 8 :])


def keep_images(data: LabelledImages, sha256: str) -> None:
    """Keep images under their digest, and remove those that were not used for longest; do nothing if that fails."""
    with suppress(OSError, MnistDiffError):
        path = _path(sha256 + _IMAGES)
        if path is None:
            return
        make_folder(path.parent)
        with new_file(path) as file:
            for part in _parts(data):
                file.write(part)
        _make_room(path)


def kept_records(
    listing_digest: str, settings: PictureSettings | None = None
) -> list[tuple[Pictures, tuple[str, ...]]]:
    """The records that a listing was made to, with their notices; only those of ``settings`` if they are given."""
    folder = _folder()
    if folder is None:
        return []
    prefix = _index_name(listing_digest, settings) if settings is not None else f"{listing_digest}-"
    found = []
    for path in sorted(folder.glob(f"{prefix}*")):
        with suppress(OSError, ValueError, KeyError, TypeError, ValidationError):
            content = json.loads(path.read_bytes())
            notices = tuple(str(each) for each in content["notices"])
            found.append((Pictures.model_validate_json(json.dumps(content["pictures"])), notices))
    return found


def keep_record(listing_digest: str, settings: PictureSettings, pictures: Pictures, notices: tuple[str, ...]) -> None:
    """Keep what a listing was made to; do nothing if that fails."""
    with suppress(OSError, MnistDiffError):
        path = _path(_index_name(listing_digest, settings))
        if path is None:
            return
        make_folder(path.parent)
        content = {"pictures": pictures.model_dump(mode="json"), "notices": notices}
        write_atomically(path, json.dumps(content).encode(), durable=False)


def _index_name(listing_digest: str, settings: PictureSettings) -> str:
    how = hashlib.sha256(f"{_VERSION} {settings.model_dump_json()}".encode()).hexdigest()[:16]
    return f"{listing_digest}-{how}{_RECORD}"


def _folder() -> Path | None:
    folder = cache_folder()
    return None if folder is None else folder / "pictures"


def _path(name: str) -> Path | None:
    folder = _folder()
    return None if folder is None else folder / name


def _make_room(newest: Path) -> None:
    """Remove images that were not used for longest, old records, and files that a killed process has left."""
    entries = [(path, path.stat()) for path in newest.parent.iterdir()]
    entries.sort(key=lambda entry: entry[1].st_mtime, reverse=True)
    images = [entry for entry in entries if entry[0].suffix == _IMAGES and entry[0] != newest]
    room = MAX_BYTES - newest.stat().st_size
    for path, status in images:
        room -= status.st_size
        if room < 0:
            remove(path)
    records = [path for path, _ in entries if path.suffix == _RECORD]
    for path in records[_MAX_RECORDS:]:
        remove(path)
    for path, status in entries:
        if is_temporary(path.name) and time.time() - status.st_mtime > _DAY_SECONDS:
            remove(path)
