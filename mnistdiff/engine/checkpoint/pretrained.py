"""The bundled model: the pretrained weights that come with the package."""

import os
from importlib import resources
from pathlib import Path

_ASSETS = Path(str(resources.files("mnistdiff"))) / "assets"
PRETRAINED = _ASSETS / "pretrained.safetensors"
"""Averaged weights, in the format of every checkpoint."""
BUNDLED = "bundled"
"""The name of the bundled model, wherever a checkpoint can be named."""
MODEL_CARD = _ASSETS / "pretrained.json"
"""What is known of it; see ``evaluation.model_card``."""


def is_pretrained(path: Path) -> bool:
    """Whether this file is the one that comes with the package."""
    return os.path.realpath(path) == os.path.realpath(PRETRAINED)  # unlike resolve(), not stopped by a loop of links


def means_bundled(source: Path) -> bool:
    """Whether a path that the user gave is the name of the bundled model; a file or folder of that name goes first."""
    return source == Path(BUNDLED) and not os.path.lexists(source)


def name_of_bundled() -> str:
    """What to give as a checkpoint to mean the bundled model: its name, or its path where something has that name."""
    return BUNDLED if means_bundled(Path(BUNDLED)) else str(PRETRAINED)
