"""Decoding of picture files in bounded memory and time; messages of libraries are suppressed."""

import io
import logging
import math
import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module

from PIL import Image, ImageFile, ImageSequence, features

from mnistdiff.engine.data.decoding import gif, jpeg, png, tiff, webp
from mnistdiff.engine.data.decoding.formats import Format
from mnistdiff.engine.data.decoding.pixels import DamagedError, Pixels, TooLargeError

_MAX_PIXELS = 128_000_000
_MAX_SIDE = 2**20
_MAX_MEMORY = 200 * 2**20
"""Maximum bytes of a decoded picture before it is reduced, and of the working memory of decoding."""
_MAX_VISITS = 2_000_000_000
"""Maximum number of pixels decoded, in all passes."""
_BYTES_A_PIXEL = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2, "I;16N": 2}
"""Bytes per pixel by mode; other modes have 4."""
_BYTES_A_ROW = 32
_BAND_ROWS = 256
"""Rows of the reduced picture that are computed at once."""
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_STDERR = 2
_BMP_PACKING, _NOT_PACKED = slice(30, 34), bytes(4)

# Pillow logs warnings, which Python prints to stderr unless there is a handler.
logging.getLogger("PIL").addHandler(logging.NullHandler())


@dataclass(frozen=True)
class Prepared:
    """A picture of known size whose pixels are not yet decoded."""

    _image: ImageFile.ImageFile
    _orientation: int
    _factor: int
    """By which height and width are divided after it is decoded."""

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the decoded picture."""
        width, height = (math.ceil(side / self._factor) for side in self._image.size)
        is_on_its_side = self._orientation >= 5
        return (width, height) if is_on_its_side else (height, width)

    def decode(self) -> Image.Image:
        """The picture, upright.

        Raises:
            DamagedError: if its pixels cannot be unpacked.
        """
        with _guarded(), _libtiff_silenced(self._image):
            self._image.load()
            reduced = self._image if self._factor == 1 else _reduced(self._image, self._factor)
            turn = _TURNS.get(self._orientation)
            return reduced if turn is None else reduced.transpose(turn)


def prepare(content: bytes, kind: Format, *, longest: int | None = None) -> Prepared:
    """Open a picture: the first one of a file that holds several.

    Args:
        content: the file.
        kind: its format.
        longest: the side, in pixels, above which it is reduced by a whole number.

    Raises:
        DamagedError: if it does not follow its format.
        TooLargeError: if it unpacks to more than is accepted.
    """
    if kind == "WebP" and not features.check("webp"):
        raise DamagedError("this installation of Pillow cannot read WebP")
    pixels = _PARSERS[kind](content)
    _require_bounded(pixels)
    longest = longest or _MAX_SIDE
    with _guarded():
        image = _opened(pixels.content, kind)
        factor = math.ceil(max(image.size) / longest)
        if (
            kind == "JPEG" and factor > 1
        ):  # decodes to an eighth, a quarter or half of the size, in less memory and time
            image.draft(None, (image.width // factor, image.height // factor))
            factor = math.ceil(max(image.size) / longest)
    if _memory(image) + pixels.extra_bytes > _MAX_MEMORY:
        raise TooLargeError(f"it has {pixels.width:,}x{pixels.height:,} pixels")
    return Prepared(image, pixels.orientation, factor)


def frames_of(content: bytes, kind: Format) -> Iterator[Image.Image]:
    """The frames of a PNG or GIF file, as a viewer shows them, in grey.

    Raises:
        DamagedError, TooLargeError: as ``prepare`` and ``Prepared.decode``.
    """
    pixels = (gif if kind == "GIF" else png).pixels_of(content, animated=True)
    _require_bounded(pixels)
    with _guarded():
        frames = ImageSequence.Iterator(_opened(pixels.content, kind))
    while True:
        with _guarded():
            frame = next(frames, None)
            if frame is None:
                return
            levels = frame.convert("L")
        yield levels


def _pixels_of_bmp(content: bytes) -> Pixels:
    """A BMP file, which holds nothing but pixels."""
    with _guarded():
        width, height = _opened(content, "BMP").size
    # A packed picture is unpacked byte by byte, into a copy.
    is_packed = content[_BMP_PACKING] not in {_NOT_PACKED, b""}
    return Pixels(content, width, height, extra_bytes=4 * width * height if is_packed else 0)


_PARSERS: Mapping[Format, Callable[[bytes], Pixels]] = {
    "PNG": png.pixels_of,
    "JPEG": jpeg.pixels_of,
    "GIF": gif.pixels_of,
    "TIFF": tiff.pixels_of,
    "WebP": webp.pixels_of,
    "BMP": _pixels_of_bmp,
}


def _opened(content: bytes, kind: Format) -> ImageFile.ImageFile:
    """Open a picture with the plugin of its format alone."""
    name = "WebP" if kind == "WebP" else kind.capitalize()
    plugin = import_module(f"PIL.{name}ImagePlugin")
    image: ImageFile.ImageFile = getattr(plugin, f"{name}ImageFile")(io.BytesIO(content))
    return image


def _memory(image: Image.Image) -> int:
    """Bytes that a picture takes once it is unpacked."""
    return image.height * (image.width * _BYTES_A_PIXEL.get(image.mode, 4) + _BYTES_A_ROW)


def _require_bounded(pixels: Pixels) -> None:
    count = pixels.width * pixels.height
    if count > _MAX_PIXELS or max(pixels.width, pixels.height) > _MAX_SIDE or pixels.extra_bytes > _MAX_MEMORY:
        raise TooLargeError(f"it has {pixels.width:,}x{pixels.height:,} pixels")
    if count * pixels.passes > _MAX_VISITS:
        raise TooLargeError(f"it has {pixels.width:,}x{pixels.height:,} pixels in {pixels.passes - 1} scans")


def _reduced(image: Image.Image, factor: int) -> Image.Image:
    """The picture reduced in bands: some modes are converted first, which would take the memory twice."""
    bands = []
    for top in range(0, image.height, factor * _BAND_ROWS):
        band = image.crop((0, top, image.width, min(top + factor * _BAND_ROWS, image.height)))
        bands.append(_reducible(band).reduce(factor))
    whole = Image.new(bands[0].mode, (bands[0].width, sum(band.height for band in bands)))
    for number, band in enumerate(bands):
        whole.paste(band, (0, number * _BAND_ROWS))
    return whole


def _reducible(image: Image.Image) -> Image.Image:
    """The picture in a mode whose pixels can be averaged."""
    if "transparency" in image.info:
        return image.convert("RGBA")
    if image.mode.startswith("I;"):
        return image.convert("I")
    return image.convert({"P": "RGB", "1": "L"}.get(image.mode, image.mode))


@contextmanager
def _libtiff_silenced(image: ImageFile.ImageFile) -> Iterator[None]:
    """Suppress the messages of libtiff, which writes to the stderr of the process."""
    if image.format != "TIFF":
        yield
        return
    try:
        kept = os.dup(_STDERR)
    except OSError:  # closed by the caller, as with 2>&-
        yield
        return
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), _STDERR)
        yield
    finally:
        os.dup2(kept, _STDERR)
        os.close(kept)


@contextmanager
def _guarded() -> Iterator[None]:
    """Raise any error of Pillow as a DamagedError, and ignore its warnings."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (DamagedError, TooLargeError, MemoryError):
        raise
    except Exception as error:  # its parsers raise errors of many kinds
        raise DamagedError("its pixels cannot be unpacked") from error
