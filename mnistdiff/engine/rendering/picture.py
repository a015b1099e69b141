"""Pictures that users hand over: read with care, for a few kilobytes can unpack to gigabytes."""

import io
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import IO, Literal, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, ImageSequence

from mnistdiff.engine.data.grey import to_grey
from mnistdiff.errors import StorageError

MAX_SIDE = 4096
"""No sheet of digits has a longer side than this, in pixels."""
_MAX_BYTES = 64 * 2**20
_PNG = ("PNG",)
_WITH_TEXT = ("PNG", "GIF")
PHOTOGRAPHS = ("PNG", "JPEG")


@dataclass(frozen=True)
class Picture:
    """A picture file in memory, not unpacked.

    Attributes:
        name: what to call it in an error.
        content: its bytes.
    """

    name: str
    content: bytes

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file.

        Raises:
            StorageError: if it is missing, cannot be read, or is too large.
        """
        try:
            with path.open("rb") as file:
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
        content = file.read(_MAX_BYTES + 1)
        if len(content) > _MAX_BYTES:
            raise StorageError(f"{name} is larger than {_MAX_BYTES // 2**20} MiB", "Give a smaller picture.")
        return cls(name, content)

    def grey_levels(self, formats: tuple[str, ...] = _PNG) -> NDArray[np.uint8]:
        """Its grey levels, shape (H, W), as ``to_grey`` takes them from its pixels.

        Raises:
            StorageError: if it is no picture of these formats, is damaged or has a side over ``MAX_SIDE``.
        """
        try:
            with self._opened(formats) as picture:
                return to_grey(ImageOps.exif_transpose(picture))  # a camera stores which side was up
        # SyntaxError, ValueError and EOFError are how Pillow reports chunks that lie about their contents.
        except (OSError, SyntaxError, ValueError, EOFError) as error:
            raise self._unreadable(formats) from error

    @property
    def kind(self) -> Literal["gif", "png"]:
        """What its name should end in, if it is one of those that say something of themselves."""
        return "gif" if self.content.startswith(b"GIF8") else "png"

    def text(self) -> dict[str, str]:
        """What a PNG or GIF file says of itself, by keyword.

        Raises:
            StorageError: as ``grey_levels``.
        """
        try:
            with self._opened(_WITH_TEXT) as picture:
                picture.load()  # chunks may follow the pixels
                info = picture.info
        except (OSError, SyntaxError, ValueError, EOFError) as error:
            raise self._unreadable(_WITH_TEXT) from error
        if self.kind == "gif":  # a line for each, as ``animation`` writes them
            lines = bytes(info.get("comment", b"")).decode(errors="replace").split("\n")
            return {keyword: value for keyword, _, value in (line.partition(": ") for line in lines)}
        return {str(keyword): str(value) for keyword, value in info.items() if isinstance(value, str)}

    def shows_the_same_as(self, other: "Picture") -> bool:
        """Whether two PNG or GIF files have the same grey levels in every frame, however they hold them.

        Raises:
            StorageError: as ``grey_levels``.
        """
        return all(
            one is not None and another is not None and np.array_equal(one, another)
            for one, another in zip_longest(self._frames(), other._frames())
        )

    def _frames(self) -> Iterator[NDArray[np.uint8]]:
        """The grey levels of one frame after another, as a viewer shows them."""
        try:
            with self._opened(_WITH_TEXT) as picture:
                for frame in ImageSequence.Iterator(picture):
                    yield np.array(frame.convert("L"))
        except (OSError, SyntaxError, ValueError, EOFError) as error:
            raise self._unreadable(_WITH_TEXT) from error

    def _opened(self, formats: tuple[str, ...]) -> Image.Image:
        """The picture with its size checked and its pixels not yet unpacked."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # MAX_SIDE is stricter
                picture = Image.open(io.BytesIO(self.content), formats=formats)
        except Image.DecompressionBombError as error:
            raise self._too_large() from error
        if max(picture.size) > MAX_SIDE:
            picture.close()
            raise self._too_large()
        return picture

    def _too_large(self) -> StorageError:
        return StorageError(f"{self.name} is larger than {MAX_SIDE}x{MAX_SIDE} pixels", "Give a smaller picture.")

    def _unreadable(self, formats: tuple[str, ...]) -> StorageError:
        kinds = " or ".join(formats)
        return StorageError(f"{self.name} is not a {kinds} picture, or is damaged", f"Give a {kinds} file.")
