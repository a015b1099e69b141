"""``mnistdiff interpolate``."""

from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import Field

from mnistdiff.cli import options
from mnistdiff.cli.drawing import SamplingOptions, about, draws
from mnistdiff.cli.output import Output
from mnistdiff.cli.progress import meter
from mnistdiff.settings import Seed

EXAMPLES = """Examples:

mnistdiff interpolate --from 3 --to 8 -o morph.gif

mnistdiff interpolate --from 4 --to 4 --seed 1 --to-seed 2 --frames 48 -o hands.gif

mnistdiff interpolate --from 1 --to 7 --film strip.png"""

_Digit = options.checked(Annotated[int, Field(ge=0, le=9)])
_Frames = Annotated[
    Any,
    typer.Option(
        "--frames",
        parser=options.checked(Annotated[int, Field(ge=2, le=200)]),
        metavar="INT",
        help="Images on the way, both ends counted (2 to 200).",
    ),
]
_ToSeed = Annotated[
    Any,
    typer.Option(
        "--to-seed",
        parser=options.checked(Seed),
        metavar="INT",
        help="Seed of the last image. Default: that of the first, so that only the digit changes.",
        show_default=False,
    ),
]
_Seed = Annotated[
    Any,
    typer.Option(
        "--seed",
        parser=options.checked(Seed),
        metavar="INT",
        help="Seed of the first image. Default: a new one each time.",
        show_default=False,
    ),
]
_Output = Annotated[
    Path,
    typer.Option(
        "-o", "--output", metavar="FILE|-", help="There and back as .gif or animated .png; - is a GIF on stdout."
    ),
]
_Film = Annotated[
    Path | None, typer.Option("--film", metavar="FILE", help="Instead: the images side by side, as .png.")
]


@draws(after="to_seed")
def interpolate_command(
    start: Annotated[Any, typer.Option("--from", parser=_Digit, metavar="0-9", help="The first digit.")],
    end: Annotated[Any, typer.Option("--to", parser=_Digit, metavar="0-9", help="The last digit.")],
    frames: _Frames = 24,
    checkpoint: options.Checkpoint = None,
    seed: _Seed = None,
    to_seed: _ToSeed = None,
    output: _Output = Path("morph.gif"),
    film: _Film = None,
    force: options.Force = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    *,
    how: SamplingOptions,
) -> None:
    """Let one digit become another: the same hand, or from one hand to another.

    The first and the last image are those that sample draws with these digits and seeds.
    """
    if film is not None:
        target = Output.one_file(film, (".png",), what="a strip", as_json=json)
    else:
        target = Output.one_file(output, (".gif", ".png"), what="an animation", as_json=json)
    flag = "-o" if film is None else "--film"
    target.refuse_existing([], force=force, remedy=f"Use --force to replace it, or {flag} with another name.")
    first_seed = options.new_seed() if seed is None else seed
    last_seed = first_seed if to_seed is None else to_seed

    from mnistdiff.engine.inference.interpolation import interpolate
    from mnistdiff.engine.inference.sampling import SampleSpec
    from mnistdiff.engine.outputs.animation import kind_of
    from mnistdiff.engine.outputs.encode import encode_interpolation
    from mnistdiff.engine.outputs.provenance import make_provenance
    from mnistdiff.engine.progress import finish

    model, settings = how.load(checkpoint, note=f", --seed {first_seed}", quiet=quiet or json)
    ends = SampleSpec(start, first_seed), SampleSpec(end, last_seed)
    with meter(label="drawing", quiet=quiet or json) as shown:
        images = finish(interpolate(model, *ends, frames, settings), lambda at: shown.advance(at.done, total=at.total))
    animated = None if film is not None else kind_of(output)
    content = encode_interpolation(
        list(images), make_provenance(model, settings, ends, frames=frames, animated=animated)
    )
    told = {"frames": frames, "from": [start, first_seed], "to": [end, last_seed], **about(model.info)}
    target.finish(content, told, as_json=json)
