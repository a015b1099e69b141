"""Read pictures into the images of a data set, and the images that a record describes."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mnistdiff.engine.data.datasets import MNIST, LabelledImages
from mnistdiff.engine.data.image_files import MAX_SIDE, PHOTOGRAPHS, Picture
from mnistdiff.engine.data.pictures import cache
from mnistdiff.engine.data.pictures.bounds import named, require_room, scarcity
from mnistdiff.engine.data.pictures.listing import Listing, list_pictures, title_of
from mnistdiff.engine.data.pictures.square import border_levels, squared
from mnistdiff.engine.data.pictures.tables import read_table
from mnistdiff.engine.progress import Progress, Work, finish
from mnistdiff.errors import DataError, MnistDiffError, OutOfMemoryError
from mnistdiff.pictures import Pictures, PictureSettings, ink_size_of

_BRIGHT = 127
_REASONS = 3
_LONGEST = 1024
"""Side in pixels above which a photograph is reduced as it is decoded, which takes a tenth of the time."""
_MIXED = 0.1
"""The share of pictures with another border than most above which a notice says so."""


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
    """Read the pictures of a folder or a file; those of unchanged files come from the cache.

    Args:
        path: a folder with a sub-folder of pictures for each class, or of pictures of one class; a CSV or npz file; a
            folder with IDX files, or the one of the images.
        settings: how they are made into images.

    Yields:
        a ``Progress`` after some pictures, its stage ``reading``.

    Raises:
        DataError: if there are no pictures, some cannot be read, or they are too many.
        OutOfMemoryError: if the machine cannot hold them.
        OSError: if the file system refuses.
    """
    listing = list_pictures(path)
    digest = listing.digest
    for pictures, notices in cache.kept_records(digest, settings):
        data = cache.kept_images(pictures.digest)
        if data is not None:
            return PreparedPictures(data, pictures, notices)
    prepared = yield from _prepare(listing, settings)
    cache.keep_images(prepared.data, prepared.pictures.digest)
    cache.keep_record(digest, settings, prepared.pictures, prepared.notices)
    return prepared


def load_pictures(pictures: Pictures, data_dir: Path | None) -> LabelledImages:
    """The images that a record describes.

    Args:
        pictures: the record.
        data_dir: as ``path`` of ``read_pictures``; None takes them from the cache.

    Raises:
        DataError: if they are not in the cache, or those of ``data_dir`` are others.
        OutOfMemoryError, OSError: as ``read_pictures``.
    """
    if data_dir is None:
        data = cache.kept_images(pictures.digest)
        if data is None:
            raise DataError(
                f"the images of the model are not in the cache: {pictures}",
                "Name the folder or file of these pictures as `data_dir`.",
            )
        return data
    if any(kept.digest == pictures.digest for kept, _ in cache.kept_records(list_pictures(data_dir).digest)):
        data = cache.kept_images(pictures.digest)
        if data is not None:
            return data
    prepared = finish(read_pictures(data_dir, PictureSettings.of(pictures)))
    if prepared.pictures.digest != pictures.digest:
        raise DataError(
            f"{data_dir} holds other pictures than those of the model: {prepared.pictures}, not {pictures}",
            "Name the folder or file as it was when the training began, or start a new training from the model.",
        )
    return prepared.data


@dataclass
class _Reading:
    """What is read: the images that are prepared, and what is wrong with others."""

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    count: int = 0
    bad: list[tuple[Path, str]] = field(default_factory=list)
    doubtful: list[Path] = field(default_factory=list)

    @property
    def data(self) -> LabelledImages:
        """The images that were read so far, with their labels."""
        return LabelledImages(self.images[: self.count], self.labels[: self.count])


def _prepare(listing: Listing, settings: PictureSettings) -> Work[None, PreparedPictures]:
    """Decode the pictures of a listing and make them into images of one size, bright on black."""
    if listing.class_names:
        names, reading = listing.class_names, (yield from _decode(listing, settings))
    else:
        table = yield from read_table([each.path for each in listing.files])
        names, reading = table.class_names, _convert(table.data, listing.path, settings)
    notices = [*listing.notices, *_left_out(reading, listing, settings)]
    data = reading.data
    counts = tuple(np.bincount(data.labels, minlength=len(names)).tolist())
    notices += scarcity(listing.path, names, counts)
    borders = border_levels(data.images)
    inverted = settings.invert == "yes" or (settings.invert == "auto" and bool(np.median(borders) > _BRIGHT))
    if inverted:
        np.subtract(255, data.images, out=data.images)
    if settings.invert == "auto":
        notices += _said_of_polarity(borders, inverted=inverted)
    pictures = Pictures(
        title=title_of(listing.path),
        class_names=names,
        class_counts=counts,
        image_size=settings.image_size,
        digest=cache.digest_of(data),
        fit=settings.fit,
        inverted=inverted,
        border=round(abs(255 * inverted - float(np.median(borders)))),
    )
    return PreparedPictures(data, pictures, tuple(notices))


def _empty(path: Path, count: int, size: int) -> _Reading:
    require_room(path, count * size**2)
    return _Reading(np.empty((count, size, size), np.uint8), np.empty(count, np.uint8))


def _decode(listing: Listing, settings: PictureSettings) -> Work[None, _Reading]:
    """The pictures of a folder, one file after another."""
    fit, longest = _fit_of(settings), MAX_SIDE if settings.fit == "mnist" else _LONGEST
    reading = _empty(listing.path, len(listing.files), settings.image_size)
    reading.bad += listing.broken
    for number, found in enumerate(listing.files, start=1):
        try:
            picture = Picture.read(found.path)
            image, is_doubtful = fit(picture.grey_levels(PHOTOGRAPHS, longest=longest), picture.name)
        except OutOfMemoryError:
            raise
        except MnistDiffError as error:
            reading.bad.append((found.path, error.message))
        else:
            reading.images[reading.count], reading.labels[reading.count] = image, found.label
            reading.count += 1
            reading.doubtful += [found.path] * is_doubtful
        yield Progress("reading", number, len(listing.files))
    return reading


def _convert(data: LabelledImages, path: Path, settings: PictureSettings) -> _Reading:
    """Images of a file, which all have one size."""
    if data.images.shape[1:] == (settings.image_size,) * 2 and settings.fit != "mnist":
        return _Reading(np.require(data.images, requirements=["C", "W"]), data.labels, len(data))
    fit = _fit_of(settings)
    reading = _empty(path, len(data), settings.image_size)
    for number, (levels, label) in enumerate(zip(data.images, data.labels, strict=True)):
        try:
            image, is_doubtful = fit(levels, f"image {number}")
        except MnistDiffError as error:
            reading.bad.append((Path(f"image {number}"), error.message))
        else:
            reading.images[reading.count], reading.labels[reading.count] = image, label
            reading.count += 1
            reading.doubtful += [Path(f"image {number}")] * is_doubtful
    return reading


def _fit_of(settings: PictureSettings) -> Callable[[NDArray[np.uint8], str], tuple[NDArray[np.uint8], bool]]:
    """(grey levels, name for errors) -> the square image, and whether it may not show one digit."""
    size = settings.image_size
    if (kind := settings.fit) != "mnist":
        return lambda levels, name: (squared(levels, size, kind), False)
    from mnistdiff.engine.data.preprocess import preprocess_digit

    spec = replace(MNIST, image_size=size, ink_size=ink_size_of(size))

    def digit(levels: NDArray[np.uint8], name: str) -> tuple[NDArray[np.uint8], bool]:
        """One picture prepared as a digit, and whether that may have failed."""
        prepared = preprocess_digit(levels, spec, name=name)
        return prepared.image, bool(prepared.notices)

    return digit


def _left_out(reading: _Reading, listing: Listing, settings: PictureSettings) -> Iterator[str]:
    """Notices about pictures that cannot be read, and those that may not show one digit.

    Raises:
        DataError: for the former, unless they are to be left out.
    """
    if reading.bad:
        total = reading.count + len(reading.bad)
        what = f"{len(reading.bad):,} of {total:,} pictures in {listing.path} cannot be read"
        if not settings.skip_bad or not reading.count:
            reasons = [reason if str(path) in reason else f"{path}: {reason}" for path, reason in reading.bad]
            more = f"; and {len(reasons) - _REASONS:,} more" * (len(reasons) > _REASONS)
            raise DataError(
                f"{what}: {'; '.join(reasons[:_REASONS])}{more}",
                "Mend or remove them"
                + (", or leave them out with `skip_bad`." if reading.count else ".")
                + (" `fit` pad takes pictures of any kind." if settings.fit == "mnist" else ""),
            )
        yield f"{what}, and are left out: {named([path for path, _ in reading.bad], listing.path)}"
    if reading.doubtful:
        yield (
            f"{len(reading.doubtful):,} of {reading.count:,} pictures may not show one digit alone, among them "
            f"{named(reading.doubtful, listing.path)}: look at them with mnistdiff classify --show"
        )


def _said_of_polarity(borders: NDArray[np.float64], *, inverted: bool) -> Iterator[str]:
    """Notices about ``invert`` auto: that it inverts, and that some pictures are otherwise than most."""
    if inverted:
        yield "the pictures are dark on light: they are inverted, unless `invert` is no"
    others = float(np.mean((borders > _BRIGHT) != inverted))
    if others > _MIXED:
        dark, light = ("light on dark", "dark on light") if inverted else ("dark on light", "light on dark")
        yield f"{others:.0%} of the pictures are {dark}, the others {light}: all are treated alike"
