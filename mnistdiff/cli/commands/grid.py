"""``mnistdiff grid``."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mnistdiff.cli import image_input, option_groups, options
from mnistdiff.cli.model_input import about, find_model, load_models, warn_of
from mnistdiff.cli.option_groups import SamplingOptions, Sweep, inference_settings
from mnistdiff.cli.output import Output
from mnistdiff.cli.progress import meter
from mnistdiff.cli.select_samples import parse_labels
from mnistdiff.conflicts import refuse_beside
from mnistdiff.engine.threads import import_numpy
from mnistdiff.errors import SettingsError
from mnistdiff.setting_types import Seed

if TYPE_CHECKING:
    from mnistdiff.engine.checkpoint.model_info import ModelInfo

EXAMPLES = """
mnistdiff grid -o grid.png
mnistdiff grid runs/001-base --digit 0-4 --n 12 --seed 5 -o - > sheet.png
mnistdiff grid --digit 3,8 --n 2 --sweep guidance=0,1,2,4 --sweep steps=2,5,10 -o compared.png
mnistdiff grid runs/001-base --over-time -o learning.gif
mnistdiff grid inference_samples/digit_*.png -o drawn.png
"""

_COUNT = 8
_Sources = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="RUN|FILE|IMAGE",
        readable=False,
        help="Images are names that end as images do (.png, .jpg, ...), and - is stdin; any other name is a model: a "
        "run, a checkpoint or a bundled one. Default: the newest run, else bundled.",
        show_default=False,
    ),
]
_OUTPUT = "The PNG (with --over-time the GIF) to write; - is stdout. Default: grid.png or learning.gif."
_Output = Annotated[str | None, options.file("--output", "-o", metavar="FILE|-", help=_OUTPUT)]
_Seed = Annotated[
    int | None, options.typed("--seed", kind=Seed, help_text="Seed of the first image of each row (default 0).")
]
_Sweep = Annotated[
    list[Sweep] | None,
    typer.Option(
        "--sweep",
        parser=Sweep.parser("--sweep"),
        metavar="NAME=VALUES",
        help="Compare values of a setting, from the same noise, as in guidance=0,1,2; twice: rows and columns.",
        show_default=False,
    ),
]


def grid_command(
    sources: _Sources = None,
    output: _Output = None,
    digit: options.Digits = None,
    classes: options.Classes = None,
    n: Annotated[int | None, options.count(_COUNT)] = None,
    seed: _Seed = None,
    guidance: option_groups.Guidance = None,
    guidance_interval: option_groups.GuidanceInterval = None,
    sampler: option_groups.Sampler = None,
    steps: option_groups.Steps = None,
    spacing: option_groups.Spacing = None,
    eta: option_groups.Eta = None,
    weights: option_groups.Weights = None,
    device: option_groups.Device = None,
    backend: option_groups.Backend = None,
    sweep: _Sweep = None,
    over_time: Annotated[bool, typer.Option("--over-time", help="Animate the previews of a run.")] = False,
    force: options.Force = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Make one labelled sheet, a row for each digit: sampled from a model, or of existing images."""
    images, source = _images_or_model(sources or [])
    machine = inference_settings(device, backend)
    sampling = SamplingOptions(
        guidance, guidance_interval, sampler, steps, spacing, eta, weights, machine, sweeps=sweep or ()
    )
    sampled = {
        "--digit": digit,
        "--class": classes,
        "--seed": seed,
        "--device": device,
        "--backend": backend,
        "--sweep": sweep,
    }
    if images:
        beside = {**sampled, **sampling.flags, "--over-time": over_time}
        refuse_beside(str(images[0]), "existing images are not sampled", beside)
    elif over_time:
        refuse_beside("--over-time", "the previews of a run exist", {**sampled, **sampling.flags, "--n": n})
    target = _target(output, over_time=over_time, as_json=json)
    target.refuse_existing(force=force)
    if images:
        info, content = None, _of_images(images, columns=n or _COUNT)
    elif over_time:
        info, content = _of_previews(source)
    else:
        info, content = _of_model(source, digit, classes, n or _COUNT, seed or 0, sampling, quiet=quiet or json)
    target.finish(content, {"bytes": len(content), **about(info)}, as_json=json)


def _images_or_model(sources: Sequence[Path]) -> tuple[list[Path], Path | None]:
    """The images among the arguments, or else the model.

    Raises:
        SettingsError: for both, or for two models.
    """
    images = [path for path in sources if image_input.is_image(path)]
    models = [path for path in sources if not image_input.is_image(path)]
    if images and models:
        raise SettingsError(
            f"{models[0]} is a model by its name, and {images[0]} an image",
            "Give images alone, which end in .png, .jpg or another suffix of images, or one run or checkpoint.",
        )
    if len(models) > 1:
        raise SettingsError(f"{models[0]} and {models[1]} are two models", "Name one run or checkpoint.")
    return images, models[0] if models else None


def _target(output: str | None, *, over_time: bool, as_json: bool) -> Output:
    if over_time:
        return Output.one_file(output or "learning.gif", (".gif",), what="an animation", as_json=as_json)
    return Output.one_file(output or "grid.png", (".png",), what="a grid", as_json=as_json)


def _of_images(images: Sequence[Path], *, columns: int) -> bytes:
    from mnistdiff.engine.outputs.sheets import sheet_of_files

    return sheet_of_files([image_input.read(path) for path in images], columns=columns)


def _of_previews(source: Path | None) -> "tuple[ModelInfo | None, bytes]":
    """An animation of the previews of a run, and its model, if it has a checkpoint."""
    from mnistdiff.engine.checkpoint.model_info import ModelInfo
    from mnistdiff.engine.runs.lookup import run_to_show
    from mnistdiff.engine.runs.preview_animation import animate_previews

    run = run_to_show(source)
    content = animate_previews(run)
    if not run.best().is_file():
        return None, content
    info = ModelInfo.read(run.best())
    warn_of(info)
    return info, content


def _of_model(
    source: Path | None,
    digit: Sequence[str] | None,
    classes: Sequence[str] | None,
    count: int,
    seed: int,
    sampling: SamplingOptions,
    *,
    quiet: bool,
) -> "tuple[ModelInfo, bytes]":
    """A sheet of samples, or of each variant that is compared, and its model.

    Raises:
        SettingsError: before anything is sampled, if there is no room for the images.
    """
    import_numpy()
    from mnistdiff.engine.inference.sampling import Sample, sample, specs_for_labels
    from mnistdiff.engine.outputs import sheets
    from mnistdiff.engine.outputs.encode import encode_samples
    from mnistdiff.engine.outputs.png import encode_png
    from mnistdiff.engine.outputs.provenance import Origin, make_provenance

    compared = [(sweep.name, sweep.values) for sweep in sampling.sweeps]
    variants = list(sheets.variants(compared)) if compared else []
    file = find_model(source, sampling)
    specs = specs_for_labels(parse_labels(digit, classes, file.settings.spec), count, seed)
    sheets.require_image_count(len(specs) * max(len(variants), 1))
    if compared:
        sheets.require_room_for_comparison(compared, len(specs), file.settings.spec.image_size)
    loaded = load_models(file, sampling, variants or [{}], quiet=quiet)
    model, settings = loaded[0]  # the others have the same, but for what is compared
    rows: list[list[Sample]] = []
    for each, variant in loaded:
        rows.append([])
        with meter(quiet=quiet) as shown:
            shown.follow(sample(each, specs, variant), rows[-1].extend)
    if not compared:
        return model.info, encode_samples(rows[0], Origin(model, settings), always_sheet=True)
    image = sheets.comparison_sheet(compared, [[each.pixels for each in row] for row in rows])
    provenance = make_provenance(Origin(model, settings), specs, sweeps=compared)
    return model.info, encode_png(image, provenance.metadata())
