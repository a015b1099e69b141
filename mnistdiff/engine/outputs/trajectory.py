"""Trajectories: the states of a batch from noise to image, as an animation or a filmstrip."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from mnistdiff.engine.data.transforms import to_uint8
from mnistdiff.engine.diffusion.samplers import SampleStep
from mnistdiff.engine.inference.process import FROM_NOISE, SamplingProcess
from mnistdiff.engine.inference.sampling import BATCH_SIZE, Sample, SampleSpec
from mnistdiff.engine.outputs.animation import animation
from mnistdiff.engine.outputs.captions import caption
from mnistdiff.engine.outputs.grid import labelled_grid
from mnistdiff.engine.outputs.sheets import sheet
from mnistdiff.engine.randomness import sampling_noise
from mnistdiff.errors import OutOfMemoryError, SettingsError
from mnistdiff.setting_types import AnimationKind, View

_FILMSTRIP_COLUMNS = 12
_SECONDS = 2.0
_LARGE = 112
"""A single image is enlarged to about this side."""


class Trajectory:
    """A recorder of the states of one batch.

    Args:
        specs: label and seed of the images, at most ``BATCH_SIZE``.
        view: what is recorded.
        columns: as for ``sheets.sheet``: a row for each label, or rows of so many.
        process: the sampling process that is recorded.
        class_names: of the labels; by default the labels themselves.

    Attributes:
        frames: the states, each uint8 (B, H, W).

    Raises:
        SettingsError: for more images.
    """

    def __init__(
        self,
        specs: Sequence[SampleSpec],
        view: View,
        *,
        columns: int = 0,
        process: SamplingProcess = FROM_NOISE,
        class_names: Sequence[str] = (),
    ) -> None:
        if len(specs) > BATCH_SIZE:
            raise SettingsError(
                f"{len(specs):,} images are too many to animate", f"Animate at most {BATCH_SIZE}: use a smaller `n`."
            )
        self._specs, self._view, self._columns = specs, view, columns
        self._names = [class_names[spec.label] if class_names else str(spec.label) for spec in specs]
        self._starts_from_noise = view == "x_t" and process.starts_from_noise
        self.frames: list[NDArray[np.uint8]] = []

    def record(self, step: SampleStep) -> None:
        """Record the state after another step.

        Raises:
            OutOfMemoryError: if the batch had to be halved, so the images cannot be recorded together.
        """
        if len(step.x_t) != len(self._specs):
            raise OutOfMemoryError(
                f"not enough memory to animate {len(self._specs)} images at once", "Use a smaller `n`."
            )
        if self._starts_from_noise and not self.frames:
            x_T = sampling_noise([spec.seed for spec in self._specs], 0, step.x_t.shape[1:])
            self.frames.append(to_uint8(x_T[:, 0]))
        state = {"x_t": step.x_t, "x_0": step.x_0_pred}[self._view]
        self.frames.append(to_uint8(state[:, 0]))

    def animation(self, kind: AnimationKind, metadata: Mapping[str, str]) -> bytes:
        """All states as sheets, in two seconds, the last held; ``metadata`` as for ``animation.animation``."""
        return animation([self._sheet(frame) for frame in self.frames], kind, metadata, seconds=_SECONDS)

    def _sheet(self, frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
        samples = [
            Sample(spec.label, spec.seed, image, name)
            for spec, image, name in zip(self._specs, frame, self._names, strict=True)
        ]
        return sheet(samples, columns=self._columns, scale=max(2, _LARGE // (frame.shape[-1] * len(samples))))

    def filmstrip(self) -> NDArray[np.uint8]:
        """A row for each image: up to 12 of its states, from noise (left) to image (right); uint8 (H, W)."""
        chosen = np.linspace(0, len(self.frames) - 1, min(_FILMSTRIP_COLUMNS, len(self.frames))).round().astype(int)
        return labelled_grid(
            [
                (caption(name, spec.label), [self.frames[k][place] for k in chosen])
                for place, (spec, name) in enumerate(zip(self._specs, self._names, strict=True))
            ]
        )
