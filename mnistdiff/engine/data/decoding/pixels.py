"""The result of the parsers of each format, and their errors."""

from dataclasses import dataclass

from mnistdiff.engine.data.decoding.exif import UPRIGHT


@dataclass(frozen=True)
class Pixels:
    """A picture file without its metadata.

    Attributes:
        content: the file, with nothing in it that its pixels do not depend on.
        width: of the picture as it is stored.
        height: of the picture as it is stored.
        orientation: which side is up, as EXIF numbers it.
        extra_bytes: what decoding needs in memory beside the decoded picture.
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
