"""What is known of an IDX file (LeCun's format of MNIST) before it is read: shape, element type, digests."""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Element = Literal["uint8", "int32"]
_ELEMENTS: dict[Element, tuple[int, int]] = {"uint8": (8, 1), "int32": (12, 4)}
"""Code in the header, and bytes of an entry."""


def idx_header(shape: Sequence[int], element: Element = "uint8") -> bytes:
    """The header of an IDX file: two zeros, the element type, the number of dimensions, each dimension."""
    return bytes([0, 0, _ELEMENTS[element][0], len(shape)]) + b"".join(size.to_bytes(4, "big") for size in shape)


@dataclass(frozen=True)
class IdxFile:
    """A file in the IDX format: a header, then the entries of an array, the highest byte of each first.

    Its content is verified by ``sha256``, else by ``md5``; if neither is known, by its size and header. The ``.gz``
    file as it is published is verified by ``gz_sha256``.

    Attributes:
        name: without ``.gz``.
        shape: of the array.
        sha256: of the uncompressed file; empty if it is not known.
        gz_sha256: of the published ``.gz`` file; empty if it is not known.
        md5: of the uncompressed file, where its SHA-256 is not known.
        element: the type of the entries.
    """

    name: str
    shape: tuple[int, ...]
    sha256: str = ""
    gz_sha256: str = ""
    md5: str = ""
    element: Element = "uint8"

    @property
    def header(self) -> bytes:
        """The bytes before the first entry."""
        return idx_header(self.shape, self.element)

    @property
    def size(self) -> int:
        """Bytes, uncompressed."""
        return len(self.header) + math.prod(self.shape) * _ELEMENTS[self.element][1]

    @property
    def stored_name(self) -> str:
        """The name under which a download is stored: in the form whose SHA-256 is known."""
        return f"{self.name}.gz" if self.gz_sha256 and not self.sha256 else self.name

    def has_digest(self, *, packed: bool) -> bool:
        """Whether a digest is known by which a ``.gz`` file or an uncompressed one is verified."""
        return bool(self.digest[1] or (packed and self.gz_sha256))

    @property
    def digest(self) -> tuple[str, str]:
        """The algorithm and the digest that verify the uncompressed file; empty if none is known."""
        return ("sha256", self.sha256) if self.sha256 else ("md5", self.md5) if self.md5 else ("", "")

    def digest_of(self, content: bytes) -> str:
        """The digest of a content by the same algorithm; empty if there is none."""
        algorithm, _ = self.digest
        # MD5 is used against damage and mistakes, on files whose size is fixed.
        return hashlib.new(algorithm, content, usedforsecurity=False).hexdigest() if algorithm else ""

    def matches(self, content: bytes) -> bool:
        """Whether the content of an uncompressed file is as it should be."""
        if self.digest_of(content) != self.digest[1]:
            return False
        return len(content) == self.size and content.startswith(self.header)

    def matches_packed(self, packed: bytes) -> bool:
        """Whether a file is the ``.gz`` file as it is published."""
        return bool(self.gz_sha256) and hashlib.sha256(packed).hexdigest() == self.gz_sha256


@dataclass(frozen=True)
class Archive:
    """A zip file that holds the ``.gz`` files of several data sets.

    Attributes:
        address: to download it from.
        size: in bytes.
        sha256: of the archive.
        folder: of the files in it, with a slash at its end.
    """

    address: str
    size: int
    sha256: str
    folder: str = ""
