"""The bundled model: pretrained weights that are part of the package."""

import os
from importlib import resources
from pathlib import Path

_ASSETS = Path(str(resources.files("mnistdiff"))) / "assets"
PRETRAINED = _ASSETS / "pretrained.safetensors"
"""Averaged weights, as a checkpoint."""
BUNDLED = "bundled"
"""The name of the bundled model as a checkpoint."""
MODEL_CARD = _ASSETS / "pretrained.json"
"""Its model card; see ``evaluation.model_card``."""


def is_pretrained(path: Path) -> bool:
    """Whether a path is that of the bundled model."""
    return os.path.realpath(path) == os.path.realpath(PRETRAINED)  # resolve() fails for a loop of links


def means_bundled(source: Path) -> bool:
    """Whether a user-supplied path names the bundled model; an existing file or folder of that name has precedence."""
    return source == Path(BUNDLED) and not os.path.lexists(source)


def name_of_bundled() -> str:
    """The name of the bundled model: ``bundled``, or its path if a file or folder of that name exists."""
    return BUNDLED if means_bundled(Path(BUNDLED)) else str(PRETRAINED)
