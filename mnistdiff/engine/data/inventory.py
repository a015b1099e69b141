"""Which data sets there are, which of them lie on this machine, and fetching one."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mnistdiff.engine.data.datasets import DatasetSpec, LabelledImages, Split, UnavailableError
from mnistdiff.engine.data.fetch import fetch
from mnistdiff.engine.data.load import load_images
from mnistdiff.engine.data.stored_images import VerifiedImages, data_folder, read_split
from mnistdiff.engine.progress import Progress, Work
from mnistdiff.errors import DataError
from mnistdiff.setting_types import DATASETS

State = Literal["present", "missing", "damaged"]
_SPLITS: tuple[Split, ...] = ("train", "test")


@dataclass(frozen=True)
class DatasetState:
    """A data set, and what of it is on this machine.

    Attributes:
        name: that ``dataset`` takes; title: for people.
        train: number of images to train on; test: to test with.
        classes: their names.
        image_size: height and width in pixels.
        folder: where its files are, or are stored by a download; empty for a data set of a library.
        state: whether all files are there and verified.
        verified_by: what verified the files: SHA-256, MD5, or size, header and the number of images of each class.
        problem: what is wrong, if it is damaged; else empty.
    """

    name: str
    title: str
    train: int
    test: int
    classes: tuple[str, ...]
    image_size: int
    folder: str
    state: State
    verified_by: tuple[str, ...] = ()
    problem: str = ""


def list_datasets(data_dir: Path | None) -> Work[DatasetState, None]:
    """Look for each registered data set, and verify those that are there; nothing is downloaded.

    Args:
        data_dir: as for ``load_images``.

    Yields:
        a ``Progress`` with the state of each as its result.
    """
    for number, spec in enumerate(DATASETS.values(), start=1):
        yield Progress("verifying", number, len(DATASETS), (_state_of(spec, data_dir),))


def get_dataset(spec: DatasetSpec, data_dir: Path | None) -> Work[None, DatasetState]:
    """Download what is missing of a data set, and verify all of it.

    Raises:
        UnavailableError: if it cannot be downloaded.
        DataError: if a file is corrupt.
        OSError: if the file system refuses.
    """
    if not spec.files:
        return _described(spec, data_dir, "present", [load_images(spec, "train", data_dir=None)])
    folder = data_folder(spec, data_dir)
    splits = [read_split(spec, split, folder) for split in _SPLITS]
    if None in splits:
        yield from fetch(spec, folder, was_named=data_dir is not None)
        splits = [read_split(spec, split, folder) for split in _SPLITS]
    return _described(spec, data_dir, "present", [each for each in splits if each is not None])


def _state_of(spec: DatasetSpec, data_dir: Path | None) -> DatasetState:
    splits = _SPLITS if spec.files else _SPLITS[:1]
    try:
        found = [load_images(spec, split, data_dir=data_dir, may_download=False) for split in splits]
    except UnavailableError:
        return _described(spec, data_dir, "missing")
    except (DataError, OSError) as error:
        return _described(spec, data_dir, "damaged", problem=str(error))
    return _described(spec, data_dir, "present", found)


def _described(
    spec: DatasetSpec,
    data_dir: Path | None,
    state: State,
    splits: Iterable[LabelledImages] = (),
    *,
    problem: str = "",
) -> DatasetState:
    train, test = (spec.files[split][1].shape[0] if spec.files else 0 for split in _SPLITS)
    by = [each for split in splits for each in (split.verified_by if isinstance(split, VerifiedImages) else ("size",))]
    return DatasetState(
        name=spec.name,
        title=spec.title,
        train=train or sum(spec.class_counts),
        test=test,
        classes=spec.class_names,
        image_size=spec.image_size,
        folder=str(data_folder(spec, data_dir)) if spec.files else "",
        state=state,
        verified_by=tuple(dict.fromkeys(by)),
        problem=problem,
    )
