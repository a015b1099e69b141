"""Write labelled data sets of sampled images: npz (NumPy), IDX (the format of MNIST), CSV.

Labels are numbers. Where the classes are not the digits, their names are written as well.

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
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from mnistdiff.engine.data.class_names import CLASSES_FILE
from mnistdiff.engine.data.datasets import DatasetSpec
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
def npz_file(path: Path, count: int, dataset: DatasetSpec) -> Iterator[Add]:
    """An npz file: ``images`` (N, H, W) and ``labels`` (N,) of uint8, ``seeds`` (N,) of uint32.

    ``class_names`` are of the labels 0, 1, 2, ..., unless they are the digits.
    """
    labels, seeds = bytearray(), []
    with new_file(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open(_entry("images"), "w", force_zip64=True) as images:
            shape = (count, *dataset.image_shape[1:])
            np.lib.format.write_array_header_1_0(images, {"descr": "|u1", "fortran_order": False, "shape": shape})

            def add(samples: Iterable[Sample]) -> None:
                for sample in samples:
                    images.write(sample.pixels.tobytes())
                    labels.append(sample.label)
                    seeds.append(sample.seed)

            yield add
        arrays: dict[str, NDArray[Any]] = {
            "labels": np.frombuffer(labels, np.uint8),
            "seeds": np.array(seeds, np.uint32),
        }
        if not dataset.has_digits:
            arrays["class_names"] = np.array(dataset.class_names)
        for name, array in arrays.items():
            content = io.BytesIO()
            np.lib.format.write_array(content, array)
            archive.writestr(_entry(name), content.getvalue(), zipfile.ZIP_DEFLATED)


def _entry(name: str) -> zipfile.ZipInfo:
    """An entry with the oldest date of the format: the same images give the same bytes at any time."""
    entry = zipfile.ZipInfo(f"{name}.npy")
    entry.compress_type = zipfile.ZIP_DEFLATED
    return entry


@contextmanager
def idx_folder(path: Path, count: int, dataset: DatasetSpec) -> Iterator[Add]:
    """A folder with ``MNIST/raw``, as torchvision.datasets.MNIST reads it; every seventh image is a test image.

    Of fewer than seven images the last one is: torchvision cannot read an empty test set. Names of classes that are
    not the digits are in ``classes.txt``, a line for each label.
    """
    raw = path / "MNIST" / "raw"
    tests = max(count // _TEST_EVERY, 1)
    with _new_folders(raw, raw.parent, path), ExitStack() as files:
        streams: dict[str, tuple[IO[bytes], IO[bytes]]] = {}
        for part, number in (("train", count - tests), ("t10k", tests)):
            images = files.enter_context(new_file(raw / f"{part}-images-idx3-ubyte"))
            labels = files.enter_context(new_file(raw / f"{part}-labels-idx1-ubyte"))
            images.write(idx_header((number, *dataset.image_shape[1:])))
            labels.write(idx_header((number,)))
            streams[part] = images, labels
        if not dataset.has_digits:
            names = files.enter_context(new_file(raw / CLASSES_FILE))
            names.write("".join(f"{name}\n" for name in dataset.class_names).encode())
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
def csv_file(path: Path, count: int, dataset: DatasetSpec) -> Iterator[Add]:
    """A CSV file with a row for each image: label, grey levels row by row, seed; the class, unless it is a digit."""
    del count
    names = [() if dataset.has_digits else (name,) for name in dataset.class_names]
    with new_file(path) as file:
        text = io.TextIOWrapper(file, "utf-8", newline="")
        table = csv.writer(text, lineterminator="\n")
        pixels = (f"pixel{k}" for k in range(dataset.image_size**2))
        table.writerow(["label", *pixels, "seed", *([] if dataset.has_digits else ["class"])])

        def add(samples: Iterable[Sample]) -> None:
            table.writerows(
                [each.label, *each.pixels.reshape(-1).tolist(), each.seed, *names[each.label]] for each in samples
            )

        yield add
        text.flush()
        text.detach()  # ``new_file`` closes it


Writer = Callable[[Path, int, DatasetSpec], AbstractContextManager[Add]]
WRITERS: Mapping[str, Writer] = {"npz": npz_file, "idx": idx_folder, "csv": csv_file}
"""Writers by format: (path of a file or, for idx, a folder; number of images; the data set of the model)."""
