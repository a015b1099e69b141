"""``mnistdiff sample``."""

from typing import TYPE_CHECKING, Annotated

import typer

from mnistdiff.cli import console, options
from mnistdiff.cli.drawing import HowToDraw, draws
from mnistdiff.cli.films import Film, Films, Gif, View
from mnistdiff.cli.labelled_set import Format, set_path, write_set
from mnistdiff.cli.output import DEFAULT_FOLDER, PIPE, Output, file_name
from mnistdiff.cli.progress import meter
from mnistdiff.cli.wanted import Balance, Number, Seeds, wanted

if TYPE_CHECKING:
    from mnistdiff.engine.sampling import Drawing

EXAMPLES = """Examples:

mnistdiff sample --digit 7 --n 16

mnistdiff sample --digit 0-9 --n 4 --seed 1 --guidance 3 -o drawn/

mnistdiff sample --digits 2026 --show -o year.png

mnistdiff sample --digit 3,8 --gif born.gif --film born.png

mnistdiff sample --digit 7 -o - > seven.png

mnistdiff sample --format npz --balance mnist --n 1000 -o drawn.npz"""


@draws(after="balance")
def sample_command(
    context: typer.Context,
    digit: options.Digits = None,
    digits: Number = "",
    n: options.Count = 1,
    checkpoint: options.Checkpoint = None,
    seed: options.SampleSeed = None,
    seeds: Seeds = None,
    balance: Balance = "uniform",
    output: Annotated[
        str,
        typer.Option(
            "-o", "--output", metavar="DIR|FILE|-", help="A folder, or one .png: a sheet if of several images."
        ),
    ] = DEFAULT_FOLDER,
    format: Format = "png",
    show: Annotated[bool, typer.Option("--show", help="Draw the digits in the terminal, too.")] = False,
    gif: Gif = None,
    film: Film = None,
    view: View = "x_t",
    force: options.Force = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    *,
    how: HowToDraw,
) -> None:
    """Draw digits from a trained model, and print the path of each picture.

    An image is determined by its digit and its seed: image k of --seed S is the one that --seed S+k draws alone.
    """
    quiet = quiet or json
    if format != "png":
        path = set_path(context.params)
        write_set(path, wanted(context.params), context.params, how, quiet=quiet)
        return
    target = Output.parse(output, as_json=json)
    films = Films(context.params, target)
    images = wanted(context.params)

    from mnistdiff.engine.provenance import picture, require_room
    from mnistdiff.engine.sampling import draw

    if target.folder is None:
        require_room(len(images))
    target.refuse_existing([file_name(request.digit, request.seed) for request in images], force=force)
    films.watch(images, columns=len(digits))
    model, settings = how.load(checkpoint, note=f", --seed {images[0].seed}", quiet=quiet)

    drawings: list[Drawing] = []
    with meter(label="drawing", quiet=quiet) as shown:
        for progress in draw(model, images, settings):
            shown.advance(progress.done, total=progress.total, images=len(progress.drawings))
            films.add(progress)
            if show and progress.drawings:
                shown.digits([drawing.pixels for drawing in progress.drawings])
            if target.folder is None:
                drawings += progress.drawings
                continue
            for drawing in progress.drawings:
                name = target.write(file_name(drawing.digit, drawing.seed), picture([drawing], model, settings))
                if json:
                    console.result_json({"path": name, "digit": drawing.digit, "seed": drawing.seed})
                else:
                    shown.result(name)
    if drawings:
        name = target.write("", picture(drawings, model, settings, columns=len(digits)))
        if json:
            console.result_json({"path": name, "images": [{"digit": d.digit, "seed": d.seed} for d in drawings]})
        elif target != PIPE:
            console.result(name)
    films.write(as_json=json)
