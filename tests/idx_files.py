"""IDX files as the data sets publish them, and small data sets that the program takes for genuine."""

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from mnistdiff.engine.data.datasets import DatasetSpec

CODES = {np.dtype(np.uint8): 8, np.dtype(np.int32): 12}


def idx(array: np.ndarray) -> bytes:
    """The content of an IDX file."""
    header = bytes([0, 0, CODES[array.dtype], array.ndim]) + np.array(array.shape, ">i4").tobytes()
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


def small(
    spec: DatasetSpec, arrays: Mapping[str, np.ndarray], **changes: object
) -> tuple[DatasetSpec, dict[str, bytes]]:
    """A data set with the file names of another and these arrays, and the content of its ``.gz`` files by name.

    Each file is verified as that of the other is: by the digests that are known of it.
    """
    packed, files = {}, {}
    for split, pair in spec.files.items():
        replaced = []
        for file in pair:
            content = idx(arrays[file.name])
            packed[file.name] = gzip.compress(content, mtime=0)
            digests = {
                "sha256": file.sha256 and hashlib.sha256(content).hexdigest(),
                "gz_sha256": file.gz_sha256 and hashlib.sha256(packed[file.name]).hexdigest(),
                "md5": file.md5 and hashlib.md5(content).hexdigest(),
            }
            replaced.append(replace(file, shape=arrays[file.name].shape, **digests))
        files[split] = tuple(replaced)
    return replace(spec, files=files, **changes), packed


def store(folder: Path, packed: Mapping[str, bytes], *, unpacked: bool = False) -> None:
    """Write the files of ``small`` into a folder, with or without ``.gz``."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in packed.items():
        (folder / (name if unpacked else f"{name}.gz")).write_bytes(gzip.decompress(content) if unpacked else content)
