"""Write labelled data sets of sampled images: npz (NumPy), IDX (the format of MNIST), CSV.

Images are written as they are sampled, so that a data set of any size needs the memory of a batch. A file appears
under its name when it is complete.
"""

import csv
import io
import itertools
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO

import numpy as np

from mnistdiff.engine.data.idx_file import idx_header
from mnistdiff.engine.inference.sampling import Sample
from mnistdiff.engine.storage import make_folder, new_file

LEAST_FOR_IDX = 2
"""Images: one for each split."""
_TEST_EVERY = 7
"""Every seventh image is a test image, as 10,000 of MNIST's 70,000 are."""

Add = Callable[[Iterable[Sample]], None]
"""Writes some more images."""


@contextmanager
def npz_file(path: Path, count: int, image_size: int) -> Iterator[Add]:
    """An npz file: ``images`` (N, H, W) and ``labels`` (N,) of uint8, ``seeds`` (N,) of uint32."""
    labels, seeds = bytearray(), []
    with new_file(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open(_entry("images"), "w", force_zip64=True) as images:
            shape = (count, image_size, image_size)
            np.lib.format.write_array_header_1_0(images, {"descr": "|u1", "fortran_order": False, "shape": shape})

            def add(samples: Iterable[Sample]) -> None:
                for sample in samples:
                    images.write(sample.pixels.tobytes())
                    labels.append(sample.label)
                    seeds.append(sample.seed)

            yield add
        for name, array in (("labels", np.frombuffer(labels, np.uint8)), ("seeds", np.array(seeds, np.uint32))):
            content = io.BytesIO()
            np.lib.format.write_array(content, array)
            archive.writestr(_entry(name), content.getvalue(), zipfile.ZIP_DEFLATED)


def _entry(name: str) -> zipfile.ZipInfo:
    """An entry with the oldest date of the format: the same images give the same bytes at any time."""
    entry = zipfile.ZipInfo(f"{name}.npy")
    entry.compress_type = zipfile.ZIP_DEFLATED
    return entry


@contextmanager
def idx_folder(path: Path, count: int, image_size: int) -> Iterator[Add]:
    """A folder with ``MNIST/raw``, as torchvision.datasets.MNIST reads it; every seventh image is a test image.

    Of fewer than seven images the last one is: torchvision cannot read an empty test set.
    """
    raw = path / "MNIST" / "raw"
    tests = max(count // _TEST_EVERY, 1)
    with _new_folders(raw, raw.parent, path), ExitStack() as files:
        streams: dict[str, tuple[IO[bytes], IO[bytes]]] = {}
        for part, number in (("train", count - tests), ("t10k", tests)):
            images = files.enter_context(new_file(raw / f"{part}-images-idx3-ubyte"))
            labels = files.enter_context(new_file(raw / f"{part}-labels-idx1-ubyte"))
            images.write(idx_header((number, image_size, image_size)))
            labels.write(idx_header((number,)))
            streams[part] = images, labels
        place = 0

        def add(samples: Iterable[Sample]) -> None:
            nonlocal place
            for sample in samples:
                place += 1
                images, labels = streams["t10k" if place % min(_TEST_EVERY, count) == 0 else "train"]
                images.write(sample.pixels.tobytes())
                labels.write(bytes([sample.label]))

        yield add
        for stream in itertools.chain(*streams.values()):
            stream.flush()  # all or none: no file appears while the disk may be too full for another


@contextmanager
def _new_folders(*folders: Path) -> Iterator[None]:
    """Create folders, the innermost first; on failure remove those that were new and are empty."""
    made = [folder for folder in folders if not folder.exists()]
    try:
        make_folder(folders[0])
        yield
    except BaseException:
        with suppress(OSError):
            for folder in made:
                folder.rmdir()
        raise


@contextmanager
def csv_file(path: Path, count: int, image_size: int) -> Iterator[Add]:
    """A CSV file with a row for each image: label, grey levels row by row, seed."""
    del count
    with new_file(path) as file:
        text = io.TextIOWrapper(file, "ascii", newline="")
        table = csv.writer(text, lineterminator="\n")
        table.writerow(["label", *(f"pixel{k}" for k in range(image_size**2)), "seed"])

        def add(samples: Iterable[Sample]) -> None:
            table.writerows([each.label, *each.pixels.reshape(-1).tolist(), each.seed] for each in samples)

        yield add
        text.flush()
        text.detach()  # ``new_file`` closes it


Writer = Callable[[Path, int, int], AbstractContextManager[Add]]
WRITERS: Mapping[str, Writer] = {"npz": npz_file, "idx": idx_folder, "csv": csv_file}
"""Writers by format: (path of a file or, for idx, a folder; number of images; their height and width)."""
