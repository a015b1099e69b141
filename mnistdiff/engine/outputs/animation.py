"""Animations: GIF and animated PNG."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from mnistdiff.setting_types import AnimationKind

_HOLD_SECONDS = 1.5
"""How long the last frame is shown before the animation starts again."""
_SECONDS_FORWARDS = 2.0


def kind_of(path: Path) -> AnimationKind:
    """The kind of an animation with this file name: animated PNG if it ends in ``.png``, else GIF."""
    return "png" if path.suffix.lower() == ".png" else "gif"


def forwards_and_backwards(
    frames: Sequence[NDArray[np.uint8]], kind: AnimationKind, metadata: Mapping[str, str]
) -> bytes:
    """An animation of the frames forwards and backwards, with a pause at both ends; arguments as for ``animation``."""
    pause = len(frames) // 6
    forwards = [frames[0]] * pause + list(frames) + [frames[-1]] * pause
    return animation([*forwards, *forwards[-2:0:-1]], kind, metadata, seconds=2 * _SECONDS_FORWARDS, hold=0)


def animation(
    frames: Sequence[NDArray[np.uint8]],
    kind: AnimationKind,
    metadata: Mapping[str, str] = MappingProxyType({}),
    *,
    seconds: float,
    hold: float = _HOLD_SECONDS,
) -> bytes:
    """An endless animation. The same arguments give the same bytes.

    Args:
        frames: at least one: grey levels, all of one shape (H, W).
        kind: "gif" or "png".
        metadata: as for ``encode_png``; ``Picture.text`` reads them back.
        seconds: from the first frame to the last.
        hold: seconds for which the last is then shown.
    """
    images = [Image.fromarray(frame) for frame in frames]
    # GIF counts hundredths of a second, and viewers slow down what is shorter than two of them.
    milliseconds = max(20, round(1000 * seconds / len(frames) / 10) * 10)
    durations = [milliseconds] * (len(frames) - 1) + [milliseconds + round(1000 * hold)]
    # GIF has a single comment: a line for each keyword.
    comment = "\n".join(f"{keyword}: {value}" for keyword, value in metadata.items()).encode()
    chunks = PngInfo()
    for keyword, value in metadata.items():
        chunks.add_text(keyword, value)
    text: Mapping[str, Mapping[str, object]] = {"gif": {"comment": comment}, "png": {"pnginfo": chunks}}
    file = io.BytesIO()
    images[0].save(
        file,
        format=kind.upper(),
        save_all=True,
        append_images=images[1:],
        duration=durations,
        loop=0,
        optimize=False,
        **text[kind],
    )
    return file.getvalue()
