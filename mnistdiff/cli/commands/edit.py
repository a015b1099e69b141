"""``mnistdiff edit``."""

from typing import Annotated

from mnistdiff.cli import image_input, option_groups, options, output_options
from mnistdiff.cli.model_input import find_model, load_models
from mnistdiff.cli.option_groups import SamplingOptions, inference_settings
from mnistdiff.cli.output_options import OutputOptions
from mnistdiff.cli.sample_output import write_images
from mnistdiff.cli.select_samples import parse_labels
from mnistdiff.setting_types import EDIT_GUIDANCE, EDIT_STRENGTH, Strength

EXAMPLES = """
mnistdiff edit scan.png --digit 4 -o four.png
mnistdiff edit photo.jpg --digit 0-9 --strength 0.7 --seed 1 -o in_my_hand.png
mnistdiff sample --digit 9 --seed 3 -o - | mnistdiff edit - --digit 4 --gif from_9_to_4.gif
"""

_Strength = Annotated[
    float,
    options.typed(
        "--strength",
        kind=Strength,
        help_text="How much of the image is replaced: near 0 nothing, 1 all of it (> 0, <= 1; "
        f"default {EDIT_STRENGTH}).",
    ),
]


def edit_command(
    image: image_input.ImagePath,
    digit: options.Digits = None,
    classes: options.Classes = None,
    strength: _Strength = EDIT_STRENGTH,
    n: options.Count = None,
    checkpoint: options.Checkpoint = None,
    seed: options.SampleSeed = None,
    guidance: Annotated[float | None, option_groups.guidance(f"{EDIT_GUIDANCE:g}")] = None,
    guidance_interval: option_groups.GuidanceInterval = None,
    sampler: option_groups.Sampler = None,
    steps: option_groups.Steps = None,
    spacing: option_groups.Spacing = None,
    eta: option_groups.Eta = None,
    weights: option_groups.Weights = None,
    device: option_groups.Device = None,
    backend: option_groups.Backend = None,
    output: output_options.OutputPath = "edited.png",
    show: output_options.Show = False,
    gif: output_options.Gif = None,
    film: output_options.Film = None,
    view: output_options.ViewName = None,
    force: options.Force = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Re-draw a scanned digit as another digit in the same style (SDEdit).

    The image, dark on light or light on dark, is preprocessed to the size and position of MNIST's digits, or used whole
    where the model's images are no characters; noise is added up to --strength, and the new image is sampled from there
    (Meng et al. 2022).
    """
    machine = inference_settings(device, backend)
    sampling = SamplingOptions(
        guidance, guidance_interval, sampler, steps, spacing, eta, weights, machine, default_guidance=EDIT_GUIDANCE
    )
    images = OutputOptions(output, gif, film, view, show=show, force=force, json=json, quiet=quiet or json)
    scan = image_input.read(image)

    from mnistdiff.engine.inference.editing import SDEdit
    from mnistdiff.engine.inference.sampling import specs_for_labels
    from mnistdiff.engine.outputs.provenance import Origin

    file = find_model(checkpoint, sampling, task="edit")
    dataset = file.settings.spec
    prepared = image_input.prepare_digit(scan, dataset)
    process = SDEdit(image=prepared.image, strength=strength)
    first = options.new_seed() if seed is None else seed
    specs = specs_for_labels(parse_labels(digit, classes, dataset), n or 1, first)
    images.require_writable(specs, dataset)
    [(model, settings)] = load_models(file, sampling, note=f", --seed {first}", quiet=images.quiet)
    write_images(Origin(model, settings, process), specs, images, notices=prepared.notices)
