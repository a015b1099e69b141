"""The weights of a model as the start of a training on other classes."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from mnistdiff.engine.checkpoint.file import Checkpoint
from mnistdiff.engine.network.build import build_network
from mnistdiff.engine.randomness import Stream, generator
from mnistdiff.engine.training.state import Weights
from mnistdiff.errors import SettingsError
from mnistdiff.settings import TrainSettings

_FRESH_DEVIATION = 2.0
"""Twice that of known embeddings: a short training moves embeddings little, and so tells a new class apart. Of 50
samples of a new class 98 % were nearest to a picture of it; 86 % with 1, and 64 % with 0.3."""


def weights_to_start(model: Checkpoint, settings: TrainSettings) -> Weights:
    """The averaged weights of a model for the network of a training, whose classes may be others.

    Args:
        model: with the same network, but for the number of classes.
        settings: of the training.

    Raises:
        SettingsError: if the classes differ and the network names no label table.
    """
    weights, known, classes = model.weights("ema"), model.metadata.settings.spec.class_names, settings.spec.class_names
    if known == classes:
        return weights
    with torch.device("meta"):
        table = build_network(settings).label_table()
    if not table:
        raise SettingsError(
            f"`network` {settings.network} names no label table, so it cannot start from a model of other classes",
            "Train on the same classes, or from random weights.",
        )
    return {**weights, table: _rows_by_name(weights[table], known, classes, settings.seed)}


def _rows_by_name(
    rows: NDArray[np.float32], known: Sequence[str], classes: Sequence[str], seed: int
) -> NDArray[np.float32]:
    """The embeddings of classes: known ones; for others the mean of those and uniform noise; "no label"."""
    most = math.sqrt(3) * _FRESH_DEVIATION
    fresh = generator(seed, Stream.INITIAL_WEIGHTS, 1).uniform(-most, most, (len(classes), rows.shape[1]))
    fresh += rows[:-1].mean(axis=0)
    chosen = [rows[known.index(name)] if name in known else fresh[label] for label, name in enumerate(classes)]
    return np.stack([*chosen, rows[-1]]).astype(np.float32)
