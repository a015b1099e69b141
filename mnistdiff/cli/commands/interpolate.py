"""``mnistdiff interpolate``."""

from pathlib import Path
from typing import Annotated

import typer

from mnistdiff.cli import option_groups, options
from mnistdiff.cli.model_input import about, find_model, load_models
from mnistdiff.cli.option_groups import SamplingOptions, inference_settings
from mnistdiff.cli.output import Output
from mnistdiff.cli.progress import meter
from mnistdiff.cli.select_samples import parse_label
from mnistdiff.conflicts import refuse_beside
from mnistdiff.engine.threads import import_numpy
from mnistdiff.setting_types import INTERPOLATION_FRAMES, Frames, Seed

EXAMPLES = """
mnistdiff interpolate --from 3 --to 8 -o morph.gif
mnistdiff interpolate --from 4 --to 4 --seed 1 --to-seed 2 --frames 48 -o hands.gif
mnistdiff interpolate --from 1 --to 7 --film strip.png
"""

_MORPH = Path("morph.gif")
_Frames = Annotated[
    int,
    options.typed(
        "--frames",
        kind=Frames,
        help_text=f"Images in all, with both ends (2 to 200; default {INTERPOLATION_FRAMES}).",
    ),
]
_Seed = Annotated[
    int | None, options.typed("--seed", kind=Seed, help_text="Seed of the first image. Default: a random seed.")
]
_ToSeed = Annotated[
    int | None, options.typed("--to-seed", kind=Seed, help_text="Seed of the last image. Default: the same.")
]
_Film = Annotated[Path | None, options.file("--film", help="Instead: the images side by side, as .png.")]
_OUTPUT = "There and back as .gif or animated .png; - is a GIF on stdout. Default: morph.gif."
_Output = Annotated[Path | None, options.file("--output", "-o", metavar="FILE|-", help=_OUTPUT)]


def interpolate_command(
    start: Annotated[str, typer.Option("--from", metavar="NAME", help="The first digit, or class by its name.")],
    end: Annotated[str, typer.Option("--to", metavar="NAME", help="The last digit, or class by its name.")],
    frames: _Frames = INTERPOLATION_FRAMES,
    checkpoint: options.Checkpoint = None,
    seed: _Seed = None,
    to_seed: _ToSeed = None,
    guidance: option_groups.Guidance = None,
    guidance_interval: option_groups.GuidanceInterval = None,
    sampler: option_groups.Sampler = None,
    steps: option_groups.Steps = None,
    spacing: option_groups.Spacing = None,
    eta: option_groups.Eta = None,
    weights: option_groups.Weights = None,
    device: option_groups.Device = None,
    backend: option_groups.Backend = None,
    output: _Output = None,
    film: _Film = None,
    force: options.Force = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Interpolate between two digits, or between two samples of one digit.

    The first and the last image are those that sample gives for these digits and seeds.
    """
    machine = inference_settings(device, backend)
    sampling = SamplingOptions(guidance, guidance_interval, sampler, steps, spacing, eta, weights, machine)
    target = _target(output, film, force=force, as_json=json)
    first_seed = options.new_seed() if seed is None else seed
    last_seed = first_seed if to_seed is None else to_seed
    file = find_model(checkpoint, sampling)
    labels = [parse_label(name, file.settings.spec, flag) for name, flag in ((start, "--from"), (end, "--to"))]
    import_numpy()

    from mnistdiff.engine.inference.interpolation import interpolate
    from mnistdiff.engine.inference.sampling import SampleSpec
    from mnistdiff.engine.outputs.animation import kind_of
    from mnistdiff.engine.outputs.images import Interpolation
    from mnistdiff.engine.outputs.provenance import Origin

    first, last = SampleSpec(labels[0], first_seed), SampleSpec(labels[1], last_seed)
    [(model, settings)] = load_models(file, sampling, note=f", --seed {first_seed}", quiet=quiet or json)
    with meter(quiet=quiet or json) as shown:
        images = shown.follow(interpolate(model, first, last, frames, settings))
    animated = None if film is not None else kind_of(output or _MORPH)
    content = Interpolation(images, (first, last), Origin(model, settings)).encode(animated)
    ends = {"from": [first.label, first.seed], "to": [last.label, last.seed]}
    target.finish(content, {"frames": frames, **ends, **about(model.info)}, as_json=json)


def _target(output: Path | None, film: Path | None, *, force: bool, as_json: bool) -> Output:
    """The one file to write.

    Raises:
        SettingsError: for both, for a file of another kind, or one that exists.
    """
    if film is None:
        target = Output.one_file(output or _MORPH, (".gif", ".png"), what="an animation", as_json=as_json)
        flag = "-o"
    else:
        refuse_beside("--film", "--film is written instead of the animation", {"--output": output})
        target, flag = Output.one_file(film, (".png",), what="a strip", as_json=as_json), "--film"
    target.refuse_existing(force=force, hint=f"Use --force to replace it, or {flag} with another name.")
    return target
