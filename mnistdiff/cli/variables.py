"""Variables of the environment that set settings: ``MNISTDIFF_BATCH_SIZE`` sets ``batch_size``."""

import os
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # other commands than train use the names alone
    from mnistdiff.layers import Layer


_PREFIX = "MNISTDIFF_"
_OTHER_VARIABLES = ("MNISTDIFF_OFFLINE", "MNISTDIFF_BACKEND")
"""Variables that are no settings of a training."""


def variable(name: str) -> str:
    """The variable of the environment that sets a setting."""
    return f"{_PREFIX}{name.upper()}"


def layer(names: Collection[str]) -> "Layer":
    """The settings of these names that variables set, as texts; an empty variable sets nothing."""
    return variable, {name: text for name in names if (text := os.environ.get(variable(name)))}


def unread(names: Collection[str]) -> Iterator[str]:
    """A warning about each variable that looks as if it set something, and does not.

    Args:
        names: of the settings that variables set.
    """
    import difflib

    read = [*map(variable, names), *_OTHER_VARIABLES]
    for name in sorted(os.environ):
        if name.startswith(_PREFIX) and name not in read:
            close = difflib.get_close_matches(name, read, n=1, cutoff=0.9)
            remedy = f"did you mean {close[0]}?" if close else "no setting of a training has that name"
            yield f"{name} is set, and has no effect: {remedy}"
