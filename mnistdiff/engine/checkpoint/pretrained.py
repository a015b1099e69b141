"""The bundled model: the weights that come with the package, and the card that says what they are."""

import os
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

_ASSETS = Path(str(resources.files("mnistdiff"))) / "assets"
PRETRAINED = _ASSETS / "pretrained.safetensors"
"""Averaged weights, in the format of every checkpoint."""
BUNDLED = "bundled"
"""The name of the bundled model, wherever a checkpoint can be named."""
_CARD = _ASSETS / "pretrained.json"


class ModelCard(BaseModel):
    """What a user should know of a model before using it (Mitchell et al. 2019, arXiv 1810.03993).

    Attributes:
        command: what trained it.
        minutes: of training, and hardware: where.
        intended_use, limits, license: in sentences.
        evaluation: the report of ``mnistdiff evaluate --json`` on it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    command: str
    minutes: float
    hardware: str
    intended_use: str
    limits: str
    license: str
    evaluation: dict[str, Any]


def model_card(path: Path) -> ModelCard | None:
    """The card of a checkpoint: only the bundled model has one."""
    if not is_pretrained(path):
        return None
    return ModelCard.model_validate_json(_CARD.read_text(encoding="utf-8"))


def is_pretrained(path: Path) -> bool:
    """Whether this file is the one that comes with the package."""
    return os.path.realpath(path) == os.path.realpath(PRETRAINED)  # unlike resolve(), not stopped by a loop of links


def means_bundled(source: Path) -> bool:
    """Whether a path that the user gave is the name of the bundled model; a file or folder of that name goes first."""
    return source == Path(BUNDLED) and not os.path.lexists(source)


def name_of_bundled() -> str:
    """What to give as a checkpoint to mean the bundled model: its name, or its path where something has that name."""
    return BUNDLED if means_bundled(Path(BUNDLED)) else str(PRETRAINED)
