"""Sample a picture again, from what it says of itself."""

import functools
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mnistdiff import __version__
from mnistdiff.engine.inference.editing import SDEdit
from mnistdiff.engine.inference.interpolation import interpolate
from mnistdiff.engine.inference.model import Model, load_model
from mnistdiff.engine.inference.sampling import Sample, View, sample
from mnistdiff.engine.outputs import sheets
from mnistdiff.engine.outputs.provenance import Provenance, between, encode_with_provenance, film
from mnistdiff.engine.outputs.trajectory import Trajectory
from mnistdiff.engine.progress import collect, finish
from mnistdiff.settings import SampleSettings

_Load = Callable[[str], Model]


def reproduce(source: Provenance, checkpoint: Path) -> bytes:
    """Draw a picture again.

    Args:
        source: what it says of itself.
        checkpoint: the file with that digest.

    Raises:
        CheckpointError: if the checkpoint cannot be read.
        SettingsError: if the backend cannot be had here, or the sheet would be too large.
    """
    if source.sweeps:
        sheets.require_room_to_compare(source.comparison, len(source.images))
    load = functools.cache(
        lambda weights: load_model(checkpoint, weights=weights, device="cpu", backend=source.backend)
    )
    signature = source.model_copy(update={"version": __version__})
    if source.frames is not None:
        return between(_interpolated(source, load, source.frames), signature)
    if source.film is not None:
        return film(_watched(source, load, source.film), signature)
    return encode_with_provenance(_image(source, load), signature)


def _interpolated(source: Provenance, load: _Load, frames: int) -> list[NDArray[np.uint8]]:
    first, last = source.images
    return list(finish(interpolate(load(source.settings.weights), first, last, frames, source.settings)))


def _watched(source: Provenance, load: _Load, view: View) -> Trajectory:
    images, settings = source.images, source.settings
    trajectory = Trajectory(images, view, columns=source.columns, from_noise=not isinstance(source.walk, SDEdit))
    finish(sample(load(settings.weights), images, settings, process=source.process, on_step=trajectory.add))
    return trajectory


def _image(source: Provenance, load: _Load) -> NDArray[np.uint8]:
    drawn = [_draw(source, load(way.weights), way) for way in source.ways]
    if source.sweeps:
        return sheets.compared(source.comparison, [[drawing.pixels for drawing in drawings] for drawings in drawn])
    bare = len(source.images) == 1 and not source.sheet
    return drawn[0][0].pixels if bare else sheets.sheet(drawn[0], columns=source.columns)


def _draw(source: Provenance, model: Model, settings: SampleSettings) -> Sequence[Sample]:
    return collect(sample(model, source.images, settings, process=source.process))
