"""``mnistdiff sample --format``: a labelled set in one file."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from mnistdiff.cli import console
from mnistdiff.cli.drawing import SamplingOptions, about
from mnistdiff.cli.progress import meter
from mnistdiff.engine.runs.links import require_inside_the_run
from mnistdiff.errors import SettingsError, StorageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mnistdiff.engine.inference.sampling import SampleSpec

Format = Annotated[
    Literal["png", "npz", "idx", "csv"],
    typer.Option("--format", help="Pictures, or one labelled set; idx is a folder for torchvision.datasets.MNIST."),
]
_FOR_PICTURES = ("show", "gif", "film")


def set_path(parameters: dict[str, Any], *, is_named: bool) -> Path:
    """Where the set goes.

    Args:
        parameters: of the command.
        is_named: whether ``output`` was given, as opposed to its default.

    Raises:
        SettingsError: if that is no name for it, is there already, or something is asked for that pictures are for.
    """
    kind, output = parameters["format"], parameters["output"]
    for name in _FOR_PICTURES:
        if parameters[name]:
            raise SettingsError(f"--{name} is for pictures, and --format {kind} draws none", "Leave out one of them.")
    path = Path(output) if is_named else Path(f"drawn.{kind}" if kind != "idx" else "drawn")
    if output == "-" and kind == "idx":
        raise SettingsError("-o -: --format idx is a folder", "Use -o with the name of a folder.")
    if kind != "idx" and path.suffix.lower() != f".{kind}":
        raise SettingsError(f"-o {output}: --format {kind} is one file", f"Use a name that ends in .{kind}.")
    require_inside_the_run(path / "MNIST" / "raw" if kind == "idx" else path)
    if kind != "idx" and path.exists() and not path.is_file():
        raise SettingsError(f"{path} is already there, and is not a file", "Use another -o.")
    there = _in_the_way(path, kind)
    if there is not None and not parameters["force"]:
        raise SettingsError(f"{there} is already there", "Use --force to replace it, or another -o.")
    return path


def _in_the_way(path: Path, kind: str) -> Path | None:
    """What a set would replace, or stand beside under a name that readers take for the same."""
    if kind != "idx":
        return path if path.exists() else None
    from mnistdiff.engine.data import idx
    from mnistdiff.engine.data.datasets import MNIST

    found = (idx.find(path / "MNIST" / "raw", file.name) for file in MNIST.idx_files)
    return next((file for file in found if file is not None), None)


def write_set(
    path: Path, wanted: "Sequence[SampleSpec]", parameters: dict[str, Any], how: SamplingOptions, *, quiet: bool
) -> None:
    """Draw a labelled set and write it as it is drawn, and tell its name."""
    from mnistdiff.engine.inference.sampling import sample
    from mnistdiff.engine.outputs.dataset_writers import LEAST_FOR_IDX, WRITERS

    kind, first = parameters["format"], wanted[0].seed
    if kind == "idx" and len(wanted) < LEAST_FOR_IDX:
        raise SettingsError(
            f"--format idx is a training and a test set: it needs at least {LEAST_FOR_IDX} images, not {len(wanted)}",
            "Use a larger --n, or another --format.",
        )
    model, settings = how.load(parameters["checkpoint"], note=f", from seed {first} on", quiet=quiet)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with (
            WRITERS[kind](path, len(wanted), model.settings.spec.image_size) as add,
            meter(label="drawing", quiet=quiet) as shown,
        ):
            for progress in sample(model, wanted, settings):
                shown.advance(progress.done, total=progress.total, images=len(progress.results))
                add(progress.results)
    except (FileExistsError, NotADirectoryError) as error:
        raise StorageError(f"{error.filename} is not a folder", "Choose another -o.") from error
    if parameters["json"]:
        told = {"path": str(path), "format": kind, "images": len(wanted), "seed": first}
        console.result_json({**told, **about(model.info)})
    else:
        console.result(str(path))
