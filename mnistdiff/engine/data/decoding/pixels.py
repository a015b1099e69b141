"""The result and the errors of the parsers of all formats."""

from dataclasses import dataclass

from mnistdiff.engine.data.decoding.exif import UPRIGHT


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
