"""``mnistdiff sample``."""

from typing import Annotated

from mnistdiff.cli import option_groups, options, output_options, select_samples
from mnistdiff.cli.model_input import find_model, load_models
from mnistdiff.cli.option_groups import SamplingOptions, inference_settings
from mnistdiff.cli.output import DEFAULT_FOLDER
from mnistdiff.cli.output_options import DatasetOptions, OutputOptions
from mnistdiff.cli.sample_output import write_dataset, write_images
from mnistdiff.cli.select_samples import Selection
from mnistdiff.conflicts import refuse_beside

EXAMPLES = """
mnistdiff sample --digit 7 --n 16
mnistdiff sample --digit 0-9 --n 4 --seed 1 --guidance 3 -o drawn/
mnistdiff sample --digits 2026 --show -o year.png
mnistdiff sample --digit 3,8 --gif born.gif --film born.png
mnistdiff sample --digit 7 -o - > seven.png
mnistdiff sample --format npz --balance mnist --n 1000 -o drawn.npz
"""

_OUTPUT = f"A folder, or one .png: a sheet if of several images. Default: {DEFAULT_FOLDER}"
_Output = Annotated[str | None, options.file("--output", "-o", metavar="DIR|FILE|-", help=_OUTPUT)]


def sample_command(
    digit: options.Digits = None,
    classes: options.Classes = None,
    digits: select_samples.Number = None,
    n: options.Count = None,
    checkpoint: options.Checkpoint = None,
    seed: options.SampleSeed = None,
    seeds: select_samples.Seeds = None,
    balance: select_samples.Balance = None,
    guidance: option_groups.Guidance = None,
    guidance_interval: option_groups.GuidanceInterval = None,
    sampler: option_groups.Sampler = None,
    steps: option_groups.Steps = None,
    spacing: option_groups.Spacing = None,
    eta: option_groups.Eta = None,
    weights: option_groups.Weights = None,
    device: option_groups.Device = None,
    backend: option_groups.Backend = None,
    processes: option_groups.ProcessCount = None,
    format: output_options.Format = "png",
    output: _Output = None,
    show: output_options.Show = False,
    gif: output_options.Gif = None,
    film: output_options.Film = None,
    view: output_options.ViewName = None,
    force: options.Force = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Sample digits from a trained model, and print the path of each image.

    An image is determined by its digit and its seed: image k of --seed S is the one that --seed S+k gives alone.
    """
    selection = Selection(digit, classes, digits, n, seed, seeds, balance)
    machine = inference_settings(device, backend, processes)
    sampling = SamplingOptions(guidance, guidance_interval, sampler, steps, spacing, eta, weights, machine)
    note = f", --seed {selection.first_seed}"
    if format == "png":
        if processes is not None and machine.processes not in (1, "auto"):
            refuse_beside(
                f"--processes {processes}", "steps are recorded in one process", {"--gif": gif, "--film": film}
            )
        images = OutputOptions(
            output or DEFAULT_FOLDER, gif, film, view, show=show, force=force, json=json, quiet=quiet or json
        )
        file = find_model(checkpoint, sampling)
        specs = selection.specs(file.settings.spec)
        images.refuse_existing(specs, file.settings.spec)
        [(model, settings)] = load_models(file, sampling, note=note, quiet=images.quiet)

        from mnistdiff.engine.outputs.provenance import Origin

        origin = Origin(model, settings)
        write_images(origin, specs, images, columns=len(digits or ""), processes=machine.processes)
    else:
        for_images = {"--show": show, "--gif": gif, "--film": film, "--view": view}
        refuse_beside(f"--format {format}", "it is for images", for_images)
        files = DatasetOptions(format, output, force=force, json=json, quiet=quiet or json)
        file = find_model(checkpoint, sampling)
        specs = selection.specs(file.settings.spec)
        files.require_enough(len(specs))
        [(model, settings)] = load_models(file, sampling, note=note, quiet=files.quiet)
        write_dataset(model, settings, specs, files, machine.processes)
