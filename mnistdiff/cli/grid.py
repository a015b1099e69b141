"""``mnistdiff grid``."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mnistdiff.cli import console, options
from mnistdiff.cli.drawing import HowToDraw, draws
from mnistdiff.cli.output import PIPE, Output
from mnistdiff.cli.progress import meter
from mnistdiff.errors import SettingsError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mnistdiff.engine.sampling import Drawing

EXAMPLES = """Examples:

mnistdiff grid -o grid.png

mnistdiff grid runs/001-base --digit 0-4 --n 12 --seed 5 -o - > sheet.png

mnistdiff grid inference_samples/digit_*.png -o drawn.png"""


@draws(after="seed")
def grid_command(
    context: typer.Context,
    sources: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="RUN|FILE|PNG",
            readable=False,
            help="A run, a checkpoint, or PNG files; default: the newest run, else the model in the box.",
        ),
    ] = None,
    output: Annotated[
        str, typer.Option("-o", "--output", metavar="FILE|-", help="The PNG to write; - is stdout.")
    ] = "grid.png",
    digit: options.Digits = None,
    n: options.Count = 8,
    seed: options.FixedSeed = 0,
    force: options.Force = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    *,
    how: HowToDraw,
) -> None:
    """Draw one labelled sheet, a row for each digit: from a model, or from pictures that are there already."""
    target = Output.parse(output, as_json=json)
    if target.folder is not None:
        raise SettingsError(f"-o {output}: a grid is one picture", "Use a name that ends in .png, or -.")
    target.refuse_existing([], force=force)
    sources = sources or []
    if any(path.suffix.lower() == ".png" for path in sources):
        content = _of_pictures(sources, columns=n)
    else:
        if len(sources) > 1:
            raise SettingsError("a grid is drawn from one model", "Name one run or checkpoint, or PNG files alone.")
        from mnistdiff.engine.provenance import picture, require_room
        from mnistdiff.engine.sampling import draw, requests

        wanted = requests(context.params["digit"], n, seed)
        require_room(len(wanted))
        model, settings = how.load(sources[0] if sources else None, quiet=quiet or json)
        drawings: list[Drawing] = []
        with meter(label="drawing", quiet=quiet or json) as shown:
            for progress in draw(model, wanted, settings):
                shown.advance(progress.done, total=progress.total, images=len(progress.drawings))
                drawings += progress.drawings
        content = picture(drawings, model, settings)
    name = target.write("", content)
    if json:
        console.result_json({"path": name, "bytes": len(content)})
    elif target != PIPE:
        console.result(name)


def _of_pictures(paths: list[Path], *, columns: int) -> bytes:
    """A sheet of pictures: a row for each digit that the names tell, as those of ``sample`` do; others fill up rows."""
    from mnistdiff.engine.rendering.grid import labelled_grid
    from mnistdiff.engine.rendering.png import encode_png, read_grey_png

    pictures = [(re.match(r"digit_([0-9])_", path.name), read_grey_png(path)) for path in paths]
    rows: dict[tuple[str, int], list[NDArray[np.uint8]]] = {}
    for position, (match, pixels) in enumerate(pictures):
        key = (match[1], 0) if match else ("", position // columns)
        rows.setdefault(key, []).append(pixels)
    return encode_png(labelled_grid([(label, images) for (label, _), images in sorted(rows.items())]))
