"""How digits came out of noise, to be looked at: an animation, and a strip of film."""

from collections.abc import Mapping, Sequence
from typing import assert_never

import numpy as np
from numpy.typing import NDArray

from mnistdiff.engine.data.transforms import to_uint8
from mnistdiff.engine.diffusion.samplers import SampleStep
from mnistdiff.engine.inference.sampling import BATCH_SIZE, IMAGE_SHAPE, Sample, SampleSpec, View
from mnistdiff.engine.outputs.animation import Kind, animation
from mnistdiff.engine.outputs.grid import labelled_grid
from mnistdiff.engine.outputs.sheets import sheet
from mnistdiff.engine.randomness import sampling_noise
from mnistdiff.errors import OutOfMemoryError, SettingsError
from mnistdiff.settings import IMAGE_SIZE

_FILM_COLUMNS = 12
_SECONDS = 2.0
_LARGE = 112
"""A single digit is enlarged to about this side."""


class Trajectory:
    """The states of one batch, from noise to image.

    Args:
        wanted: the images, at most ``BATCH_SIZE``.
        view: ``x_t``, the noisy state; or ``x_0``, the image as it is predicted at t.
        columns: as for ``sheets.sheet``: a row for each digit, or rows of so many.
        from_noise: whether x_t begins as pure noise.

    Raises:
        SettingsError: if there are more.
    """

    def __init__(self, wanted: Sequence[SampleSpec], view: View, *, columns: int = 0, from_noise: bool = True) -> None:
        if len(wanted) > BATCH_SIZE:
            raise SettingsError(
                f"{len(wanted):,} images are too many to watch", f"Animate at most {BATCH_SIZE}: use a smaller -n."
            )
        self._wanted, self._view, self._columns = wanted, view, columns
        self.frames: list[NDArray[np.uint8]] = []  # (B, 28, 28) each
        if view == "x_t" and from_noise:
            seeds = [request.seed for request in wanted]
            self._add(sampling_noise(seeds, 0, IMAGE_SHAPE))

    def add(self, step: SampleStep) -> None:
        """The state after another step.

        Raises:
            OutOfMemoryError: if drawing had to go on with fewer images at once, so that not all can be watched.
        """
        if len(step.x_t) != len(self._wanted):
            raise OutOfMemoryError(
                f"not enough memory to animate {len(self._wanted)} images at once", "Use a smaller -n."
            )
        match self._view:
            case "x_t":
                self._add(step.x_t)
            case "x_0":
                self._add(step.x_0_pred)
            case _:
                assert_never(self._view)

    def _add(self, images: NDArray[np.float32]) -> None:
        self.frames.append(to_uint8(images[:, 0]))

    def animated(self, kind: Kind, text: Mapping[str, str]) -> bytes:
        """All frames, one after another in two seconds, the last held; ``text`` is as for ``animation``."""
        return animation([self._sheet(frame) for frame in self.frames], kind, text, seconds=_SECONDS)

    def _sheet(self, frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
        drawings = [
            Sample(request.label, request.seed, image) for request, image in zip(self._wanted, frame, strict=True)
        ]
        return sheet(drawings, columns=self._columns, scale=max(2, _LARGE // (IMAGE_SIZE * len(drawings))))

    def film(self) -> NDArray[np.uint8]:
        """A row for each image, and some of its states from noise (left) to image (right)."""
        chosen = np.linspace(0, len(self.frames) - 1, min(_FILM_COLUMNS, len(self.frames))).round().astype(int)
        rows = [
            (str(request.label), [self.frames[number][place] for number in chosen])
            for place, request in enumerate(self._wanted)
        ]
        return labelled_grid(rows)
