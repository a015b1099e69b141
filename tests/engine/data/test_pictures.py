"""Pictures of the user as training images: from every source the same set, kept in a cache that may be damaged."""

import os
import time
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from hostile_pictures import HOSTILE
from picture_sets import blobs, idx_bytes, write_csv, write_folder, write_idx, write_npz
from PIL import Image

from mnistdiff.engine.data.datasets import MNIST
from mnistdiff.engine.data.image_files import Picture
from mnistdiff.engine.data.load import load_images
from mnistdiff.engine.data.pictures import bounds, cache
from mnistdiff.engine.data.pictures.read import load_pictures, read_pictures
from mnistdiff.engine.data.pictures.square import squared
from mnistdiff.engine.data.preprocess import preprocess
from mnistdiff.engine.progress import collect, finish
from mnistdiff.errors import DataError
from mnistdiff.pictures import PictureSettings
from mnistdiff.settings import TrainSettings

IMAGES, LABELS = blobs()


@pytest.fixture(autouse=True)
def cached(monkeypatch, tmp_path):
    monkeypatch.setattr(cache, "cache_folder", lambda: tmp_path / "cache")
    return tmp_path / "cache" / "pictures"


@pytest.fixture
def folder(tmp_path):
    return write_folder(tmp_path / "set", IMAGES, LABELS)


def read(path, **settings):
    return finish(read_pictures(path, PictureSettings(**settings)))


def spec_of(record):
    return TrainSettings(dataset="pictures", pictures=record).spec


SOURCES = {
    "folder": lambda path: write_folder(path / "set", IMAGES, LABELS),
    "BMP": lambda path: write_folder(path / "set", IMAGES, LABELS, suffix=".BMP"),
    "CSV": lambda path: write_csv(path / "set.csv", IMAGES, LABELS),
    "packed CSV": lambda path: write_csv(path / "set.csv.gz", IMAGES, LABELS),
    "npz": lambda path: write_npz(path / "set.npz", IMAGES, LABELS),
    "IDX": lambda path: write_idx(path / "set", IMAGES, LABELS),
    "packed IDX": lambda path: write_idx(path / "set", IMAGES, LABELS, packed=True),
    "IDX of sample": lambda path: write_idx(path / "set" / "MNIST" / "raw", IMAGES, LABELS, "train-").parents[1],
    "IDX file": lambda path: write_idx(path / "set", IMAGES, LABELS) / "mine-images-idx3-ubyte",
}


@pytest.mark.parametrize("source", SOURCES)
def test_every_source_gives_the_same_images_in_the_same_order(tmp_path, source):
    prepared = read(SOURCES[source](tmp_path))
    assert np.array_equal(prepared.data.images, IMAGES)
    assert np.array_equal(prepared.data.labels, LABELS)
    assert prepared.notices == ()
    record = prepared.pictures
    assert (record.class_counts, record.image_size, record.inverted, record.border) == ((6, 6), 28, False, 0)
    assert record.class_names == (("a", "b") if source in ("folder", "BMP") else ("0", "1"))
    assert record.digest == cache.digest_of(prepared.data) == read(SOURCES["npz"](tmp_path)).pictures.digest


def test_the_digest_is_that_of_the_idx_files(folder):
    import hashlib

    expected = hashlib.sha256(idx_bytes(IMAGES) + idx_bytes(LABELS)).hexdigest()
    assert read(folder).pictures.digest == expected


def test_the_order_is_that_of_the_names_whatever_the_file_system_says(folder, monkeypatch):
    (folder / "a" / "z").mkdir()
    for path in sorted((folder / "a").glob("*.png"))[:3]:
        path.rename(folder / "a" / "z" / path.name)
    expected = read(folder).pictures.digest
    names = os.listdir
    for order in (sorted, lambda found: sorted(found, reverse=True)):
        monkeypatch.setattr(os, "listdir", lambda path, order=order: order(names(path)))
        kept = cache.kept_records
        monkeypatch.setattr(cache, "kept_records", lambda *_: [])
        assert read(folder).pictures.digest == expected
        monkeypatch.setattr(cache, "kept_records", kept)


def test_a_folder_without_folders_is_one_class(folder):
    record = read(folder / "a").pictures
    assert (record.class_names, record.class_counts, record.title) == (("a",), (6,), "a")
    assert spec_of(record).null_label == 1


def test_what_is_no_picture_is_passed_over(folder):
    expected = read(folder).pictures.digest
    for name in (".hidden.png", "Thumbs.db", "notes.txt", "a/.DS_Store", "a/list.csv"):
        (folder / name).write_bytes(b"no picture")
    for name in (".git", "__MACOSX"):
        write_folder(folder / name, IMAGES[:1], LABELS[:1])
    assert read(folder).pictures.digest == expected


def test_pictures_beside_the_class_folders_are_left_out_with_a_notice(folder):
    expected = read(folder).pictures.digest
    Image.fromarray(IMAGES[0]).save(folder / "cover.png")
    prepared = read(folder)
    assert prepared.pictures.digest == expected
    assert "cover.png" in prepared.notices[0]


@pytest.mark.parametrize("size", [28, 32, 64])
@pytest.mark.parametrize("shape", [(28, 28), (8, 8), (300, 100), (90, 200), (1, 50)])
def test_pictures_become_square(size, shape):
    levels = np.full(shape, 200, np.uint8)
    levels[1:-1, 1:-1] = 50
    padded, cropped = (squared(levels, size, fit) for fit in ("pad", "crop"))
    assert padded.shape == cropped.shape == (size, size)
    height, width = (max(1, round(side * size / max(shape))) for side in shape)
    outside = np.ones((size, size), bool)
    top, left = (size - height) // 2, (size - width) // 2
    outside[top : top + height, left : left + width] = False
    assert (padded[outside] == 200).all()
    if min(shape) >= 8:
        assert abs(int(padded[size // 2, size // 2]) - 50) <= 20  # an enlargement overshoots at edges
        assert abs(int(cropped[size // 2, size // 2]) - 50) <= 20


def test_a_reduced_picture_has_the_mean_of_its_pixels():
    levels = np.random.default_rng(0).integers(0, 255, (56, 56), dtype=np.uint8)
    expected = levels.reshape(28, 2, 28, 2).mean(axis=(1, 3))
    assert np.abs(squared(levels, 28, "pad") - expected).max() <= 1


def test_dark_on_light_is_inverted_once_for_the_set(tmp_path):
    dark = write_folder(tmp_path / "dark", 255 - IMAGES, LABELS)
    prepared = read(dark)
    assert np.array_equal(prepared.data.images, IMAGES)
    assert prepared.pictures.inverted
    assert any("invert" in notice for notice in prepared.notices)
    kept = read(dark, invert="no")
    assert np.array_equal(kept.data.images, 255 - IMAGES)
    assert (kept.pictures.inverted, kept.pictures.border, kept.notices) == (False, 255, ())
    bright = read(write_folder(tmp_path / "bright", IMAGES, LABELS), invert="yes")
    assert np.array_equal(bright.data.images, 255 - IMAGES)


def test_a_mixed_set_is_said_to_be_one(tmp_path):
    mixed = IMAGES.copy()
    mixed[:4] = 255 - mixed[:4]
    prepared = read(write_folder(tmp_path / "mixed", mixed, LABELS))
    assert np.array_equal(prepared.data.images, mixed)
    assert any("33%" in notice for notice in prepared.notices)


def test_fit_mnist_prepares_digits_as_scans_are(tmp_path):
    seven = np.zeros((28, 28), np.uint8)
    seven[4:7, 6:22] = seven[4:24, 17:20] = 255
    page = np.full((400, 300), 235, np.uint8)
    page[100:240, 90:230] = np.minimum(page[100:240, 90:230], 255 - np.kron(seven, np.ones((5, 5), np.uint8)))
    scans = np.stack([page, np.roll(page, 30, axis=1)])
    for size, ink in ((28, 20), (64, 46)):
        folder = write_folder(tmp_path / "scans", scans, [0, 0])
        images = read(folder, fit="mnist", image_size=size).data.images
        rows, columns = np.nonzero(images[0] > 51)
        assert abs(max(np.ptp(rows), np.ptp(columns)) + 1 - ink) <= 1
        assert images[0, 0].max() == 0  # bright on black
        spec = replace(MNIST, image_size=size, ink_size=ink)
        expected = preprocess(Picture.of(page, name="page"), spec).image
        assert np.array_equal(images[0], expected)


def test_pictures_for_a_model_are_prepared_as_its_training_images(folder, tmp_path):
    spec = spec_of(read(write_folder(tmp_path / "dark", 255 - IMAGES, LABELS), fit="crop").pictures)
    for levels in (IMAGES[3], 255 - IMAGES[3]):
        assert np.array_equal(preprocess(Picture.of(levels, name="it"), spec).image, IMAGES[3])
    light = spec_of(read(tmp_path / "dark", invert="no").pictures)
    assert np.array_equal(preprocess(Picture.of(IMAGES[3], name="it"), light).image, 255 - IMAGES[3])


def test_an_unchanged_folder_is_not_read_again(folder, monkeypatch):
    first = read(folder)
    progress = collect(read_pictures(folder, PictureSettings()))
    assert progress == []
    monkeypatch.setattr(Picture, "read", lambda path: pytest.fail(f"{path} was read"))
    monkeypatch.chdir(folder.parent)
    again = read(Path("set"))
    assert np.array_equal(again.data.images, first.data.images)
    assert np.array_equal(again.data.labels, first.data.labels)
    assert again.pictures == first.pictures
    assert np.array_equal(load_pictures(first.pictures, None).images, IMAGES)
    assert np.array_equal(load_images(spec_of(first.pictures), "train", data_dir=folder).labels, LABELS)


def test_a_changed_folder_is_read_again(folder):
    digest = read(folder).pictures.digest
    [path, *_] = sorted(folder.rglob("*.png"))
    times = path.stat()
    Image.fromarray(255 - IMAGES[0]).save(path)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    changed = read(folder).pictures.digest
    assert changed != digest
    path.rename(path.with_name("99999.png"))
    assert read(folder).pictures.digest not in (digest, changed)


@pytest.mark.parametrize("damage", ["cut off", "one bit", "no record", "record of nothing", "empty"])
def test_a_damaged_cache_is_made_again(folder, cached, damage):
    first = read(folder)
    [images], [record] = cached.glob("*.idx"), cached.glob("*.json")
    content = bytearray(images.read_bytes())
    if damage == "cut off":
        images.write_bytes(content[:-5])
    elif damage == "one bit":
        content[100] ^= 1
        images.write_bytes(content)
    elif damage == "empty":
        images.write_bytes(b"")
    else:
        other = record.read_text().replace(first.pictures.digest, "0" * 64)
        record.write_text("{}" if damage == "no record" else other)
    again = read(folder)
    assert again.pictures == first.pictures
    assert np.array_equal(again.data.images, IMAGES)
    assert np.array_equal(load_pictures(first.pictures, None).images, IMAGES)


def test_the_cache_keeps_what_was_used_last(tmp_path, cached, monkeypatch):
    size = len(idx_bytes(IMAGES)) + len(idx_bytes(LABELS))
    monkeypatch.setattr(cache, "MAX_BYTES", 2 * size)
    records = []
    for number in range(3):
        images, labels = blobs(seed=number)
        if number == 2:
            os.utime(cached / f"{records[1].digest}.idx", (1, 1))
        records.append(read(write_npz(tmp_path / f"{number}.npz", images, labels)).pictures)
        time.sleep(0.01)
    kept = {path.stem for path in cached.glob("*.idx")}
    assert kept == {records[0].digest, records[2].digest}
    with pytest.raises(DataError, match="not in the cache"):
        load_pictures(records[1], None)
    assert len(load_pictures(records[1], tmp_path / "1.npz")) == 12


def test_what_a_killed_process_left_in_the_cache_is_removed_after_a_day(folder, cached):
    cached.mkdir(parents=True)
    old, new = (cached / f".x.idx.{letter * 8}.mnistdiff-tmp" for letter in "ab")
    for path in (old, new):
        path.write_bytes(b"")
    os.utime(old, (1, 1))
    read(folder)
    assert (old.exists(), new.exists()) == (False, True)


def test_without_a_cache_pictures_are_read_each_time(folder, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    for where in (None, tmp_path / "file"):
        monkeypatch.setattr(cache, "cache_folder", lambda where=where: where)
        record = read(folder).pictures
        assert np.array_equal(load_pictures(record, folder).images, IMAGES)
        with pytest.raises(DataError, match="not in the cache"):
            load_pictures(record, None)


def test_other_pictures_than_those_of_the_record_are_refused(folder, tmp_path):
    record = read(folder).pictures
    other = write_npz(tmp_path / "other.npz", *blobs(seed=1))
    with pytest.raises(DataError) as caught:
        load_pictures(record, other)
    assert record.digest[:12] in str(caught.value)
    assert read(other).pictures.digest[:12] in str(caught.value)
    with pytest.raises(DataError, match="test"):
        load_images(spec_of(record), "test", data_dir=folder)


def test_an_inverted_set_with_bad_files_is_found_again_without_the_cache(tmp_path, cached):
    dark = write_folder(tmp_path / "dark", 255 - IMAGES, LABELS)
    (dark / "a" / "bad.png").write_bytes(b"no picture")
    record = read(dark, skip_bad=True, fit="crop", image_size=32).pictures
    for path in cached.iterdir():
        path.unlink()
    assert len(load_pictures(record, dark)) == 12


def test_hostile_files_are_left_out_or_named(folder, tmp_path):
    """They ask for gigabytes, or lie: each is decoded within the bounds of ``classify``, or refused."""
    bad = ("png-of-60000x60000-promised", "png-of-no-width", "gif-of-65535x65535", "jpeg-of-no-height", "ico", "eps")
    bad += ("bmp-of-30000x30000", "tiff-of-2-billion-strips", "png-with-two-headers", "webp-of-16777216x16777216")
    for name in bad:
        (folder / "b" / f"{name}.png").write_bytes(HOSTILE[name]())
    with pytest.raises(DataError) as caught:
        read(folder)
    assert "cannot be read" in str(caught.value)
    prepared = read(folder, skip_bad=True)
    assert 12 <= len(prepared.data) < 12 + len(bad)
    assert prepared.pictures.class_counts[0] == 6


TABLES = {
    "csv of two classes with one label": ("x.csv", b"label,pixel0,seed,class\n1,2,3,cat\n1,2,3,dog\n"),
    "csv of two labels with one class": ("x.csv", b'label,pixel0,class\n1,2,"a,b"\n2,2,"a,b"\n'),
    "csv of a class with a control character": ("x.csv", b"label,pixel0,class\n1,2,\x1b[2J\n2,2,b\n"),
    "csv of a very long class": ("x.csv", b"label,pixel0,class\n1,2," + b"x" * 200_000 + b"\n"),
    "csv of letters": ("x.csv", b"label,pixel0\nx,1\n"),
    "csv of too many values": ("x.csv", b"label,pixel0\n1,2,3\n"),
    "csv of a negative value": ("x.csv", b"label,pixel0\n1,2\n1,-2\n"),
    "csv of too large a value": ("x.csv", b"label,pixel0\n1,256\n"),
    "csv of fractions": ("x.csv", b"label,pixel0\n1,2.5\n"),
    "csv of no images": ("x.csv", b"label,pixel0\n"),
    "csv of no square": ("x.csv", b"label,pixel0,pixel1\n1,2,3\n"),
    "csv of another kind": ("x.csv", b"name,age\nA,3\n"),
    "csv of bytes": ("x.csv", bytes(range(256)) * 9),
    "csv of nothing": ("x.csv", b""),
    "csv cut off": ("x.csv.gz", b"\x1f\x8b\x08\0\0\0\0\0"),
    "csv of a line without end": ("x.csv", b"label,pixel0" + b",1" * 5_000_000),
    "npz of nothing": ("x.npz", b""),
    "npz of text": ("x.npz", b"no archive"),
    "idx of text": ("x-images-idx3-ubyte", b"no file of images"),
    "idx of 4 GB": ("x-images-idx3-ubyte", bytes([0, 0, 8, 3, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0])),
    "idx cut off": ("x-images-idx3-ubyte", idx_bytes(IMAGES)[:-9]),
    "idx too long": ("x-images-idx3-ubyte", idx_bytes(IMAGES) + b"\0"),
    "idx of fewer labels": ("x-images-idx3-ubyte", idx_bytes(IMAGES[:9])),
    "idx of two dimensions": ("x-images-idx3-ubyte", idx_bytes(IMAGES[0])),
}


@pytest.mark.parametrize("name", TABLES)
def test_a_damaged_file_is_named(tmp_path, name):
    file, content = TABLES[name]
    (tmp_path / file).write_bytes(content)
    (tmp_path / "x-labels-idx1-ubyte").write_bytes(idx_bytes(LABELS))
    with pytest.raises(DataError, match=file):
        read(tmp_path / file)


@pytest.mark.parametrize(
    "arrays",
    [
        {"labels": LABELS},
        {"images": IMAGES.astype(np.float32), "labels": LABELS},
        {"images": IMAGES[:, 0], "labels": LABELS},
        {"images": IMAGES, "labels": LABELS[:3]},
        {"images": IMAGES, "labels": LABELS / 2},
        {"images": np.array([object()]), "labels": LABELS[:1]},
        {"images": np.zeros((300, 2, 2), np.uint8), "labels": np.arange(300)},
        {"images": np.zeros((0, 28, 28), np.uint8), "labels": np.zeros(0, np.uint8)},
    ],
    ids=["no images", "floats", "no images of two dimensions", "too few labels", "fractions", "objects", "300", "none"],
)
def test_an_npz_of_other_arrays_is_refused(tmp_path, arrays):
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(DataError, match=r"x\.npz"):
        read(tmp_path / "x.npz")


def test_an_npz_that_promises_more_than_it_holds_is_refused_unread(tmp_path):
    import io
    import zipfile

    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": (10**7, 28, 28)})
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("images.npy", header.getvalue())
    with pytest.raises(DataError, match=r"7\.8 GB"):
        read(tmp_path / "x.npz")


def test_an_npz_without_labels_is_one_class_and_other_labels_are_names(tmp_path):
    np.savez(tmp_path / "x.npz", images=IMAGES)
    assert read(tmp_path / "x.npz").pictures.class_names == ("0",)
    np.savez(tmp_path / "y.npz", images=IMAGES, labels=LABELS * 3 + 5)
    prepared = read(tmp_path / "y.npz")
    assert prepared.pictures.class_names == ("5", "8")
    assert np.array_equal(prepared.data.labels, LABELS)


def test_images_of_a_file_in_another_size_are_fitted(tmp_path):
    eight = np.stack([squared(image, 8, "crop") for image in IMAGES])
    data = read(write_csv(tmp_path / "x.csv", eight, LABELS), image_size=32).data
    assert data.images.shape == (12, 32, 32)
    assert np.array_equal(data.images[5], squared(eight[5], 32, "pad"))


def test_more_than_there_is_room_for_is_said_before_it_is_read(folder, monkeypatch):
    monkeypatch.setattr(bounds, "MAX_BYTES", 12 * 64 * 64 - 1)
    assert len(read(folder).data) == 12
    monkeypatch.setattr(Picture, "read", lambda path: pytest.fail(f"{path} was read"))
    with pytest.raises(DataError, match="GB"):
        read(folder, image_size=64)


def test_scikit_learns_digits_as_a_folder(tmp_path):
    """1,797 real pictures of 8x8 pixels, enlarged."""
    package = find_spec("sklearn")
    if package is None:
        pytest.skip("scikit-learn is not installed")
    table = np.loadtxt(Path(package.submodule_search_locations[0], "datasets/data/digits.csv.gz"), delimiter=",")[:100]
    images, target = np.minimum(table[:, :64].reshape(-1, 8, 8) * 16, 255).astype(np.uint8), table[:, 64].astype(int)
    order = np.argsort(target, kind="stable")
    folder = write_folder(tmp_path / "digits", images[order], target[order], "0123456789")
    prepared = read(folder)
    assert prepared.pictures.class_names == MNIST.class_names
    assert prepared.pictures.class_counts == tuple(np.bincount(target))
    assert not prepared.pictures.inverted
    assert np.array_equal(prepared.data.images[7], squared(images[order][7], 28, "pad"))
    assert Path(folder).name == prepared.pictures.title
