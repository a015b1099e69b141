"""Sampling an image again from its provenance metadata."""

import functools
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mnistdiff import __version__
from mnistdiff.engine.inference.interpolation import interpolate
from mnistdiff.engine.inference.model import DiffusionModel, load_model
from mnistdiff.engine.inference.sampling import sample
from mnistdiff.engine.outputs import sheets
from mnistdiff.engine.outputs.encode import encode_interpolation, encode_trajectory
from mnistdiff.engine.outputs.png import encode_png
from mnistdiff.engine.outputs.provenance import Provenance
from mnistdiff.engine.outputs.trajectory import Trajectory
from mnistdiff.engine.progress import collect, finish
from mnistdiff.errors import SettingsError
from mnistdiff.setting_types import View

MAX_EVALUATIONS = 4_000
"""Network evaluations, counted for each image, that a file may ask for unless the user allows more: some seconds."""
_EVALUATIONS_A_MINUTE = 40_000
_Load = Callable[[str], DiffusionModel]


def reproduce(source: Provenance, checkpoint: Path) -> bytes:
    """The content of an image file, made again.

    Args:
        source: its provenance.
        checkpoint: the file with the digest that the provenance names.

    Raises:
        CheckpointError: if the checkpoint cannot be read.
        SettingsError: if the backend is not available, or the sheet would be too large.
    """
    load = functools.cache(
        lambda weights: load_model(checkpoint, weights=weights, device="cpu", backend=source.backend)
    )
    dataset = load(source.settings.weights).settings.spec
    if source.sweeps:
        sheets.require_room_for_comparison(source.comparison, len(source.specs), dataset.image_size)
    today = source.model_copy(update={"version": __version__})
    if source.frames is not None:
        first, last = source.specs
        work = interpolate(load(source.settings.weights), first, last, source.frames, source.settings)
        return encode_interpolation(list(finish(work)), today)
    if source.film is not None:
        return encode_trajectory(_trajectory(source, load, source.film), today)
    return encode_png(_image(source, load), today.metadata())


def _trajectory(source: Provenance, load: _Load, view: View) -> Trajectory:
    specs, settings, process = source.specs, source.settings, source.process
    model = load(settings.weights)
    names = model.settings.spec.class_names
    trajectory = Trajectory(specs, view, columns=source.columns, process=process, class_names=names)
    finish(sample(model, specs, settings, process=process, on_step=trajectory.record))
    return trajectory


def _image(source: Provenance, load: _Load) -> NDArray[np.uint8]:
    sampled = [
        collect(sample(load(each.weights), source.specs, each, process=source.process)) for each in source.variants
    ]
    if source.sweeps:
        return sheets.comparison_sheet(source.comparison, [[one.pixels for one in samples] for samples in sampled])
    bare = len(source.specs) == 1 and not source.sheet
    return sampled[0][0].pixels if bare else sheets.sheet(sampled[0], columns=source.columns)


def require_affordable(source: Provenance, *, name: str) -> None:
    """Raise SettingsError if sampling again takes long: the file sets how long.

    Args:
        source: the provenance.
        name: of the image, for the error.
    """
    if source.evaluations > MAX_EVALUATIONS:
        minutes = math.ceil(source.evaluations / _EVALUATIONS_A_MINUTE)
        raise SettingsError(
            f"sampling {name} again takes up to {source.evaluations:,} evaluations of the network, about {minutes:,} "
            f"minute{'s' if minutes > 1 else ''} on two cores; the limit is {MAX_EVALUATIONS:,}",
            "If you trust its source, use `any_size`.",
        )
