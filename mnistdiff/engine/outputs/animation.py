"""Pictures one after another: GIF and animated PNG."""

import io
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal, assert_never

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mnistdiff.engine.outputs.png import text_chunks

Kind = Literal["gif", "png"]
"""GIF, or animated PNG, which every viewer that knows PNG shows at least in part."""
_HOLD_SECONDS = 1.5
"""How long the last frame stays before the film begins again."""
_SECONDS_ONE_WAY = 2.0


def there_and_back(frames: Sequence[NDArray[np.uint8]], kind: Kind, text: Mapping[str, str]) -> bytes:
    """An endless film of the frames, and of the same frames backwards, with a rest at both ends; otherwise as below."""
    still = len(frames) // 6
    there = [frames[0]] * still + list(frames) + [frames[-1]] * still
    return animation([*there, *there[-2:0:-1]], kind, text, seconds=2 * _SECONDS_ONE_WAY, hold=0)


def animation(
    frames: Sequence[NDArray[np.uint8]],
    kind: Kind,
    text: Mapping[str, str] = MappingProxyType({}),
    *,
    seconds: float,
    hold: float = _HOLD_SECONDS,
) -> bytes:
    """An endless film. The same arguments give the same bytes.

    Args:
        frames: grey levels, all of one shape (H, W).
        kind: "gif" or "png".
        text: what the file says of itself, as for ``encode_png``; ``Picture.text`` reads it back.
        seconds: from the first frame to the last.
        hold: seconds for which the last then stays.

    Raises:
        ValueError: if there is no frame.
    """
    if not frames:
        raise ValueError("a film needs at least one frame")
    pictures = [Image.fromarray(frame) for frame in frames]
    # GIF counts hundredths of a second, and viewers slow down what is shorter than two of them.
    milliseconds = max(20, round(1000 * seconds / len(frames) / 10) * 10)
    durations = [milliseconds] * (len(frames) - 1) + [milliseconds + round(1000 * hold)]
    file = io.BytesIO()
    pictures[0].save(
        file,
        format=kind.upper(),
        save_all=True,
        append_images=pictures[1:],
        duration=durations,
        loop=0,
        optimize=False,
        **_metadata(kind, text),
    )
    return file.getvalue()


def _metadata(kind: Kind, text: Mapping[str, str]) -> dict[str, Any]:
    """The argument of Pillow that stores ``text`` in a file of this kind."""
    match kind:
        case "gif":  # it has but one text: a line for each keyword
            return {"comment": "\n".join(f"{keyword}: {value}" for keyword, value in text.items()).encode()}
        case "png":
            return {"pnginfo": text_chunks(text)}
        case _:
            assert_never(kind)
