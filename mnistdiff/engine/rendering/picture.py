"""Pictures that users hand over: read with care, for a few kilobytes can unpack to gigabytes."""

import io
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from mnistdiff.errors import StorageError

MAX_SIDE = 4096
"""No sheet of digits has a longer side than this, in pixels."""
_MAX_BYTES = 64 * 2**20
_PNG = ("PNG",)
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
        """Its grey levels, shape (H, W). Colours become their luminance; transparency is ignored.

        Raises:
            StorageError: if it is no picture of these formats, is damaged or has a side over ``MAX_SIDE``.
        """
        try:
            with self._opened(formats) as picture:
                # Pillow warns about palettes with transparency; a grey level does not depend on it.
                picture.info.pop("transparency", None)
                if picture.mode == "I;16":  # which convert() would clip at 255 instead of scaling
                    return (np.asarray(picture) >> 8).astype(np.uint8)
                upright = ImageOps.exif_transpose(picture)  # a camera stores which side was up
                return np.array(upright.convert("L"))
        # SyntaxError, ValueError and EOFError are how Pillow reports chunks that lie about their contents.
        except (OSError, SyntaxError, ValueError, EOFError) as error:
            raise self._unreadable(formats) from error

    def text(self) -> dict[str, str]:
        """What a PNG file says of itself, by keyword.

        Raises:
            StorageError: as ``grey_levels``.
        """
        try:
            with self._opened(_PNG) as picture:
                picture.load()  # chunks may follow the pixels
                return {str(keyword): str(value) for keyword, value in picture.info.items() if isinstance(value, str)}
        except (OSError, SyntaxError, ValueError, EOFError) as error:
            raise self._unreadable(_PNG) from error

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
