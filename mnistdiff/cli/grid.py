"""``mnistdiff grid``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mnistdiff.cli import console, options, pictures
from mnistdiff.cli.drawing import HowToDraw, draws
from mnistdiff.cli.output import PIPE, Output
from mnistdiff.cli.progress import meter
from mnistdiff.errors import CheckpointError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mnistdiff.engine.sampling import Drawing, Model, Request
    from mnistdiff.settings import SampleSettings

EXAMPLES = """Examples:

mnistdiff grid -o grid.png

mnistdiff grid runs/001-base --digit 0-4 --n 12 --seed 5 -o - > sheet.png

mnistdiff grid --digit 3,8 --n 2 --sweep guidance=0,1,2,4 --sweep steps=2,5,10 -o compared.png

mnistdiff grid runs/001-base --over-time -o learning.gif

mnistdiff grid inference_samples/digit_*.png -o drawn.png"""


@draws(after="seed")
def grid_command(
    context: typer.Context,
    sources: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="RUN|FILE|PNG",
            readable=False,
            help="A run, a checkpoint, or PNG files (- is stdin); default: the newest run, else the model in the box.",
        ),
    ] = None,
    output: Annotated[
        str,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE|-",
            help="The PNG (with --over-time the GIF) to write; - is stdout. Default: grid.png or learning.gif.",
            show_default=False,
        ),
    ] = "",
    digit: options.Digits = None,
    n: options.Count = 8,
    seed: options.FixedSeed = 0,
    sweep: Annotated[
        list[str] | None,
        typer.Option(
            "--sweep",
            callback=options.parse_sweeps,
            metavar="NAME=VALUES",
            help="Compare values of a setting, from the same noise, as in guidance=0,1,2; twice: rows and columns.",
            show_default=False,
        ),
    ] = None,
    over_time: Annotated[
        bool, typer.Option("--over-time", help="Animate the previews of a run: how it learned.")
    ] = False,
    force: options.Force = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    *,
    how: HowToDraw,
) -> None:
    """Draw one labelled sheet, a row for each digit: from a model, or from pictures that are there already."""
    target = _target(output, over_time=over_time, as_json=json)
    target.refuse_existing([], force=force)
    sources = sources or []

    from mnistdiff.engine import sheets
    from mnistdiff.engine.choice import checkpoint_to_sample
    from mnistdiff.engine.provenance import picture, require_room
    from mnistdiff.engine.sampling import requests

    if any(path.suffix.lower() == ".png" or path == pictures.STDIN for path in sources):
        content = sheets.of_pictures([pictures.read(path) for path in sources], columns=n)
    elif len(sources) > 1:
        raise SettingsError("a grid is drawn from one model", "Name one run or checkpoint, or PNG files alone.")
    elif over_time:
        content = _over_time(sources[0] if sources else None)
    else:
        sweeps: tuple[options.By, ...] = context.params["sweep"]
        variants = list(sheets.variants(sweeps)) if sweeps else [{}]
        wanted = requests(context.params["digit"], n, seed)
        require_room(len(wanted) * len(variants))
        path = checkpoint_to_sample(sources[0] if sources else None)
        console.note(f"drawing from {options.name_of(path)}", quiet=quiet or json)
        loaded = how.load_each(path, variants)
        drawn = [_draw(model, wanted, settings, quiet=quiet or json) for model, settings in loaded]
        if sweeps:
            content = sheets.compared(sweeps, [[drawing.pixels for drawing in drawings] for drawings in drawn])
        else:
            content = picture(drawn[0], *loaded[0])
    name = target.write("", content)
    if json:
        console.result_json({"path": name, "bytes": len(content)})
    elif target != PIPE:
        console.result(name)


def _target(output: str, *, over_time: bool, as_json: bool) -> Output:
    """The one file that a sheet or a film goes to."""
    if over_time and output != "-":
        path = Path(output or "learning.gif")
        if path.suffix.lower() != ".gif":
            raise SettingsError(f"-o {output}: --over-time is written as GIF", "Use a name that ends in .gif.")
        return Output(file=path)
    target = Output.parse(output or "grid.png", as_json=as_json)
    if target.folder is not None:
        raise SettingsError(f"-o {output}: a grid is one picture", "Use a name that ends in .png, or -.")
    return target


def _over_time(source: Path | None) -> bytes:
    from mnistdiff.engine.run_dir import RunDir
    from mnistdiff.engine.sheets import over_time

    run = RunDir.newest() if source is None else RunDir(source)
    if run is None or not run.path.is_dir():
        raise CheckpointError(f"there is no run {source or 'here'} to show over time", "Name a run folder.")
    return over_time(run)


def _draw(model: "Model", wanted: "Sequence[Request]", settings: "SampleSettings", *, quiet: bool) -> "list[Drawing]":
    from mnistdiff.engine.sampling import draw

    drawings: list[Drawing] = []
    with meter(label="drawing", quiet=quiet) as shown:
        for progress in draw(model, wanted, settings):
            shown.advance(progress.done, total=progress.total, images=len(progress.drawings))
            drawings += progress.drawings
    return drawings
