"""Detection of file formats by their first bytes."""

from typing import Literal

Format = Literal["PNG", "JPEG", "WebP", "GIF", "TIFF", "BMP"]

_READ: dict[Format, bytes | tuple[bytes, ...]] = {
    "PNG": b"\x89PNG\r\n\x1a\n",
    "JPEG": b"\xff\xd8\xff",
    "GIF": (b"GIF87a", b"GIF89a"),
    "BMP": b"BM",
}
_TIFF = (b"II*\0", b"MM\0*")
_BRANDS = {
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"), "a HEIC photo"),
    **dict.fromkeys((b"mif1", b"msf1"), "a HEIF photo"),
    **dict.fromkeys((b"avif", b"avis"), "an AVIF picture"),
    b"crx ": "a raw photo of a camera",
    b"qt  ": "a QuickTime film",
}
_OTHERS: dict[str, bytes | tuple[bytes, ...]] = {
    "a PDF document": b"%PDF-",
    "a PostScript document": (b"%!PS", b"\xc5\xd0\xd3\xc6"),
    "an icon (ICO)": b"\0\0\1\0",
    "a cursor (CUR)": b"\0\0\2\0",
    "a Photoshop document": b"8BPS",
    "a GIMP document": b"gimp xcf",
    "a JPEG XL picture": (b"\0\0\0\x0cJXL ", b"\xff\x0a"),
    "a JPEG 2000 picture": (b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51"),
    "a BigTIFF picture": (b"II+\0", b"MM\0+"),
    "a JPEG XR picture": b"II\xbc\1",
    "a raw photo of a camera": (b"IIU\0", b"FUJIFILMCCD-RAW"),
    "a FITS image": b"SIMPLE  =",
    "a DDS texture": b"DDS ",
    "a ZIP archive": b"PK\3\4",
    "a gzip archive": b"\x1f\x8b",
    "a NumPy array": b"\x93NUMPY",
    "a film (Matroska)": b"\x1a\x45\xdf\xa3",
}


def kind_of(content: bytes) -> Format | None:
    """The format of a picture that can be read; None for others."""
    if content.startswith(b"RIFF") and content[8:12] == b"WEBP":
        return "WebP"
    if content.startswith(_TIFF):
        return None if content[8:11] == b"CR\2" else "TIFF"
    return next((kind for kind, start in _READ.items() if content.startswith(start)), None)


def name_of(content: bytes) -> str:
    """The kind of a file, for an error message: ``a HEIC photo``; empty if unknown."""
    kind = kind_of(content)
    if kind is not None:
        return f"a {kind} picture"
    if content.startswith(_TIFF):
        return "a raw photo of a camera"
    if content[4:8] == b"ftyp":
        return _BRANDS.get(content[8:12], "a film (MPEG-4)")
    known = next((name for name, start in _OTHERS.items() if content.startswith(start)), "")
    return known or _name_of_text(content[:1024])


def _name_of_text(start: bytes) -> str:
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith((b"<!doctype html", b"<html")):
        return "a web page (HTML)"
    if b"<svg" in text and text.startswith(b"<"):
        return "an SVG drawing"
    if len(start) > 16 and text.startswith((b"p1", b"p2", b"p3", b"p4", b"p5", b"p6")) and text[2:3].isspace():
        return "a PNM picture"
    return ""
