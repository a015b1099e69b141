"""Sets of pictures written to disk: folders of PNGs, and the same images in one file."""

import csv
import gzip
from pathlib import Path

import numpy as np
from PIL import Image


def blobs(count=6, classes=2, size=28, seed=0):
    """Small bright squares on black, in the order of their labels; those of a class lie side by side."""
    random = np.random.default_rng(seed)
    labels = np.repeat(np.arange(classes, dtype=np.uint8), count)
    images = np.zeros((len(labels), size, size), np.uint8)
    for image, label in zip(images, labels, strict=True):
        top, left = random.integers(4, 8), 4 + 3 * label
        image[top : top + 8, left : left + 8] = random.integers(128, 255, (8, 8))
    return images, labels


def write_folder(folder, images, labels, names="abcdefghij", suffix=".png"):
    """A folder with a sub-folder for each class; the files are in the order of the images."""
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        inside = Path(folder) / names[label]
        inside.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(inside / f"{number:05}{suffix}")
    return Path(folder)


def write_csv(path, images, labels):
    with gzip.open(path, "wt", newline="") if str(path).endswith(".gz") else open(path, "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["label", *(f"pixel{k}" for k in range(images[0].size)), "seed"])
        table.writerows([label, *image.reshape(-1), 4_000_000_000] for image, label in zip(images, labels, strict=True))
    return path


def write_npz(path, images, labels):
    np.savez_compressed(path, images=images, labels=labels)
    return path


def idx_bytes(array):
    shape = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return bytes([0, 0, 8, array.ndim]) + shape + array.tobytes()


def write_idx(folder, images, labels, stem="mine-", packed=False):
    folder.mkdir(parents=True, exist_ok=True)
    for array, name in ((images, "images-idx3-ubyte"), (labels, "labels-idx1-ubyte")):
        content = idx_bytes(array)
        path = folder / f"{stem}{name}{'.gz' * packed}"
        path.write_bytes(gzip.compress(content) if packed else content)
    return folder
