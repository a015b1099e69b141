"""The data sets in MNIST's format: what is known of them, and their files in the exact layouts."""

import gzip
from dataclasses import replace

import numpy as np
import pytest
from idx_files import idx, small, store
from torchvision import datasets as torchvision

from mnistdiff.engine.data.datasets import LabelledImages
from mnistdiff.engine.data.load import load_images
from mnistdiff.engine.data.mnist_family import (
    EMNIST_BALANCED,
    EMNIST_DIGITS,
    EMNIST_LETTERS,
    FASHION_MNIST,
    KMNIST,
    QMNIST,
)
from mnistdiff.errors import DataError
from mnistdiff.setting_types import DATASETS

EMNIST = (EMNIST_LETTERS, EMNIST_BALANCED, EMNIST_DIGITS)


def noise(count, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, 28, 28), dtype=np.uint8)


def in_columns(images):
    """Images as EMNIST stores them: entry [x, y] is the pixel of row y and column x."""
    stored = np.empty_like(images)
    for y in range(28):
        for x in range(28):
            stored[:, x, y] = images[:, y, x]
    return stored


def of_qmnist(labels):
    """Labels of eight columns: class, series, writer, index, NIST's code (30 to 39), index, duplicate, unused."""
    columns = np.full((len(labels), 8), 1 << 20, np.int32)
    columns[:, 0], columns[:, 4] = labels, labels + 30
    return columns


LABELS = np.array([2, 0, 1, 1, 0, 2], np.uint8)
COUNTS = (2, 2, 2)
CASES = {
    "fashion-mnist": (FASHION_MNIST, lambda images: images, lambda labels: labels),
    "kmnist": (KMNIST, lambda images: images, lambda labels: labels),
    "emnist-letters": (EMNIST_LETTERS, in_columns, lambda labels: (labels + 1).astype(np.uint8)),
    "emnist-balanced": (EMNIST_BALANCED, in_columns, lambda labels: labels),
    "emnist-digits": (EMNIST_DIGITS, in_columns, lambda labels: labels),
    "qmnist": (QMNIST, lambda images: images, of_qmnist),
}


@pytest.fixture(params=CASES)
def case(request):
    """A small data set in the layout of another, and its ``.gz`` files."""
    spec, stored, labelled = CASES[request.param]
    names = [file.name for file in spec.idx_files]
    arrays = {names[0]: stored(noise(6)), names[1]: labelled(LABELS), names[2]: stored(noise(3, 1))}
    arrays[names[3]] = labelled(LABELS[:3])
    return small(spec, arrays, class_names=spec.class_names[:3], class_counts=COUNTS, class_aliases={})


@pytest.mark.parametrize("unpacked", [False, True])
def test_files_are_found_in_torchvisions_folder_and_read(case, tmp_path, *, unpacked):
    spec, packed = case
    store(tmp_path / spec.torchvision_name / "raw", packed, unpacked=unpacked)
    for split, images, labels in (("train", noise(6), LABELS), ("test", noise(3, 1), LABELS[:3])):
        data = load_images(spec, split, data_dir=tmp_path, may_download=False)
        assert np.array_equal(data.images, images)
        assert np.array_equal(data.labels, labels)
        assert (data.images.dtype, data.labels.dtype, data.images.flags.c_contiguous) == (np.uint8, np.uint8, True)
        raw = {"md5": "MD5"}.get(spec.files[split][0].digest[0], "size")
        assert data.verified_by == ((raw if unpacked else "SHA-256"),) * 2


def test_one_wrong_bit_is_found_wherever_a_digest_is_known(case, tmp_path):
    spec, packed = case
    name = spec.files["train"][0].name
    folder = tmp_path / spec.torchvision_name / "raw"
    content = bytearray(gzip.decompress(packed[name]))
    content[100] ^= 1
    store(folder, packed | {name: gzip.compress(bytes(content))}, unpacked=True)
    if spec.files["train"][0].md5:
        with pytest.raises(DataError, match=f"{name} has the wrong content"):
            load_images(spec, "train", data_dir=tmp_path)
    (folder / f"{name}.gz").write_bytes(packed[name])  # the right file beside it, of known digest, is taken
    assert np.array_equal(load_images(spec, "train", data_dir=tmp_path).images, noise(6))


@pytest.mark.parametrize("name", ["emnist-letters", "qmnist"])
@pytest.mark.parametrize("wrong", ["a class too often", "no class", "a label too few", "another type"])
def test_labels_that_no_digest_verifies_must_have_their_counts(tmp_path, name, wrong):
    spec, stored, labelled = CASES[name]
    images, labels = spec.files["train"]
    arrays = {file.name: labelled(LABELS) for file in spec.idx_files}
    arrays |= {file.name: stored(noise(6)) for file in (images, spec.files["test"][0])}
    spec, packed = small(spec, arrays, class_names=spec.class_names[:3], class_counts=COUNTS)
    array = {
        "a class too often": labelled(np.array([2, 0, 1, 1, 0, 0])),
        "no class": labelled(np.array([2, 0, 1, 1, 0, 3])),
        "a label too few": labelled(LABELS[:5]),
        "another type": arrays[labels.name].astype(np.int32 if arrays[labels.name].dtype == np.uint8 else np.uint8),
    }[wrong]
    store(tmp_path, packed | {labels.name: gzip.compress(idx(array))}, unpacked=True)
    with pytest.raises(DataError, match=r"EMNIST|QMNIST|emnist|qmnist"):
        load_images(spec, "train", data_dir=tmp_path)


def test_the_files_of_another_data_set_of_the_same_names_are_called_by_its_name(tmp_path, monkeypatch):
    arrays = {file.name: noise(6) if "images" in file.name else LABELS for file in KMNIST.idx_files}
    kmnist, packed = small(KMNIST, arrays, class_names=KMNIST.class_names[:3], class_counts=COUNTS, class_aliases={})
    monkeypatch.setitem(DATASETS._entries, "kmnist", kmnist)
    others = {name: 255 - array if array.ndim == 3 else array for name, array in arrays.items()}
    fashion, _ = small(FASHION_MNIST, others)
    store(tmp_path / "FashionMNIST" / "raw", packed, unpacked=True)
    with pytest.raises(DataError, match="it is of KMNIST"):
        load_images(fashion, "train", data_dir=tmp_path)


@pytest.mark.parametrize("spec", [FASHION_MNIST, KMNIST, *EMNIST, QMNIST], ids=lambda spec: spec.name)
def test_counts_names_and_digests_belong_together(spec):
    images, labels = spec.files["train"]
    assert DATASETS[spec.name] is spec
    assert sum(spec.class_counts) == images.shape[0] == labels.shape[0]
    assert len(set(spec.class_names)) == spec.num_classes
    assert all(len(file.gz_sha256) == 64 and file.shape[1:] in ((28, 28), (), (8,)) for file in spec.idx_files)
    assert len({file.gz_sha256 for each in (FASHION_MNIST, KMNIST, *EMNIST, QMNIST) for file in each.idx_files}) == 24
    for alias, name in spec.class_aliases.items():
        assert spec.class_names[spec.label_of(alias)] == name


def test_names_and_addresses_are_those_of_torchvision():
    def labels_of(spec, names):
        return [spec.label_of(name) for name in names]

    assert labels_of(FASHION_MNIST, torchvision.FashionMNIST.classes) == [*range(10)]
    assert labels_of(KMNIST, torchvision.KMNIST.classes) == [*range(10)]
    assert list(EMNIST_BALANCED.class_names) == torchvision.EMNIST.classes_split_dict["balanced"]
    assert labels_of(EMNIST_LETTERS, torchvision.EMNIST.classes_split_dict["letters"][1:]) == [*range(26)]
    assert EMNIST_LETTERS.archive.address == torchvision.EMNIST.url
    addresses = {f"{QMNIST.mirrors[0]}{file.name}.gz" for file in QMNIST.idx_files}
    assert addresses == {address for split in ("train", "test") for address, _ in torchvision.QMNIST.resources[split]}
    assert KMNIST.mirrors[0] == torchvision.KMNIST.mirrors[0].replace("http:", "https:")
    for spec in (FASHION_MNIST, KMNIST, *EMNIST, QMNIST):
        assert hasattr(torchvision, spec.torchvision_name)
        addresses = spec.mirrors if spec.archive is None else (spec.archive.address,)
        assert all(address.startswith("https:") for address in addresses)


def test_all_labels_of_a_data_set_fit_a_byte_and_its_null_label():
    images = LabelledImages(noise(47), np.arange(47, dtype=np.uint8))
    spec = replace(EMNIST_BALANCED, files={}, load=lambda split: images, class_counts=(1,) * 47)
    assert load_images(spec, "train", data_dir=None).labels.max() == 46 == spec.null_label - 1
