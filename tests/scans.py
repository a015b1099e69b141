"""Pictures of digits as people make them: scans, photographs, screenshots; and pictures without a digit."""

import io
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

Levels = NDArray[np.float64]
"""Reflectance of a page, 0 (black) to 1 (white), shape (H, W)."""
Maker = Callable[[NDArray[np.uint8], np.random.Generator], Image.Image]

SIDE = 280


def enlarged(digit: NDArray[np.uint8], side: int = SIDE) -> Levels:
    """Ink of a digit, 0 to 1, on a square of this side: 28x28 pixels enlarged, with sharp edges as a pen has."""
    smooth = np.asarray(Image.fromarray(digit).resize((side, side), Image.Resampling.BICUBIC)) / 255
    return np.clip((smooth - 0.5) * 3 + 0.5, 0, 1)


def cut_out(digit: NDArray[np.uint8]) -> NDArray[np.uint8]:
    rows, columns = (np.flatnonzero((digit > 0).any(axis=axis)) for axis in (1, 0))
    return digit[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def thinned(ink: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The skeleton of a shape (Zhang and Suen 1984)."""
    ink = np.pad(ink, 1)
    while True:
        before = ink.sum()
        for first in (True, False):
            p = [
                np.roll(ink, shift, (0, 1))
                for shift in ((1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1))
            ]
            count = sum(each.astype(int) for each in p)
            turns = sum((~one & other).astype(int) for one, other in zip(p, p[1:] + p[:1], strict=True))
            a, b = (
                ((p[0] & p[2] & p[4]), (p[2] & p[4] & p[6])) if first else ((p[0] & p[2] & p[6]), (p[0] & p[4] & p[6]))
            )
            ink = ink & ~((count >= 2) & (count <= 6) & (turns == 1) & ~a & ~b)
        if ink.sum() == before:
            return ink[1:-1, 1:-1]


def drawn_with(digit: NDArray[np.uint8], width: float, side: int = SIDE) -> Levels:
    """A digit drawn with a pen of this share of the picture's width."""
    skeleton = thinned(enlarged(digit, side) > 0.5)
    pen = max(1, round(width * side))
    grown = Image.fromarray((255 * skeleton).astype(np.uint8)).filter(ImageFilter.MaxFilter(pen // 2 * 2 + 1))
    return np.asarray(grown.filter(ImageFilter.GaussianBlur(0.6))) / 255


def page(ink: Levels, *, paper: float = 0.95, pen: float = 0.08) -> Levels:
    return paper + (pen - paper) * ink


def on_sheet(
    digit: NDArray[np.uint8], height: int, width: int, size: int, rng: np.random.Generator, pen: float = 0.08
) -> Levels:
    """A digit of this size somewhere near the middle of a larger page."""
    ink = np.zeros((height, width))
    top = (height - size) // 2 + int(rng.integers(-height // 12, height // 12 + 1))
    left = (width - size) // 2 + int(rng.integers(-width // 12, width // 12 + 1))
    ink[top : top + size, left : left + size] = enlarged(digit, size)
    return page(ink, pen=pen)


def grey(levels: Levels, rng: np.random.Generator | None = None, noise: float = 0.0) -> Image.Image:
    if rng is not None and noise:
        levels = levels + rng.normal(0, noise, levels.shape)
    return Image.fromarray(np.clip(levels * 255 + 0.5, 0, 255).astype(np.uint8))


def jpeg(picture: Image.Image, quality: int = 75) -> Image.Image:
    file = io.BytesIO()
    picture.convert("RGB").save(file, "JPEG", quality=quality)
    return Image.open(file)


def ramp(shape: tuple[int, ...], side: str, loss: float) -> Levels:
    """Light that falls off away from one side to this share less."""
    height, width = shape
    along = np.linspace(1, 1 - loss, width if side in {"left", "right"} else height)
    along = along[::-1] if side in {"right", "bottom"} else along
    return np.tile(along, (height, 1)) if side in {"left", "right"} else np.tile(along[:, None], (1, width))


def vignette(shape: tuple[int, ...], loss: float) -> Levels:
    y, x = np.mgrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j]
    return 1 - loss * (x**2 + y**2) / 2


def shadow(shape: tuple[int, ...], rng: np.random.Generator, depth: float = 0.45, soft: float = 1.0) -> Levels:
    """A straight hard edge across the page, dark on one side."""
    y, x = np.mgrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j]
    angle = rng.uniform(0, 2 * np.pi)
    away = (x * np.cos(angle) + y * np.sin(angle) - rng.uniform(-0.4, 0.4)) * shape[0] / 2
    return 1 - depth * np.clip(away / soft + 0.5, 0, 1)


def lined(
    shape: tuple[int, ...], rng: np.random.Generator, *, squared: bool, spacing: float, shade: float, width: int = 2
) -> Levels:
    lines = np.ones(shape)
    step = round(spacing * shape[0])
    for start in range(int(rng.integers(2, step)), shape[0], step):
        lines[start : start + width] = shade
    if squared:
        for start in range(int(rng.integers(2, step)), shape[1], step):
            lines[:, start : start + width] = shade
    return lines


def on_desk(sheet: Levels, rng: np.random.Generator, *, desk: float, turned: float = 0.0) -> Levels:
    height, width = sheet.shape
    picture = Image.new("L", (width * 3 // 2, height * 3 // 2), round(255 * desk))
    paper = grey(sheet).convert("LA").rotate(turned, Image.Resampling.BICUBIC, expand=True)
    room = picture.width - paper.width, picture.height - paper.height
    picture.paste(
        paper.convert("L"),
        tuple(int(rng.integers(max(r, 1) // 4, max(3 * r // 4, 1) + 1)) for r in room),
        paper.getchannel("A"),
    )
    return np.asarray(picture) / 255


def coloured(ink: Levels, pen: tuple[int, ...], paper: tuple[int, ...]) -> Image.Image:
    return Image.fromarray(
        (np.array(paper) + ink[..., None] * (np.array(pen) - np.array(paper)) + 0.5).astype(np.uint8)
    )


def on_clear(ink: Levels, colour: tuple[int, int, int]) -> Image.Image:
    picture = Image.new("RGBA", ink.shape[::-1], (*colour, 0))
    hidden = np.asarray(picture).copy()
    hidden[ink == 0, :3] = 0
    hidden[..., 3] = (255 * ink + 0.5).astype(np.uint8)
    return Image.fromarray(hidden)


def framed(levels: Levels, *, inset: int, width: int, pen: float = 0.08) -> Levels:
    levels = levels.copy()
    height, across = levels.shape
    inner = levels[inset + width : height - inset - width, inset + width : across - inset - width].copy()
    levels[inset : height - inset, inset : across - inset] = pen
    levels[inset + width : height - inset - width, inset + width : across - inset - width] = inner
    return levels


def resized(digit: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    return np.asarray(Image.fromarray(digit).resize((width, height), Image.Resampling.BICUBIC))


def filling(digit: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """The digit as large as fits into a picture of this size, its shape kept."""
    cut = cut_out(digit)
    scale = min(width / cut.shape[1], height / cut.shape[0])
    across, down = max(1, round(cut.shape[1] * scale)), max(1, round(cut.shape[0] * scale))
    image = np.zeros((height, width), np.uint8)
    top, left = (height - down) // 2, (width - across) // 2
    image[top : top + down, left : left + across] = resized(cut, across, down)
    return image


def in_corner(digit: NDArray[np.uint8], width: int, height: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    cut = cut_out(digit)
    image = np.zeros((height, width), np.uint8)
    top = int(rng.integers(2)) * (height - cut.shape[0])
    left = int(rng.integers(2)) * (width - cut.shape[1])
    image[top : top + cut.shape[0], left : left + cut.shape[1]] = cut
    return image


def dark(image: NDArray[np.uint8]) -> Image.Image:
    return Image.fromarray(255 - image)


def light(image: NDArray[np.uint8]) -> Image.Image:
    return Image.fromarray(image)


def _clear_palette(d: NDArray[np.uint8], rng: np.random.Generator) -> Image.Image:
    picture = Image.fromarray((enlarged(d) > 0.5).astype(np.uint8), "P")
    picture.putpalette([0, 0, 0, 0, 0, 0])
    picture.info["transparency"] = 0
    return picture


def _clear_la(d: NDArray[np.uint8], rng: np.random.Generator) -> Image.Image:
    return on_clear(enlarged(d), (0, 0, 0)).convert("LA")


def _deep(d: NDArray[np.uint8], rng: np.random.Generator) -> Image.Image:
    return Image.fromarray((page(enlarged(d)) * 4095).astype(np.uint16))


def _deep_narrow(d: NDArray[np.uint8], rng: np.random.Generator) -> Image.Image:
    return Image.fromarray((9000 + page(enlarged(d)) * 700 + rng.normal(0, 8, (SIDE, SIDE))).astype(np.uint16))


def _photo(d: NDArray[np.uint8], rng: np.random.Generator, light: Callable[[tuple[int, ...]], Levels]) -> Image.Image:
    sheet = on_sheet(d, 450, 600, 260, rng)
    return grey(sheet * light(sheet.shape), rng, 0.01)


KINDS: dict[str, Maker] = {
    "control scan": lambda d, r: grey(page(enlarged(d))),
    "control scan, white on black": lambda d, r: grey(1 - page(enlarged(d))),
    "black on clear": lambda d, r: on_clear(enlarged(d), (0, 0, 0)),
    "blue on clear": lambda d, r: on_clear(enlarged(d), (20, 40, 200)),
    "white on clear": lambda d, r: on_clear(enlarged(d), (255, 255, 255)),
    "black on clear, LA": _clear_la,
    "black on clear, palette": _clear_palette,
    "28x28 black on clear": lambda d, r: on_clear(d / 255, (0, 0, 0)),
    "28x28 dark on light": lambda d, r: dark(d),
    "28x28 corner, light on dark": lambda d, r: Image.fromarray(in_corner(d, 28, 28, r)),
    "28x28 corner, dark on light": lambda d, r: dark(in_corner(d, 28, 28, r)),
    "28x28 filled, light on dark": lambda d, r: Image.fromarray(filling(d, 28, 28)),
    "28x28 filled, dark on light": lambda d, r: dark(filling(d, 28, 28)),
    "27x29 filled, light on dark": lambda d, r: Image.fromarray(filling(d, 27, 29)),
    "29x27 filled, dark on light": lambda d, r: dark(filling(d, 29, 27)),
    "64x48 corner": lambda d, r: dark(in_corner(resized(d, 40, 40), 64, 48, r)),
    "off centre": lambda d, r: dark(in_corner(resized(d, 100, 100), 320, 240, r)),
    "tight crop": lambda d, r: dark(resized(cut_out(d), cut_out(d).shape[1] * 8, cut_out(d).shape[0] * 8)),
    **{
        f"light from {side}, {loss} %": lambda d, r, side=side, loss=loss: _photo(
            d, r, lambda s: ramp(s, side, loss / 100)
        )
        for side, loss in (
            ("left", 15),
            ("left", 50),
            ("right", 30),
            ("right", 50),
            ("top", 15),
            ("top", 50),
            ("bottom", 30),
            ("bottom", 50),
        )
    },
    "vignette 30 %": lambda d, r: _photo(d, r, lambda s: vignette(s, 0.3)),
    "vignette 60 %": lambda d, r: _photo(d, r, lambda s: vignette(s, 0.6)),
    "hard shadow": lambda d, r: grey(page(enlarged(d, 420)) * shadow((420, 420), r)),
    "soft shadow": lambda d, r: grey(page(enlarged(d, 420)) * shadow((420, 420), r, soft=40)),
    "hard shadow on a photo": lambda d, r: _photo(d, r, lambda s: shadow(s, r, 0.5, 4)),
    "sheet on dark desk": lambda d, r: grey(on_desk(page(enlarged(d, 400)), r, desk=0.2), r, 0.01),
    "sheet on grey desk": lambda d, r: grey(on_desk(page(enlarged(d, 400)), r, desk=0.5), r, 0.01),
    "turned sheet on dark desk": lambda d, r: grey(
        on_desk(page(enlarged(d, 400)), r, desk=0.15, turned=r.uniform(-8, 8)), r, 0.01
    ),
    "frame at the edge": lambda d, r: grey(framed(page(enlarged(d)), inset=0, width=4)),
    "frame": lambda d, r: grey(framed(page(np.pad(enlarged(d), 20)), inset=8, width=5)),
    "thick frame": lambda d, r: grey(framed(page(np.pad(enlarged(d), 20)), inset=6, width=12)),
    "12 bits in 16": _deep,
    "narrow range in 16 bits": _deep_narrow,
    "red on blue": lambda d, r: coloured(enlarged(d), (220, 40, 30), (60, 90, 200)),
    "green on red": lambda d, r: coloured(enlarged(d), (40, 130, 40), (220, 50, 50)),
    "blue on brown": lambda d, r: coloured(enlarged(d), (30, 110, 250), (150, 90, 60)),
    "yellow on white": lambda d, r: coloured(enlarged(d), (255, 235, 60), (255, 255, 255)),
    "blue ink": lambda d, r: coloured(enlarged(d), (30, 40, 170), (245, 243, 235)),
    "pencil": lambda d, r: grey(page(drawn_with(d, 0.03), paper=0.9, pen=0.72), r, 0.015),
    "pencil, broad": lambda d, r: grey(page(enlarged(d), paper=0.9, pen=0.75), r, 0.02),
    "pen of 1/100": lambda d, r: grey(page(drawn_with(d, 0.01))),
    "pen of 1/40": lambda d, r: grey(page(drawn_with(d, 0.025))),
    "ruled": lambda d, r: grey(page(enlarged(d)) * lined((SIDE, SIDE), r, squared=False, spacing=0.12, shade=0.75)),
    "ruled, dark": lambda d, r: grey(
        np.minimum(page(enlarged(d)), lined((SIDE, SIDE), r, squared=False, spacing=0.15, shade=0.3))
    ),
    "squared": lambda d, r: grey(page(enlarged(d)) * lined((SIDE, SIDE), r, squared=True, spacing=0.09, shade=0.75)),
    "squared, fine pen": lambda d, r: grey(
        page(drawn_with(d, 0.025)) * lined((SIDE, SIDE), r, squared=True, spacing=0.08, shade=0.7)
    ),
    "ruled, turned": lambda d, r: grey(
        page(enlarged(d))
        * np.asarray(
            grey(lined((400, 400), r, squared=False, spacing=0.1, shade=0.7))
            .rotate(r.uniform(-5, 5), Image.Resampling.BICUBIC)
            .crop((60, 60, 340, 340))
        )
        / 255
    ),
    "JPEG 75": lambda d, r: jpeg(grey(page(enlarged(d)))),
    "JPEG 75, small": lambda d, r: jpeg(grey(page(enlarged(d, 56)))),
    "JPEG 75, pencil": lambda d, r: jpeg(grey(page(drawn_with(d, 0.03), paper=0.85, pen=0.6), r, 0.02)),
    "noise": lambda d, r: grey(page(enlarged(d), paper=0.85, pen=0.25), r, 0.08),
    "blur": lambda d, r: grey(page(enlarged(d))).filter(ImageFilter.GaussianBlur(8)),
    "low contrast": lambda d, r: grey(page(enlarged(d), paper=0.55, pen=0.42), r, 0.004),
    "shadow and ruled": lambda d, r: grey(
        page(enlarged(d, 420)) * shadow((420, 420), r) * lined((420, 420), r, squared=False, spacing=0.1, shade=0.75)
    ),
    "light from left and squared": lambda d, r: grey(
        page(enlarged(d, 420))
        * ramp((420, 420), "left", 0.4)
        * lined((420, 420), r, squared=True, spacing=0.1, shade=0.75),
        r,
        0.01,
    ),
    "frame, light from top": lambda d, r: grey(
        framed(page(np.pad(enlarged(d), 20)), inset=8, width=5) * ramp((SIDE + 40, SIDE + 40), "top", 0.4), r, 0.01
    ),
    "chalk with light from the right": lambda d, r: grey(
        page(enlarged(d, 420), paper=0.2, pen=0.85) * ramp((420, 420), "right", 0.4), r, 0.01
    ),
    "desk, light from the right": lambda d, r: grey(
        on_desk(page(enlarged(d, 400)), r, desk=0.2) * ramp((600, 600), "right", 0.35), r, 0.01
    ),
}


def _even(level: int, width: int = 28, height: int = 28) -> Image.Image:
    return Image.new("L", (width, height), level)


BLANKS: dict[str, Callable[[np.random.Generator], Image.Image]] = {
    "28x28 black": lambda r: _even(0),
    "28x28 grey": lambda r: _even(90),
    "28x28 white": lambda r: _even(255),
    "large black": lambda r: _even(0, 300, 200),
    "one pixel": lambda r: _even(0, 1, 1),
    "28x28 light from left": lambda r: grey(0.95 * ramp((28, 28), "left", 0.5)),
    **{
        f"light from {side}": lambda r, side=side: grey(0.95 * ramp((400, 500), side, 0.5), r, 0.01)
        for side in ("left", "right", "top", "bottom")
    },
    "vignette": lambda r: grey(0.95 * vignette((400, 500), 0.6), r, 0.01),
    "hard shadow": lambda r: grey(0.95 * shadow((420, 420), r)),
    "soft shadow": lambda r: grey(0.95 * shadow((420, 420), r, soft=60), r, 0.01),
    "two shadows": lambda r: grey(0.95 * shadow((420, 420), r) * shadow((420, 420), r, 0.3), r, 0.01),
    "ruled": lambda r: grey(0.95 * lined((400, 300), r, squared=False, spacing=0.1, shade=0.7)),
    "ruled, dark": lambda r: grey(0.95 * lined((400, 300), r, squared=False, spacing=0.1, shade=0.3)),
    "squared": lambda r: grey(0.95 * lined((300, 300), r, squared=True, spacing=0.08, shade=0.7)),
    "frame": lambda r: grey(framed(np.full((300, 300), 0.95), inset=15, width=5)),
    "frame at the edge": lambda r: grey(framed(np.full((300, 300), 0.95), inset=0, width=5)),
    "28x28 noise": lambda r: Image.fromarray(r.integers(0, 256, (28, 28), dtype=np.uint8)),
    "noise": lambda r: Image.fromarray(r.integers(0, 256, (300, 300), dtype=np.uint8)),
    "faint noise": lambda r: grey(np.full((300, 300), 0.8), r, 0.05),
    "28x28 faint noise": lambda r: grey(np.full((28, 28), 0.1), r, 0.05),
    "JPEG of noise": lambda r: jpeg(grey(np.full((300, 300), 0.8), r, 0.05)),
    "sheet on a desk": lambda r: grey(on_desk(np.full((400, 400), 0.95), r, desk=0.2), r, 0.01),
    "turned sheet on a desk": lambda r: grey(on_desk(np.full((400, 400), 0.95), r, desk=0.2, turned=6), r, 0.01),
    "clear": lambda r: Image.new("RGBA", (100, 80), (0, 0, 0, 0)),
    "28x28 clear": lambda r: Image.new("LA", (28, 28), (0, 0)),
    "12 bits in 16": lambda r: Image.fromarray((3000 + r.normal(0, 10, (200, 200))).astype(np.uint16)),
    "ruled in shadow": lambda r: grey(
        0.95 * lined((420, 420), r, squared=False, spacing=0.1, shade=0.75) * shadow((420, 420), r), r, 0.01
    ),
    "blue card": lambda r: Image.new("RGB", (200, 200), (40, 80, 220)),
}


def _side_by_side(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> Image.Image:
    return grey(page(np.hstack([enlarged(a), enlarged(b)])))


def _touching_frame(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> Image.Image:
    ink = np.pad(enlarged(filling(a, 28, 28), 260), 8)
    return grey(framed(page(ink), inset=4, width=6))


DOUBTFUL: dict[str, Callable[[NDArray[np.uint8], NDArray[np.uint8]], Image.Image]] = {
    "two digits": _side_by_side,
    "two digits above each other": lambda a, b: grey(page(np.vstack([enlarged(a), enlarged(b)]))),
    "two digits, small": lambda a, b: dark(np.hstack([a, b])),
    "two digits, light on dark": lambda a, b: Image.fromarray(np.hstack([a, b])),
    "touching the frame": _touching_frame,
}
