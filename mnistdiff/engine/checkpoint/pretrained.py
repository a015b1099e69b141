"""The bundled models: pretrained weights that are part of the package, and their names as checkpoints."""

import os
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from types import MappingProxyType

from mnistdiff.errors import CheckpointError

_ASSETS = Path(str(resources.files("mnistdiff"))) / "assets"
_STUDENTS: tuple[int, ...] = (2, 1)
"""Steps of the bundled students, each distilled from the teacher; ``bundled`` samples with the first where it can."""
PRETRAINED = _ASSETS / "pretrained.safetensors"
"""The bundled teacher: averaged weights, as a checkpoint."""
BUNDLED = "bundled"
"""The name of the first student and the teacher, as a checkpoint: whichever can do what is asked."""
TEACHER = f"{BUNDLED}-teacher"
EARLIER_MODELS: Mapping[str, str] = MappingProxyType(
    {"fcb1b5c5c0c9a6dc6c6d9828b14a67cec2838b29d8dfedbd68ca488353515211": "0.1 and 0.2.0"}
)
"""The versions of this program that contain a bundled model, by its SHA-256."""


def bundled_models() -> dict[str, Path]:
    """The bundled models by name: students, the first to sample with first, and at last the teacher."""
    students = {f"{BUNDLED}-{steps}": _ASSETS / f"pretrained-{steps}.safetensors" for steps in _STUDENTS}
    return {**students, TEACHER: PRETRAINED}


def bundled(source: Path | None = None) -> tuple[Path, ...]:
    """The files that the name of a bundled model means: of several, the first that can do what is asked is used.

    Args:
        source: a path of the user, who may have a file or folder of such a name, which has precedence; by default
            ``bundled``.

    Returns:
        none for any other path.

    Raises:
        CheckpointError: for ``bundled-`` and no name of a model.
    """
    models = bundled_models()
    if source is None or (source == Path(BUNDLED) and not os.path.lexists(source)):
        first, *others = models.values()
        return first, *others[-1:]
    name = str(source)
    if source.name != name or source.suffix or not name.startswith(f"{BUNDLED}-") or os.path.lexists(source):
        return ()
    if name not in models:
        known = ", ".join([BUNDLED, *models])
        raise CheckpointError(f"there is no bundled model {name}", f"The bundled models are {known}.")
    return (models[name],)


def name_of(path: Path) -> str:
    """The name of a bundled model, so that results do not hold the path of the package; empty for another file."""
    real = os.path.realpath(path)  # resolve() fails for a loop of links
    return next((name for name, each in bundled_models().items() if os.path.realpath(each) == real), "")


def typed_name(name: str = BUNDLED) -> str:
    """A name of a bundled model as the user can type it: its path if a file or folder of that name exists."""
    return str(bundled_models().get(name, PRETRAINED)) if os.path.lexists(name) else name
