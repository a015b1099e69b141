"""Image files with provenance metadata: single images, sheets, trajectories, interpolations."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mnistdiff.engine.data.datasets import DatasetSpec
from mnistdiff.engine.inference.sampling import Sample
from mnistdiff.engine.outputs.png import encode_png
from mnistdiff.engine.outputs.provenance import Origin, Provenance, make_provenance
from mnistdiff.engine.outputs.sheets import interpolation_animation, interpolation_image, sheet

if TYPE_CHECKING:
    from mnistdiff.engine.outputs.trajectory import Trajectory


def file_name(dataset: DatasetSpec, label: int, seed: int) -> str:
    """The file name of one image in a folder of images: ``digit_7_42.png``, ``class_sneaker_42.png``."""
    return f"{dataset.file_stem(label)}_{seed}.png"


def encode_samples(samples: Sequence[Sample], origin: Origin, *, columns: int = 0, always_sheet: bool = False) -> bytes:
    """A PNG file of samples with their provenance: of one the bare image, of several a sheet.

    Args:
        samples: at least one.
        origin: what sampled them.
        columns: images in each row of the sheet; 0: a labelled row for each label.
        always_sheet: make a sheet of a single image, too.
    """
    is_single = len(samples) == 1
    image = samples[0].pixels if is_single and not always_sheet else sheet(samples, columns=columns)
    source = make_provenance(origin, samples, columns=columns, is_sheet=is_single and always_sheet)
    return encode_png(image, source.metadata())


def encode_trajectory(trajectory: "Trajectory", source: Provenance) -> bytes:
    """A file of a trajectory, a filmstrip or an animation as its provenance says."""
    if source.animated is None:
        return encode_png(trajectory.filmstrip(), source.metadata())
    return trajectory.animation(source.animated, source.metadata())


def encode_interpolation(images: Sequence[NDArray[np.uint8]], source: Provenance) -> bytes:
    """A file of the images of an interpolation, side by side or animated as their provenance says."""
    if source.animated is None:
        return encode_png(interpolation_image(images), source.metadata())
    return interpolation_animation(images, source.animated, source.metadata())
