"""``mnistdiff grid``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mnistdiff.cli import console, options, pictures
from mnistdiff.cli.drawing import SamplingOptions, about, draws, warn_of
from mnistdiff.cli.output import Output
from mnistdiff.cli.progress import meter
from mnistdiff.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mnistdiff.engine.checkpoint.model_info import ModelInfo
    from mnistdiff.engine.inference.model import Model
    from mnistdiff.engine.inference.sampling import Sample, SampleSpec
    from mnistdiff.engine.runs.run_dir import RunDir
    from mnistdiff.settings import SampleSettings

EXAMPLES = """Examples:

mnistdiff grid -o grid.png

mnistdiff grid runs/001-base --digit 0-4 --n 12 --seed 5 -o - > sheet.png

mnistdiff grid --digit 3,8 --n 2 --sweep guidance=0,1,2,4 --sweep steps=2,5,10 -o compared.png

mnistdiff grid runs/001-base --over-time -o learning.gif

mnistdiff grid inference_samples/digit_*.png -o drawn.png"""

_Sources = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="RUN|FILE|PICTURE",
        readable=False,
        help="A run, a checkpoint, bundled, or pictures (- is stdin); default: newest run, else bundled model.",
    ),
]
_Output = Annotated[
    str,
    typer.Option(
        "-o",
        "--output",
        metavar="FILE|-",
        help="The PNG (with --over-time the GIF) to write; - is stdout. Default: grid.png or learning.gif.",
        show_default=False,
    ),
]
_Sweep = Annotated[
    list[str] | None,
    typer.Option(
        "--sweep",
        callback=options.parse_sweeps,
        metavar="NAME=VALUES",
        help="Compare values of a setting, from the same noise, as in guidance=0,1,2; twice: rows and columns.",
        show_default=False,
    ),
]
_OverTime = Annotated[bool, typer.Option("--over-time", help="Animate the previews of a run: how it learned.")]


@draws(after="seed")
def grid_command(
    context: typer.Context,
    sources: _Sources = None,
    output: _Output = "",
    digit: options.Digits = None,
    n: options.Count = 8,
    seed: options.FixedSeed = 0,
    sweep: _Sweep = None,
    over_time: _OverTime = False,
    force: options.Force = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    *,
    how: SamplingOptions,
) -> None:
    """Draw one labelled sheet, a row for each digit: from a model, or from pictures that are there already."""
    target = _target(output, over_time=over_time, as_json=json)
    target.refuse_existing([], force=force)
    sources = sources or []

    from mnistdiff.engine.inference.sampling import specs_for_labels
    from mnistdiff.engine.outputs import sheets
    from mnistdiff.engine.runs.lookup import run_to_show
    from mnistdiff.engine.runs.preview_animation import learning

    if pictures.are_given(sources):
        subject, content = None, sheets.sheet_of_files([pictures.read(path) for path in sources], columns=n)
    elif len(sources) > 1:
        raise SettingsError("a grid is drawn from one model", "Name one run or checkpoint, or pictures alone.")
    elif over_time:
        run = run_to_show(sources[0] if sources else None)
        content = learning(run)
        subject = _subject_of(run)
    else:
        wanted = specs_for_labels(context.params["digit"], n, seed)
        subject, content = _from_model(
            sources[0] if sources else None, wanted, context.params["sweep"], how, quiet=quiet or json
        )
    target.finish(content, {"bytes": len(content), **about(subject)}, as_json=json)


def _subject_of(run: "RunDir") -> "ModelInfo | None":
    """The model of a run, after warning of it; None if the run holds no checkpoint."""
    from mnistdiff.engine.checkpoint.model_info import ModelInfo

    if not run.best().is_file():
        return None
    subject = ModelInfo.read(run.best())
    warn_of(subject)
    return subject


def _from_model(
    source: Path | None,
    wanted: "Sequence[SampleSpec]",
    sweeps: tuple[options.By, ...],
    how: SamplingOptions,
    *,
    quiet: bool,
) -> "tuple[ModelInfo, bytes]":
    """A sheet of these images, or of each way to draw them that is compared, and which model drew it."""
    from mnistdiff.engine.outputs import sheets
    from mnistdiff.engine.outputs.encode import encode_samples, encode_with_provenance
    from mnistdiff.engine.outputs.provenance import make_provenance
    from mnistdiff.engine.runs.lookup import checkpoint_to_sample

    variants = list(sheets.variants(sweeps)) if sweeps else [{}]
    sheets.require_image_count(len(wanted) * len(variants))
    if sweeps:
        sheets.require_room_for_comparison(sweeps, len(wanted))
    path = checkpoint_to_sample(source)
    console.note(f"drawing from {options.name_of(path)}", quiet=quiet)
    (model, settings), *loaded = how.load_each(path, [{}, *variants])
    drawn = [_draw(each, wanted, way, quiet=quiet) for each, way in loaded]
    if not sweeps:
        return model.info, encode_samples(drawn[0], model, settings, always_sheet=True)
    image = sheets.comparison_sheet(sweeps, [[drawing.pixels for drawing in drawings] for drawings in drawn])
    return model.info, encode_with_provenance(image, make_provenance(model, settings, wanted, sweeps=sweeps))


def _target(output: str, *, over_time: bool, as_json: bool) -> Output:
    """The one file that a sheet or a film goes to."""
    if over_time:
        return Output.one_file(output or "learning.gif", (".gif",), what="an animation", as_json=as_json)
    return Output.one_file(output or "grid.png", (".png",), what="a grid", as_json=as_json)


def _draw(model: "Model", wanted: "Sequence[SampleSpec]", settings: "SampleSettings", *, quiet: bool) -> "list[Sample]":
    from mnistdiff.engine.inference.sampling import sample

    drawings: list[Sample] = []
    with meter(label="drawing", quiet=quiet) as shown:
        for progress in sample(model, wanted, settings):
            shown.advance(progress.done, total=progress.total, images=len(progress.results))
            drawings += progress.results
    return drawings
