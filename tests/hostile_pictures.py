"""Small picture files that ask for much, or that lie: each a function that makes one of less than a megabyte."""

import re
import struct
import zlib
from collections.abc import Callable

import numpy as np
from mutations import saved, scene
from PIL import Image

from mnistdiff.engine.outputs.png import encode_png

SIGNATURE = b"\x89PNG\r\n\x1a\n"
SMALL = np.zeros((28, 28), np.uint8)
CUT_OFF_BIGTIFF = b"II+\0\x08\0\0\0\x10\0\0\0"
DESCRIPTION_OF_DOUBLES = b"II*\0\x08\0\0\0\x01\0" + struct.pack("<HHII", 0x010E, 12, 1, 26) + bytes(4) + b"\0" * 8


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def zeros(count: int) -> bytes:
    """So many zero bytes, packed: a block of a mebibyte again and again, since packing them all takes seconds."""
    whole, rest = divmod(count, 2**20)
    packer, last = (zlib.compressobj(9, wbits=-15) for _ in range(2))
    block = packer.compress(bytes(2**20)) + packer.flush(zlib.Z_FULL_FLUSH)
    end = last.compress(bytes(rest)) + last.flush()
    return b"\x78\xda" + block * whole + end + struct.pack(">I", count % 65521 << 16 | 1)  # Adler-32 of zeros


def png(
    width: int, height: int, *, depth: int = 8, colour: int = 0, interlaced: bool = False, pixels: bool = True
) -> bytes:
    """A black picture, as small as PNG makes it; without ``pixels`` a header that promises them."""
    channels = {0: 1, 2: 3, 4: 2, 6: 4}[colour]
    line = 1 + (width * channels * depth + 7) // 8
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced))
    packed = zeros(height * line * (2 if interlaced else 1)) if pixels else zlib.compress(b"\0")
    return SIGNATURE + header + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def png_with(*chunks: bytes, after: bytes = b"") -> bytes:
    """A small whole picture with further chunks before its pixels, or after."""
    whole = encode_png(SMALL)
    return whole[:33] + b"".join(chunks) + whole[33:-12] + after + whole[-12:]


def text_bomb(kind: bytes, keyword: bytes) -> bytes:
    head = {b"zTXt": b"\0\0", b"iTXt": b"\0\1\0\0\0", b"iCCP": b"\0\0"}[kind]
    return png_with(chunk(kind, keyword + head + zeros(400 * 2**20)))


def jpeg_of_scans(width: int, height: int, scans: int) -> bytes:
    """A progressive picture whose last scan is repeated."""
    content = saved(Image.new("L", (width, height), 255), "JPEG", progressive=True)
    last = [match.start() for match in re.finditer(rb"\xff\xda", content)][-1]
    return content[:last] + content[last:-2] * min(scans, 980_000 // (len(content) - last)) + b"\xff\xd9"


def jpeg_of_size(width: int, height: int, *, progressive: bool) -> bytes:
    """A small picture whose header promises another size."""
    content = bytearray(saved(Image.new("RGB", (64, 64), 255), "JPEG", progressive=progressive, subsampling=0))
    place = content.index(b"\xff\xc2" if progressive else b"\xff\xc0")
    content[place + 5 : place + 9] = struct.pack(">HH", height, width)
    return bytes(content)


def gif(width: int, height: int, *frames: tuple[int, int], comment: bytes = b"") -> bytes:
    """Frames that hold one pixel, whatever size they promise."""
    image = b"\0\x02\x02\x44\x01\0"
    said = b"".join(bytes([len(comment[k : k + 255])]) + comment[k : k + 255] for k in range(0, len(comment), 255))
    return (
        b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes(6)
        + (b"\x21\xfe" + said + b"\0" if comment else b"")
        + b"".join(b"\x2c" + struct.pack("<HHHH", 0, 0, *size) + image for size in frames) + b"\x3b"
    )  # fmt: skip


def tiff(*entries: tuple[int, int, int, int], data: bytes = b"", following: int = 0) -> bytes:
    """A file with one directory of (tag, kind, count, value); ``data`` begins at 8."""
    directory = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *entry) for entry in sorted(entries))
    return b"II*\0" + struct.pack("<I", 8 + len(data)) + data + directory + struct.pack("<I", following)


def deflated_tiff(width: int, height: int, *more: tuple[int, int, int, int]) -> bytes:
    data = zeros(min(width * height, 400 * 2**20))
    strips = (
        () if any(tag == 322 for tag, *_ in more) else ((273, 4, 1, 8), (279, 4, 1, len(data)), (278, 4, 1, height))
    )
    usual = ((256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, 8), (262, 3, 1, 1), (277, 3, 1, 1))
    return tiff(*usual, *strips, *more, data=data)


def riff(*chunks: tuple[bytes, bytes]) -> bytes:
    body = b"WEBP" + b"".join(k + struct.pack("<I", len(d)) + d + bytes(len(d) % 2) for k, d in chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def webp(width: int, height: int, frames: int = 0) -> bytes:
    """A canvas of that size with a small picture, or so many of them."""
    small = saved(Image.new("RGB", (16, 16)), "WEBP", lossless=True)[12:]
    canvas = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    header = (b"VP8X", bytes([2 if frames else 0, 0, 0, 0]) + canvas)
    if not frames:
        return riff(header, (small[:4], small[8:]))
    frame = bytes(6) + (15).to_bytes(3, "little") * 2 + bytes([10, 0, 0, 0]) + small
    return riff(header, (b"ANIM", bytes(6)), *[(b"ANMF", frame)] * frames)


def bmp(width: int, height: int, *, packing: int = 0, colours: int = 0, data: bytes = b"") -> bytes:
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, packing, len(data), 0, 0, colours, 0)
    return b"BM" + struct.pack("<IHHI", 54 + 1024 + len(data), 0, 0, 54 + 1024) + header + bytes(1024) + data


HOSTILE: dict[str, Callable[[], bytes]] = {
    "png-of-60000x60000-promised": lambda: png(60_000, 60_000, pixels=False),
    "png-of-2147483647": lambda: png(2**31 - 1, 2**31 - 1, pixels=False),
    "png-of-no-width": lambda: png(0, 10),
    "png-of-400-million-pixels": lambda: png(20_000, 20_000),
    "png-of-120-million-pixels": lambda: png(11_000, 10_900),
    "png-of-120-million-bits": lambda: png(11_000, 10_900, depth=1),
    "png-of-38-million-pixels-in-colour": lambda: png(6_200, 6_200, colour=6),
    "png-of-38-million-deep-pixels": lambda: png(6_200, 6_200, colour=6, depth=16),
    "png-interlaced": lambda: png(9_000, 9_000, interlaced=True),
    "png-of-one-line": lambda: png(100_000_000, 1),
    "png-of-one-column": lambda: png(1, 100_000_000, depth=1),
    "png-of-4096x4096": lambda: png(4096, 4096),
    "png-with-80000-empty-chunks": lambda: png_with(chunk(b"teXt", b"") * 80_000),
    "png-with-80000-empty-pixel-chunks": lambda: png_with(chunk(b"IDAT", b"") * 80_000),
    "png-with-80000-pixel-chunks-at-the-end": lambda: png_with(after=chunk(b"IDAT", b"\0") * 70_000),
    "png-with-a-packed-text-bomb": lambda: text_bomb(b"zTXt", b"Comment"),
    "png-with-an-international-text-bomb": lambda: text_bomb(b"iTXt", b"XML:com.adobe.xmp"),
    "png-with-a-profile-bomb": lambda: text_bomb(b"iCCP", b"sRGB"),
    "png-with-a-provenance-bomb": lambda: text_bomb(b"zTXt", b"mnistdiff"),
    "png-with-an-international-provenance-bomb": lambda: text_bomb(b"iTXt", b"mnistdiff"),
    "png-with-a-cut-off-bigtiff": lambda: png_with(chunk(b"eXIf", CUT_OFF_BIGTIFF)),
    "png-with-a-description-of-doubles": lambda: png_with(chunk(b"eXIf", DESCRIPTION_OF_DOUBLES)),
    "png-with-an-exif-of-900-kb": lambda: png_with(chunk(b"eXIf", b"MM\0*\0\0\0\x08\xff\xff" + bytes(900_000))),
    "png-of-two-billion-frames": lambda: png_with(chunk(b"acTL", struct.pack(">II", 2**31 - 1, 0))),
    "png-with-two-headers": lambda: png_with(png(20_000, 20_000, pixels=False)[8:33]),
    "png-with-a-palette-of-nothing": lambda: png_with(chunk(b"PLTE", b""), chunk(b"tRNS", b"")),
    "jpeg-of-15000-scans": lambda: jpeg_of_scans(1000, 1000, 15_000),
    "jpeg-of-24-million-pixels-in-many-scans": lambda: jpeg_of_scans(6000, 4000, 15_000),
    "jpeg-of-65500x65500": lambda: jpeg_of_size(65_500, 65_500, progressive=False),
    "jpeg-of-120-million-pixels": lambda: jpeg_of_size(12_000, 10_000, progressive=False),
    "jpeg-of-120-million-pixels-progressive": lambda: jpeg_of_size(12_000, 10_000, progressive=True),
    "jpeg-of-30-million-pixels-progressive": lambda: jpeg_of_size(6_000, 5_000, progressive=True),
    "jpeg-of-no-height": lambda: jpeg_of_size(100, 0, progressive=False),
    "jpeg-of-200000-markers": lambda: b"\xff\xd8" + b"\xff\xe5\0\2" * 200_000 + saved(scene(), "JPEG")[2:],
    "jpeg-of-fill-bytes": lambda: b"\xff\xd8" + b"\xff" * 900_000 + saved(scene(), "JPEG")[2:],
    "gif-of-65535x65535": lambda: gif(65_535, 65_535, (1, 1)),
    "gif-whose-first-frame-is-larger": lambda: gif(10, 10, (65_535, 65_535)),
    "gif-whose-later-frame-is-larger": lambda: gif(10, 10, (1, 1), (65_535, 65_535)),
    "gif-with-a-comment-of-900-kb": lambda: gif(10, 10, (1, 1), comment=b"mnistdiff: " + b"x" * 900_000),
    "gif-of-50000-frames": lambda: gif(10, 10, *[(1, 1)] * 50_000),
    "gif-of-50000-frames-on-a-large-canvas": lambda: gif(4000, 4000, *[(1, 1)] * 50_000),
    "gif-of-500000-tiny-blocks": lambda: gif(10, 10, (1, 1))[:-1] + b"\x21\xfe" + b"\1x" * 450_000,
    "tiff-of-400-million-pixels": lambda: deflated_tiff(20_000, 20_000),
    "tiff-of-120-million-pixels": lambda: deflated_tiff(12_000, 10_000),
    "tiff-with-a-tile-of-4-billion-pixels": lambda: deflated_tiff(
        100, 100, (322, 4, 1, 65_520), (323, 4, 1, 65_520), (324, 4, 1, 8), (325, 4, 1, 900_000)
    ),
    "tiff-with-a-strip-of-900-million-pixels": lambda: deflated_tiff(30_000, 30_000, (278, 4, 1, 30_000)),
    "tiff-of-65535-samples": lambda: tiff(
        (256, 4, 1, 100), (257, 4, 1, 100), (258, 3, 65_535, 8), (277, 3, 1, 65_535), (262, 3, 1, 2), (273, 4, 1, 8),
        data=bytes(200_000),
    ),
    "tiff-of-2-billion-strips": lambda: deflated_tiff(100, 100, (273, 4, 2**31, 8)),
    "tiff-that-goes-round": lambda: tiff((256, 4, 1, 10), (257, 4, 1, 10), data=bytes(100), following=108),
    "tiff-of-65535-tags": lambda: tiff(*[(60_000, 2, 2**31, 0)] * 65_535),
    "webp-of-16383x16383": lambda: webp(16_383, 16_383),
    "webp-of-16777216x16777216": lambda: webp(2**24, 2**24),
    "webp-of-4000-frames": lambda: webp(4000, 4000, 4000),
    "webp-lossless-of-16000x16000": lambda: webp_header(16_000, 16_000),
    "bmp-of-30000x30000": lambda: bmp(30_000, 30_000),
    "bmp-packed-of-12000x10000": lambda: bmp(12_000, 10_000, packing=1, data=b"\xff\0" * 450_000),
    "bmp-packed-that-jumps": lambda: bmp(12_000, 10_000, packing=1, data=b"\0\2\xff\xff" * 200_000),
    "bmp-upside-down-without-end": lambda: bmp(100, -(2**31)),
    "bmp-of-4-billion-colours": lambda: bmp(28, 28, colours=2**32 - 1, data=bytes(784)),
    "eps": lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 28 28\n(/tmp/canary) (w) file closefile\n",
    "ico": lambda: saved(Image.new("RGB", (32, 32)), "ICO"),
    "pnm": lambda: b"P5 30000 30000 255\n" + bytes(1000),
    "icns": lambda: b"icns" + bytes(100),
    "jpeg-2000": lambda: saved(scene(), "JPEG2000"),
}  # fmt: skip


def webp_header(width: int, height: int) -> bytes:
    bits = (width - 1) | (height - 1) << 14
    return riff((b"VP8L", b"\x2f" + struct.pack("<I", bits) + bytes(1000)))
