"""Drawing a picture again, from what it says of itself."""

import functools
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mnistdiff import __version__
from mnistdiff.engine import sheets
from mnistdiff.engine.editing import Edit
from mnistdiff.engine.interpolation import interpolate
from mnistdiff.engine.provenance import Provenance, signed
from mnistdiff.engine.sampling import Drawing, Model, draw, load_model
from mnistdiff.engine.trajectory import Trajectory
from mnistdiff.engine.walk import FROM_NOISE
from mnistdiff.settings import SampleSettings


def reproduce(source: Provenance, checkpoint: Path) -> bytes:
    """Draw a picture again.

    Args:
        source: what it says of itself.
        checkpoint: the file with that digest.

    Raises:
        CheckpointError: if the checkpoint cannot be read.
        SettingsError: if the backend cannot be had here.
    """
    load = functools.cache(
        lambda weights: load_model(checkpoint, weights=weights, device="cpu", backend=source.backend)
    )
    return signed(_image(source, load), source.model_copy(update={"version": __version__}))


def _image(source: Provenance, load: Callable[[str], Model]) -> NDArray[np.uint8]:
    images, settings = source.images, source.settings
    if source.frames is not None:
        first, last = images
        *_, (_, _, found) = interpolate(load(settings.weights), first, last, source.frames, settings)
        assert found is not None, "the last step carries the images"
        return sheets.strip(list(found))
    if source.film is not None:
        trajectory = Trajectory(images, source.film, from_noise=not isinstance(source.walk, Edit))
        for progress in draw(load(settings.weights), images, settings, walk=source.walk or FROM_NOISE):
            trajectory.add(progress)
        return trajectory.film()
    drawn = [_draw(source, load(way.weights), way) for way in source.ways]
    if source.sweeps:
        return sheets.compared(source.sweeps, [[drawing.pixels for drawing in drawings] for drawings in drawn])
    return drawn[0][0].pixels if len(images) == 1 else sheets.sheet(drawn[0], columns=source.columns)


def _draw(source: Provenance, model: Model, settings: SampleSettings) -> list[Drawing]:
    steps = draw(model, source.images, settings, walk=source.walk or FROM_NOISE)
    return [drawing for progress in steps for drawing in progress.drawings]
