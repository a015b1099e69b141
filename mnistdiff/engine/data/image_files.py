"""Reading of user pictures in bounded memory: a few kilobytes can unpack to gigabytes."""

import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import IO, TYPE_CHECKING, Literal, Self, Union

import numpy as np
from numpy.typing import NDArray

from mnistdiff.engine.data.decoding import decode, gif, png
from mnistdiff.engine.data.decoding.formats import Format, kind_of, name_of
from mnistdiff.engine.data.decoding.pixels import DamagedError, TooLargeError
from mnistdiff.engine.data.grey import to_grey
from mnistdiff.engine.storage import open_without_waiting
from mnistdiff.errors import OutOfMemoryError, SettingsError, StorageError
from mnistdiff.setting_types import user_path

if TYPE_CHECKING:
    from PIL import Image

MAX_SIDE = 4096
"""A photograph with a longer side, in pixels, is reduced as it is read."""
MAX_TEXT = 2**20
"""Maximum length, in bytes, of the metadata text of a picture."""
_MAX_BYTES = 64 * 2**20
_PNG: tuple[Format, ...] = ("PNG",)
_WITH_TEXT: tuple[Format, ...] = ("PNG", "GIF")
PHOTOGRAPHS: tuple[Format, ...] = ("PNG", "JPEG", "WebP", "GIF", "TIFF", "BMP")
_OPEN_ALREADY = ("/dev/stdin", "/dev/fd/", "/proc/self/fd/")
"""Paths of pipes that a shell has opened, as in ``classify <(convert ...)``."""

ImageSource = Union[str, os.PathLike[str], bytes, NDArray[np.uint8], NDArray[np.bool_], "Image.Image"]
"""A path, the content of an image file, or an image in memory."""


@dataclass(frozen=True)
class Picture:
    """A picture file in memory, not decoded.

    Attributes:
        name: for errors.
        content: its bytes.
    """

    name: str
    content: bytes

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file.

        Raises:
            StorageError: if it is missing, is no regular file, cannot be read, or is too large.
        """
        try:
            with _open_regular(path) as file:
                return cls.receive(str(path), file)
        except OSError as error:
            raise StorageError(
                f"cannot read the picture {path}: {error.strerror}", "Check the path and its permissions."
            ) from error

    @classmethod
    def receive(cls, name: str, file: IO[bytes]) -> Self:
        """Read an open file, which may be a pipe, to its end.

        Raises:
            StorageError: if it is too large.
        """
        return cls._bounded(name, file.read(_MAX_BYTES + 1))

    @classmethod
    def _bounded(cls, name: str, content: bytes) -> Self:
        if len(content) > _MAX_BYTES:
            raise StorageError(f"{name} is larger than {_MAX_BYTES // 2**20} MiB", "Give a smaller picture.")
        return cls(name, content)

    @classmethod
    def of(cls, source: ImageSource, *, name: str) -> Self:
        """Read an image in memory or a file.

        Args:
            source: the path of a picture, or its content; a PIL image; or uint8 (H, W), (H, W, 3) or (H, W, 4);
                bool (H, W) is black and white.
            name: of an image in memory, for errors.

        Raises:
            StorageError: if the file cannot be read, or is too large.
            SettingsError: if it is no image.
        """
        if isinstance(source, str | os.PathLike):
            return cls.read(user_path("image", source))
        if isinstance(source, bytes):
            return cls._bounded(name, source)
        from PIL import Image

        if not isinstance(source, Image.Image):
            pixels = np.asarray(source)
            if pixels.dtype == np.bool_:
                pixels = np.where(pixels, 255, 0).astype(np.uint8)
            is_grey = pixels.ndim == 2
            if pixels.dtype != np.uint8 or not (is_grey or pixels.ndim == 3 and pixels.shape[2] in (3, 4)):
                raise SettingsError(
                    f"{name} is {pixels.dtype} {pixels.shape}, no image",
                    "Give grey levels, uint8 (H, W), a PIL image or a path.",
                )
            source = Image.fromarray(pixels)
        file = io.BytesIO()
        source.save(file, format="PNG")
        return cls(name, file.getvalue())

    def grey_levels(self, formats: tuple[Format, ...] = _PNG, *, longest: int | None = None) -> NDArray[np.uint8]:
        """Its grey levels by ``to_grey``, shape (H, W).

        Args:
            formats: accepted.
            longest: side in pixels above which it is reduced by a whole factor.

        Raises:
            StorageError: if it is of another format, damaged or too large when unpacked.
            OutOfMemoryError: if the machine cannot hold it.
        """
        prepared = self._prepared(formats, longest=longest)
        with self._errors_named():
            return to_grey(prepared.decode())

    def photograph(self) -> NDArray[np.uint8]:
        """Its grey levels, in any supported format; reduced to at most ``MAX_SIDE`` pixels a side.

        Raises:
            StorageError, OutOfMemoryError: as ``grey_levels``.
        """
        return self.grey_levels(PHOTOGRAPHS, longest=MAX_SIDE)

    def shape(self) -> tuple[int, int]:
        """Height and width of a PNG, without unpacking it.

        Raises:
            StorageError: as ``grey_levels``.
        """
        return self._prepared(_PNG).shape

    def on_sheet(self) -> NDArray[np.uint8]:
        """Its grey levels for a sheet: those of a PNG unchanged, others as ``photograph``.

        Raises:
            StorageError, OutOfMemoryError: as ``grey_levels``.
        """
        return self.grey_levels() if kind_of(self.content) == "PNG" else self.photograph()

    def shape_on_sheet(self) -> tuple[int, int]:
        """Height and width of ``on_sheet``, without unpacking it.

        Raises:
            StorageError: as ``grey_levels``.
        """
        is_exact = kind_of(self.content) == "PNG"
        return self._prepared(PHOTOGRAPHS, longest=None if is_exact else MAX_SIDE).shape

    @property
    def kind(self) -> Literal["gif", "png"]:
        """Its file extension, for a PNG or GIF."""
        return "gif" if self.content.startswith(b"GIF8") else "png"

    def text(self, keyword: str) -> str | None:
        """The metadata text of a PNG or GIF file under a keyword; None if there is none.

        Raises:
            StorageError: as ``grey_levels``, or if it is longer than ``MAX_TEXT``.
        """
        with self._errors_named():
            if self._kind(_WITH_TEXT) == "PNG":
                return png.text_of(self.content, keyword, at_most=MAX_TEXT)
            lines = gif.comment_of(self.content, at_most=MAX_TEXT).split("\n")  # as ``animation`` writes them
        found = (value for key, _, value in (line.partition(": ") for line in lines) if key == keyword)
        return next(found, None)

    def shows_the_same_as(self, other: "Picture") -> bool:
        """Whether two PNG or GIF files have the same grey levels in every frame, whatever their encoding.

        Raises:
            StorageError: as ``grey_levels``.
        """
        if self._prepared(_WITH_TEXT).shape != other._prepared(_WITH_TEXT).shape:
            return False
        return all(
            one is not None and another is not None and np.array_equal(one, another)
            for one, another in zip_longest(self._frames(), other._frames())
        )

    def _frames(self) -> Iterator[NDArray[np.uint8]]:
        """The grey levels of one frame after another."""
        with self._errors_named():
            for frame in decode.frames_of(self.content, self._kind(_WITH_TEXT)):
                yield np.array(frame)

    def _prepared(self, formats: tuple[Format, ...], *, longest: int | None = None) -> decode.Prepared:
        with self._errors_named():
            return decode.prepare(self.content, self._kind(formats), longest=longest)

    def _kind(self, formats: tuple[Format, ...]) -> Format:
        """Its format, detected by its first bytes; StorageError if it is not one of ``formats``."""
        kind = kind_of(self.content)
        if kind in formats:
            return kind
        kinds = f"{', '.join(formats[:-1])} or {formats[-1]}" if len(formats) > 1 else formats[0]
        what = f"{name_of(self.content)}, " if name_of(self.content) else "" if self.content else "empty, "
        raise StorageError(f"{self.name} is {what}not a {kinds} picture", f"Give a {kinds} picture.")

    @contextmanager
    def _errors_named(self) -> Iterator[None]:
        """Turn errors of decoding into ones that name the file."""
        try:
            yield
        except TooLargeError as error:
            raise StorageError(f"{self.name} is too large to be read: {error}", "Give a smaller picture.") from error
        except DamagedError as error:
            raise StorageError(
                f"{self.name} begins as {name_of(self.content)}, but is damaged: {error}",
                "Save it again, or give another picture.",
            ) from error
        except MemoryError as error:
            raise OutOfMemoryError(f"not enough memory to read {self.name}", "Give a smaller picture.") from error


def _open_regular(path: Path) -> IO[bytes]:
    """Open a file for reading; named pipes and devices, which may block or never end, are refused."""
    file = open_without_waiting(path)
    mode = os.fstat(file.fileno()).st_mode
    if stat.S_ISFIFO(mode) and str(path).startswith(_OPEN_ALREADY):
        os.set_blocking(file.fileno(), True)
    elif not stat.S_ISREG(mode):
        file.close()
        raise StorageError(f"{path} is not a file but a pipe or device", "Give a file, or - to read stdin.")
    return file
