"""Picture files and EXIF blocks changed at random, byte by byte."""

import io
import random
import struct

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

INTERESTING = (0, 1, 2, 4, 5, 7, 12, 13, 0x7F, 0x80, 0xFF)
SHAPE = (24, 40)


def mutated(content: bytes, source: random.Random) -> bytes:
    """The content with some bytes changed, and perhaps a part left out, repeated or cut off."""
    changed = bytearray(content)
    for _ in range(source.choice((1, 1, 2, 3, 8))):
        if not changed:
            break
        place = source.randrange(len(changed))
        match source.randrange(6):
            case 0:
                changed[place] = source.randrange(256)
            case 1:
                changed[place] = source.choice(INTERESTING)
            case 2:
                changed[place] ^= 1 << source.randrange(8)
            case 3:
                length = min(source.choice((2, 4, 8)), len(changed) - place)
                changed[place : place + length] = source.choice((b"\0", b"\xff", b"\x7f")) * length
            case 4:
                end = min(len(changed), place + source.choice((1, 2, 12, 40)))
                changed[place:end] = source.choice((b"", bytes(changed[place:end]) * 2))
            case 5 if source.random() < 0.3:
                del changed[place:]
    return bytes(changed)


def scene() -> Image.Image:
    """A picture of which no side looks like another."""
    rows, columns = np.indices(SHAPE)
    return Image.fromarray(((rows * 7 + columns * 3) % 256).astype(np.uint8))


def exif_blocks() -> list[bytes]:
    """EXIF blocks of every kind of value, in both byte orders, with and without sub-directories; one is a BigTIFF."""
    rich = Image.Exif()
    rich[0x0112] = 6
    rich[0x010E], rich[0x0110], rich[0x0132] = "a digit", "Camera 7", "2026:01:02 03:04:05"
    rich[0x011A], rich[0x011B], rich[0x0128] = 72.0, 72.0, 2
    rich.get_ifd(0x8769).update({0x829A: 0.01, 0x9286: b"ASCII\0\0\0seven", 0x927C: bytes(40)})
    rich.get_ifd(0x8825).update({1: "N", 2: (48.0, 8.0, 1.0)})
    little = rich.tobytes().removeprefix(b"Exif\0\0")
    entries = ((0x010E, 12, 1), (0x0112, 3, 1), (0x011A, 5, 1), (0x011B, 2, 4), (0x8769, 4, 1))
    body = b"".join(struct.pack(">HHII", tag, kind, count, 8) for tag, kind, count in entries)
    big = b"MM\0*\0\0\0\x08" + struct.pack(">H", len(entries)) + body + bytes(4)
    bigtiff = b"II+\0\x08\0\0\0" + struct.pack("<QQ", 16, 1) + struct.pack("<HHQQ", 0x0112, 3, 1, 6)
    return [little, big, bigtiff, bigtiff[:20]]


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    """A file of that kind."""
    file = io.BytesIO()
    image.save(file, format=kind, **options)
    return file.getvalue()


def picture_files() -> dict[str, list[bytes]]:
    """Small files of every kind that is read, in several of the ways in which each can be written."""
    grey = scene()
    colour = Image.merge("RGB", (grey, grey.transpose(Image.Transpose.FLIP_LEFT_RIGHT), grey))
    clear = colour.copy()
    clear.putalpha(grey)
    palette = grey.convert("P")
    deep = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    exif = Image.Exif()
    exif[0x0112], exif[0x011A] = 8, 72.0
    text = PngInfo()
    text.add_text("mnistdiff", "{}")
    text.add_text("Comment", "seven" * 50, zip=True)
    text.add_itxt("Title", "seven", zip=True)
    frames = [palette, palette.transpose(Image.Transpose.ROTATE_180)]
    return {
        "PNG": [
            saved(grey, "PNG", pnginfo=text, exif=exif, icc_profile=bytes(80), dpi=(72, 72)),
            saved(clear, "PNG"),
            saved(palette, "PNG", transparency=bytes(range(200))),
            saved(deep, "PNG"),
            saved(grey, "PNG", save_all=True, append_images=[grey, clear.convert("L")]),
        ],
        "JPEG": [
            saved(grey, "JPEG", exif=exif),
            saved(colour, "JPEG", progressive=True, exif=exif, icc_profile=bytes(80), comment="seven"),
            saved(colour.convert("CMYK"), "JPEG", restart_marker_blocks=2),
            saved(colour, "MPO", save_all=True, append_images=[colour]),
        ],
        "GIF": [saved(frames[0], "GIF", save_all=True, append_images=frames[1:], comment="mnistdiff: {}")],
        "WebP": [
            saved(colour, "WEBP", exif=exif),
            saved(clear, "WEBP", lossless=True),
            saved(clear, "WEBP", save_all=True, append_images=[colour]),
        ],
        "TIFF": [
            saved(colour, "TIFF", compression="tiff_lzw", exif=exif),
            saved(grey, "TIFF"),
            saved(deep, "TIFF", compression="tiff_adobe_deflate"),
            saved(grey.convert("1"), "TIFF", compression="group4"),
            saved(colour, "TIFF", compression="jpeg"),
        ],
        "BMP": [saved(colour, "BMP"), saved(palette, "BMP"), saved(grey.convert("1"), "BMP")],
    }
