"""``mnistdiff inpaint``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mnistdiff.cli import image_input, option_groups, options, output_options
from mnistdiff.cli.model_input import find_model, load_models
from mnistdiff.cli.option_groups import SamplingOptions, inference_settings
from mnistdiff.cli.output_options import OutputOptions
from mnistdiff.cli.sample_output import write_images
from mnistdiff.cli.select_samples import parse_labels
from mnistdiff.conflicts import refuse_beside
from mnistdiff.engine.threads import import_numpy
from mnistdiff.sample_settings import SampleSettings
from mnistdiff.setting_types import RESAMPLE_STEPS, ResampleSteps

if TYPE_CHECKING:
    from mnistdiff.engine.data.datasets import DatasetSpec
    from mnistdiff.engine.inference.editing import RePaint

EXAMPLES = """
mnistdiff inpaint half.png --mask right --digit 8 -o whole.png
mnistdiff inpaint digit_3_1.png --mask top --digit 0-9 --n 4 -o completed.png
mnistdiff inpaint torn.png --mask mask.png --digit 5 --steps 10 --rounds 10 -o mended.png
"""

_Mask = Annotated[
    str,
    typer.Option(
        "--mask",
        metavar="SIDE|FILE",
        help="The missing part: the left, right, top or bottom half, or an image that is white there.",
    ),
]
_Rounds = Annotated[
    int | None,
    options.typed(
        "--rounds",
        kind=ResampleSteps,
        help_text="How often each step is repeated, so that old and new parts become consistent (1 to 100; "
        f"default {RESAMPLE_STEPS}).",
    ),
]
_Steps = Annotated[
    int | None,
    options.setting(
        SampleSettings,
        "steps",
        help_text="Steps from noise to image, each but the last repeated --rounds times (>= 1; default "
        f"{SampleSettings.model_fields['steps'].default}).",
    ),
]


def inpaint_command(
    image: image_input.ImagePath,
    mask: _Mask,
    digit: options.Digits = None,
    classes: options.Classes = None,
    rounds: _Rounds = None,
    n: options.Count = None,
    checkpoint: options.Checkpoint = None,
    seed: options.SampleSeed = None,
    guidance: option_groups.Guidance = None,
    guidance_interval: option_groups.GuidanceInterval = None,
    steps: _Steps = None,
    spacing: option_groups.Spacing = None,
    weights: option_groups.Weights = None,
    device: option_groups.Device = None,
    backend: option_groups.Backend = None,
    output: output_options.OutputPath = "completed.png",
    show: output_options.Show = False,
    gif: output_options.Gif = None,
    film: output_options.Film = None,
    view: output_options.ViewName = None,
    force: options.Force = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Sample the missing part of an image as part of a digit, leaving the known part unchanged (RePaint).

    The image is used whole, in the size of the training images, light on dark (Lugmayr et al. 2022).
    """
    machine = inference_settings(device, backend)
    sampling = SamplingOptions(
        guidance, guidance_interval, steps=steps, spacing=spacing, weights=weights, machine=machine
    )
    if steps == 1:
        refuse_beside("--steps 1", "the last step is not repeated, and it is the only one", {"--rounds": rounds})
    images = OutputOptions(output, gif, film, view, show=show, force=force, json=json, quiet=quiet or json)
    import_numpy()

    from mnistdiff.engine.inference.sampling import specs_for_labels
    from mnistdiff.engine.outputs.provenance import Origin

    file = find_model(checkpoint, sampling, task="inpaint")
    dataset = file.settings.spec
    process = _process(image, mask, rounds or RESAMPLE_STEPS, dataset)
    first = options.new_seed() if seed is None else seed
    specs = specs_for_labels(parse_labels(digit, classes, dataset), n or 1, first)
    images.require_writable(specs, dataset)
    [(model, settings)] = load_models(file, sampling, note=f", --seed {first}", quiet=images.quiet)
    write_images(Origin(model, settings, process), specs, images)


def _process(path: Path, mask: str, rounds: int, dataset: "DatasetSpec") -> "RePaint":
    """The sampling process, from the image and the name or the image of the missing part."""
    from mnistdiff.engine.data.preprocess import known_part, read_mask
    from mnistdiff.engine.inference.editing import HALVES, RePaint, half

    image, size = image_input.read(path), dataset.image_size
    missing = half(mask, size) if mask in HALVES else read_mask(image_input.read(Path(mask)).photograph(), size)
    known = known_part(image.photograph(), missing, border=dataset.border)
    return RePaint(image=known, missing=missing, resample_steps=rounds)
