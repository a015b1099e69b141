"""Read pictures into the images of a data set, and the images that a record describes."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mnistdiff.engine.data.datasets import LabelledImages
from mnistdiff.engine.data.image_files import Picture
from mnistdiff.engine.data.pictures import cache
from mnistdiff.engine.data.pictures.listing import Listing, list_pictures, named, title_of
from mnistdiff.engine.data.pictures.square import border_level, crop_to_square, pad_to_square
from mnistdiff.engine.progress import Progress, Work, finish
from mnistdiff.errors import DataError, MnistDiffError, OutOfMemoryError
from mnistdiff.pictures import Pictures, PictureSettings

_BRIGHT = 127
_NAMED = 3


@dataclass(frozen=True)
class PreparedPictures:
    """Pictures as the images of a data set.

    Attributes:
        data: images and labels.
        pictures: the record.
        notices: sentences for the user.
    """

    data: LabelledImages
    pictures: Pictures
    notices: tuple[str, ...]


def read_pictures(path: Path, settings: PictureSettings) -> Work[None, PreparedPictures]:
    """Read the pictures of a folder; those of an unchanged folder come from the cache.

    Args:
        path: of the folder.
        settings: how they are made into images.

    Yields:
        a ``Progress`` after each picture, its stage ``reading``.

    Raises:
        DataError: if there are no pictures, or some cannot be read.
        OSError: if the file system refuses.
    """
    listing = list_pictures(path)
    digest = listing.digest
    for pictures, notices in cache.kept_records(digest, settings):
        data = cache.kept_images(pictures.digest)
        if data is not None:
            return PreparedPictures(data, pictures, notices)
    prepared = yield from _read(listing, settings)
    cache.keep_images(prepared.data, prepared.pictures.digest)
    cache.keep_record(digest, settings, prepared.pictures, prepared.notices)
    return prepared


def load_pictures(pictures: Pictures, data_dir: Path | None) -> LabelledImages:
    """The images that a record describes.

    Args:
        pictures: the record.
        data_dir: folder with the pictures; None takes them from the cache.

    Raises:
        DataError: if they are not in the cache, or those of the folder are others.
        OSError: if the file system refuses.
    """
    if data_dir is None:
        data = cache.kept_images(pictures.digest)
        if data is None:
            raise DataError(
                f"the {pictures} are not in the cache", "Name the folder or file of the pictures as `data_dir`."
            )
        return data
    listing = list_pictures(data_dir)
    if any(kept.digest == pictures.digest for kept, _ in cache.kept_records(listing.digest)):
        data = cache.kept_images(pictures.digest)
        if data is not None:
            return data
    settings = PictureSettings(
        fit=pictures.fit,
        invert="yes" if pictures.inverted else "no",
        image_size=pictures.image_size,
        skip_bad=True,
    )
    prepared = finish(read_pictures(data_dir, settings))
    if prepared.pictures.digest != pictures.digest:
        raise DataError(
            f"the pictures in {data_dir} are not those of the model: {len(prepared.data):,} with SHA-256 "
            f"{prepared.pictures.digest[:12]}..., not {sum(pictures.class_counts):,} with {pictures.digest[:12]}...",
            "Name the folder as it was when the training began, or start a new training from the model.",
        )
    return prepared.data


def _read(listing: Listing, settings: PictureSettings) -> Work[None, PreparedPictures]:
    """Decode the pictures of a listing and make them into images."""
    size = settings.image_size
    images = np.empty((len(listing.files), size, size), np.uint8)
    labels = np.empty(len(listing.files), np.uint8)
    bad: list[tuple[Path, str]] = [*listing.broken]
    count = 0
    for number, found in enumerate(listing.files):
        try:
            images[count] = _square(Picture.read(found.path).photograph(), settings)
        except OutOfMemoryError:
            raise
        except MnistDiffError as error:
            bad.append((found.path, error.message))
        else:
            labels[count] = found.label
            count += 1
        yield Progress("reading", number + 1, len(listing.files))
    notices = [*listing.notices, *_left_out(bad, listing, settings)]
    data = LabelledImages(images[:count], labels[:count])
    inverted = _is_inverted(data.images, settings)
    if inverted:
        np.subtract(255, data.images, out=data.images)
    if settings.invert == "auto" and inverted:
        notices.append("the pictures are dark on light: inverted, as `invert` no prevents")
    record = Pictures(
        title=title_of(listing.path),
        class_names=listing.class_names,
        class_counts=_counts(data, listing),
        image_size=size,
        digest=cache.digest_of(data),
        fit=settings.fit,
        inverted=inverted,
    )
    return PreparedPictures(data, record, tuple(notices))


def _square(levels: NDArray[np.uint8], settings: PictureSettings) -> NDArray[np.uint8]:
    fit = crop_to_square if settings.fit == "crop" else pad_to_square
    return fit(levels, settings.image_size)


def _is_inverted(images: NDArray[np.uint8], settings: PictureSettings) -> bool:
    if settings.invert != "auto":
        return settings.invert == "yes"
    return bool(np.median([border_level(each) for each in images]) > _BRIGHT)


def _left_out(bad: list[tuple[Path, str]], listing: Listing, settings: PictureSettings) -> Iterator[str]:
    """A notice about pictures that cannot be read.

    Raises:
        DataError: unless they are to be left out.
    """
    if not bad:
        return
    total = len(listing.files) + len(listing.broken)
    what = f"{len(bad):,} of {total:,} pictures in {listing.path} cannot be read"
    if not settings.skip_bad or len(bad) == total:
        reasons = "; ".join(reason if str(path) in reason else f"{path}: {reason}" for path, reason in bad[:_NAMED])
        raise DataError(
            f"{what}: {reasons}{'; ...' if len(bad) > _NAMED else ''}",
            "Mend or remove them, or leave them out with `skip_bad`.",
        )
    yield f"{what}, and are left out: {named([path for path, _ in bad], listing.path)}"


def _counts(data: LabelledImages, listing: Listing) -> tuple[int, ...]:
    counts = np.bincount(data.labels, minlength=len(listing.class_names)).tolist()
    for name, count in zip(listing.class_names, counts, strict=True):
        if not count:
            raise DataError(f"no picture of the class {name} in {listing.path} can be read", "Mend them.")
    return tuple(counts)
