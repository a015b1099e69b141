"""Sampling processes as provenance metadata store them: their fields, with images in base64."""

import base64
import math
from typing import TYPE_CHECKING, Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, BaseModel, ConfigDict

from mnistdiff.engine.inference.process import FromNoise, SamplingProcess
from mnistdiff.setting_types import ResampleSteps, Strength

if TYPE_CHECKING:  # most images are sampled from noise
    from mnistdiff.engine.inference.editing import RePaint, SDEdit


def _encoded(image: NDArray[np.uint8]) -> str:
    return base64.b64encode(image.tobytes()).decode("ascii")


def _decoded(text: str) -> NDArray[np.uint8]:
    pixels = np.frombuffer(base64.b64decode(text, validate=True), np.uint8)
    size = math.isqrt(len(pixels))
    return pixels.reshape(size, size)


def _is_image(text: str) -> str:
    try:
        _decoded(text)
    except ValueError:
        raise ValueError("should be grey levels of a square image, in base64") from None
    return text


_EncodedImage = Annotated[str, AfterValidator(_is_image)]
"""Grey levels of a square image, uint8, row by row in base64."""


class StoredFormat(BaseModel):
    """A part of the metadata: unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class StoredSDEdit(StoredFormat):
    """``SDEdit`` as files store it."""

    image: _EncodedImage
    strength: Strength

    def process(self) -> "SDEdit":
        """The sampling process."""
        from mnistdiff.engine.inference.editing import SDEdit

        return SDEdit(_decoded(self.image), self.strength)


class StoredRePaint(StoredFormat):
    """``RePaint`` as files store it; ``missing`` is 255 where the image is missing, else 0."""

    image: _EncodedImage
    missing: _EncodedImage
    rounds: ResampleSteps

    def process(self) -> "RePaint":
        """The sampling process."""
        from mnistdiff.engine.inference.editing import RePaint

        return RePaint(_decoded(self.image), _decoded(self.missing) > 127, self.rounds)


def stored(process: SamplingProcess) -> StoredSDEdit | StoredRePaint | None:
    """The process as files store it; None for sampling from noise.

    Raises:
        TypeError: for a process that files cannot store.
    """
    if isinstance(process, FromNoise):
        return None
    from mnistdiff.engine.inference.editing import RePaint, SDEdit

    match process:
        case SDEdit():
            return StoredSDEdit(image=_encoded(process.image), strength=process.strength)
        case RePaint():
            missing = np.uint8(255) * process.missing
            return StoredRePaint(
                image=_encoded(process.image), missing=_encoded(missing), rounds=process.resample_steps
            )
        case _:
            raise TypeError(f"files store SDEdit and RePaint, not {type(process).__name__}")
