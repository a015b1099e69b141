"""``mnistdiff interpolate``."""

from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import Field

from mnistdiff.cli import console, options
from mnistdiff.cli.drawing import HowToDraw, draws
from mnistdiff.cli.output import Output
from mnistdiff.cli.progress import meter
from mnistdiff.errors import SettingsError
from mnistdiff.settings import Seed

EXAMPLES = """Examples:

mnistdiff interpolate --from 3 --to 8 -o morph.gif

mnistdiff interpolate --from 4 --to 4 --seed 1 --to-seed 2 --frames 48 -o hands.gif

mnistdiff interpolate --from 1 --to 7 --film strip.png"""

_Digit = options.checked(Annotated[int, Field(ge=0, le=9)])


@draws(after="to_seed")
def interpolate_command(
    start: Annotated[Any, typer.Option("--from", parser=_Digit, metavar="0-9", help="The first digit.")],
    end: Annotated[Any, typer.Option("--to", parser=_Digit, metavar="0-9", help="The last digit.")],
    frames: Annotated[
        Any,
        typer.Option(
            "--frames",
            parser=options.checked(Annotated[int, Field(ge=2, le=200)]),
            metavar="INT",
            help="Images on the way, both ends counted (2 to 200).",
        ),
    ] = 24,
    checkpoint: options.Checkpoint = None,
    seed: options.SampleSeed = None,
    to_seed: Annotated[
        Any,
        typer.Option(
            "--to-seed",
            parser=options.checked(Seed),
            metavar="INT",
            help="Seed of the last image. Default: that of the first, so that only the digit changes.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE", help="There and back as .gif or animated .png.")
    ] = Path("morph.gif"),
    film: Annotated[
        Path | None, typer.Option("--film", metavar="FILE", help="Instead: the images side by side, as .png.")
    ] = None,
    force: options.Force = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    *,
    how: HowToDraw,
) -> None:
    """Let one digit become another: the same hand, or from one hand to another.

    The first and the last image are those that sample draws with these digits and seeds.
    """
    path = film if film is not None else output
    kinds = (".png",) if film is not None else (".gif", ".png")
    if path.suffix.lower() not in kinds:
        raise SettingsError(f"{path} is written as {' or '.join(kinds)}", "Use a name that ends so.")
    target = Output(file=path)
    target.refuse_existing([], force=force)
    first_seed = options.new_seed() if seed is None else seed
    last_seed = first_seed if to_seed is None else to_seed

    from mnistdiff.engine.interpolation import interpolate
    from mnistdiff.engine.rendering.animation import there_and_back
    from mnistdiff.engine.rendering.grid import labelled_grid
    from mnistdiff.engine.rendering.png import encode_png
    from mnistdiff.engine.sampling import Request

    model, settings = how.load(checkpoint, note=f", --seed {first_seed}", quiet=quiet or json)
    images = None
    with meter(label="drawing", quiet=quiet or json) as shown:
        for done, total, drawn in interpolate(
            model, Request(start, first_seed), Request(end, last_seed), frames, settings
        ):
            shown.advance(done, total=total)
            images = drawn
    assert images is not None, "the last step carries the images"
    if film is not None:
        rows = [("", list(images[row : row + 12])) for row in range(0, frames, 12)]
        content = encode_png(labelled_grid(rows))
    else:
        sheets = [labelled_grid([("", [image])], scale=4) for image in images]
        content = there_and_back(sheets, kind="gif" if path.suffix.lower() == ".gif" else "png")
    name = target.write("", content)
    if json:
        console.result_json({"path": name, "frames": frames, "from": [start, first_seed], "to": [end, last_seed]})
    else:
        console.result(name)
