"""What the parsers of all formats share: their result, their errors, and the orientation from EXIF metadata."""

import struct
from dataclasses import dataclass

_BYTE_ORDERS = {b"II": "<", b"MM": ">"}
_TIFF = 42
_ORIENTATION, _SHORT = 0x0112, 3
UPRIGHT = 1
_LAST = 8


@dataclass(frozen=True)
class Pixels:
    """A picture file without its metadata.

    Attributes:
        content: the file without all that its pixels do not depend on.
        width: of the picture as it is stored.
        height: of the picture as it is stored.
        orientation: 1 to 8, as EXIF numbers it.
        extra_bytes: memory that decoding needs in addition to the decoded picture.
        passes: how often decoding visits every pixel.
    """

    content: bytes
    width: int
    height: int
    orientation: int = UPRIGHT
    extra_bytes: int = 0
    passes: int = 1


class DamagedError(Exception):
    """A file violates its format; the message says how."""


class TooLargeError(Exception):
    """A file unpacks to more than is accepted; the message says to how much."""


def orientation(block: bytes) -> int:
    """The orientation in an EXIF block or a TIFF file, 1 to 8 as EXIF numbers them.

    1 (upright) if the block holds none or does not follow the format.
    """
    try:
        order = _BYTE_ORDERS[block[:2]]
        version, directory = struct.unpack_from(f"{order}HI", block, 2)
        if version != _TIFF:
            return UPRIGHT
        (count,) = struct.unpack_from(f"{order}H", block, directory)
        for number in range(count):
            tag, kind, values, value = struct.unpack_from(f"{order}HHIH", block, directory + 2 + 12 * number)
            if tag == _ORIENTATION:
                return value if kind == _SHORT and values == 1 and UPRIGHT <= value <= _LAST else UPRIGHT
    except (KeyError, struct.error):
        pass
    return UPRIGHT
