"""Labelled sets of drawn digits, in files that other programs read: NumPy's npz, MNIST's IDX, CSV.

Images are written as they are drawn, so a set of any size takes no more memory than a batch, and a file gets its name
when it is whole.
"""

import csv
import io
import itertools
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import IO

import numpy as np

from mnistdiff.engine.inference.sampling import Sample
from mnistdiff.engine.storage import new_file
from mnistdiff.settings import IMAGE_SIZE

LEAST_FOR_IDX = 2
"""One image for each half."""
_SHARE_FOR_TESTS = 7
"""Of MNIST's 70,000 images, 10,000 are the test set."""
_IDX_OF_BYTES = 0x08

Add = Callable[[Iterable[Sample]], None]
"""Takes the images as they come."""


@contextmanager
def npz_file(path: Path, count: int) -> Iterator[Add]:
    """One file: ``images`` (N, 28, 28) and ``labels`` (N,) of uint8, ``seeds`` (N,) of uint32."""
    labels, seeds = bytearray(), []
    with new_file(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open(_entry("images"), "w", force_zip64=True) as images:
            shape = (count, IMAGE_SIZE, IMAGE_SIZE)
            np.lib.format.write_array_header_1_0(images, {"descr": "|u1", "fortran_order": False, "shape": shape})

            def add(drawings: Iterable[Sample]) -> None:
                for drawing in drawings:
                    images.write(drawing.pixels.tobytes())
                    labels.append(drawing.label)
                    seeds.append(drawing.seed)

            yield add
        for name, array in (("labels", np.frombuffer(labels, np.uint8)), ("seeds", np.array(seeds, np.uint32))):
            content = io.BytesIO()
            np.lib.format.write_array(content, array)
            archive.writestr(_entry(name), content.getvalue(), zipfile.ZIP_DEFLATED)


def _entry(name: str) -> zipfile.ZipInfo:
    """Of the zip's own epoch: the same images are the same bytes whenever they are drawn."""
    entry = zipfile.ZipInfo(f"{name}.npy")
    entry.compress_type = zipfile.ZIP_DEFLATED
    return entry


@contextmanager
def idx_folder(path: Path, count: int) -> Iterator[Add]:
    """``MNIST/raw`` in a folder, as torchvision.datasets.MNIST reads it; every seventh image goes to the test set.

    Of fewer than seven images it is the last one: torchvision reads no empty set.
    """
    raw = path / "MNIST" / "raw"
    tests = max(count // _SHARE_FOR_TESTS, 1)
    with _new_folders(raw, raw.parent, path), ExitStack() as files:
        streams: dict[str, tuple[IO[bytes], IO[bytes]]] = {}
        for part, number in (("train", count - tests), ("t10k", tests)):
            images = files.enter_context(new_file(raw / f"{part}-images-idx3-ubyte"))
            labels = files.enter_context(new_file(raw / f"{part}-labels-idx1-ubyte"))
            images.write(_idx_head(number, IMAGE_SIZE, IMAGE_SIZE))
            labels.write(_idx_head(number))
            streams[part] = images, labels
        place = 0

        def add(drawings: Iterable[Sample]) -> None:
            nonlocal place
            for drawing in drawings:
                place += 1
                images, labels = streams["t10k" if place % min(_SHARE_FOR_TESTS, count) == 0 else "train"]
                images.write(drawing.pixels.tobytes())
                labels.write(bytes([drawing.label]))

        yield add
        for stream in itertools.chain(*streams.values()):
            stream.flush()  # all or none: no file gets its name while another may still find the disk full


@contextmanager
def _new_folders(*folders: Path) -> Iterator[None]:
    """Make these, the innermost first; on failure remove those that were not there, unless something is in them."""
    made = [folder for folder in folders if not folder.exists()]
    try:
        folders[0].mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        with suppress(OSError):
            for folder in made:
                folder.rmdir()
        raise


def _idx_head(*shape: int) -> bytes:
    """Two zeros, the kind of number, how many dimensions, and each of them (http://yann.lecun.com/exdb/mnist)."""
    return bytes([0, 0, _IDX_OF_BYTES, len(shape)]) + b"".join(size.to_bytes(4, "big") for size in shape)


@contextmanager
def csv_file(path: Path, count: int) -> Iterator[Add]:
    """One line an image: label, 784 grey levels row by row, seed."""
    del count
    with new_file(path) as file:
        text = io.TextIOWrapper(file, "ascii", newline="")
        table = csv.writer(text, lineterminator="\n")
        table.writerow(["label", *(f"pixel{place}" for place in range(IMAGE_SIZE**2)), "seed"])

        def add(drawings: Iterable[Sample]) -> None:
            table.writerows([d.label, *d.pixels.reshape(-1).tolist(), d.seed] for d in drawings)

        yield add
        text.flush()
        text.detach()  # the file is closed by who opened it


Writer = Callable[[Path, int], AbstractContextManager[Add]]
WRITERS: Mapping[str, Writer] = MappingProxyType({"npz": npz_file, "idx": idx_folder, "csv": csv_file})
"""A writer by format: of so many images, into a file or (idx) a folder."""
