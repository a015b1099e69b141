"""``mnistdiff datasets``."""

import difflib
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from mnistdiff.cli import console, options
from mnistdiff.cli.progress import meter
from mnistdiff.engine.threads import import_numpy
from mnistdiff.errors import SettingsError
from mnistdiff.setting_types import DATASETS

if TYPE_CHECKING:
    from mnistdiff.engine.data.inventory import DatasetState

EXAMPLES = """
mnistdiff datasets
mnistdiff datasets get fashion-mnist
mnistdiff datasets --data-dir data --json
"""

_MOST_NAMES = 10
_Words = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="get NAME",
        help="Download a data set, and verify it. Default: list all.",
        show_default=False,
        autocompletion=lambda: ["get", *DATASETS.names],
    ),
]


def datasets_command(
    words: _Words = None, data_dir: options.DataDir = None, json: options.Json = False, quiet: options.Quiet = False
) -> None:
    """List the data sets that a model can be trained on, or download one.

    For each: images to train on and to test with, classes, size, and whether it is present, missing or damaged. Files
    are verified by SHA-256; uncompressed ones of which only another digest is known by MD5, or by their size and the
    number of images of each class.
    """
    name = _name_to_get(words or [])
    import_numpy()
    from mnistdiff.engine.data.inventory import get_dataset, list_datasets

    states: list[DatasetState] = []
    with meter(counts_images=False, quiet=quiet or json) as shown:
        if name:
            states.append(shown.follow(get_dataset(DATASETS[name], data_dir)))
        else:
            shown.follow(list_datasets(data_dir), states.extend)
    if json:
        for state in states:
            console.result_json(asdict(state))
    elif name:
        console.result(states[0].folder or states[0].name)
    else:
        console.result_table("", [(state.name, _described(state)) for state in states])
    for state in states:
        if state.problem:
            console.warn(state.problem)


def _name_to_get(words: Sequence[str]) -> str:
    """The data set to download; empty if none is named.

    Raises:
        SettingsError: for other words.
    """
    if not words:
        return ""
    verb, *names = words
    if verb != "get" or len(names) != 1:
        raise SettingsError(
            f"datasets {' '.join(words)}: what to do is not known",
            "Use: mnistdiff datasets, or mnistdiff datasets get NAME.",
        )
    if names[0] not in DATASETS.names:
        close = difflib.get_close_matches(names[0].lower(), DATASETS.names, n=1, cutoff=0.4)
        hint = f"Did you mean {close[0]}?" if close else "See: mnistdiff datasets."
        raise SettingsError(f"{names[0]!r} is no data set: {', '.join(DATASETS.names)}", hint)
    return names[0]


def _described(state: "DatasetState") -> str:
    """A data set in a line: its size, its classes, where it is."""
    names = state.classes if len(state.classes) <= _MOST_NAMES else (state.classes[0], "...", state.classes[-1])
    images = f"{state.train:,} + {state.test:,} images of {state.image_size}x{state.image_size}"
    place = f" in {state.folder}" if state.folder else ""
    by = f", verified by {' and '.join(state.verified_by)}" if state.verified_by else ""
    return f"{images}; {len(state.classes)} classes: {' '.join(names)}; {state.state}{place}{by}"
