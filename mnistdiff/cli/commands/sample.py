"""``mnistdiff sample``."""

from dataclasses import dataclass
from typing import Annotated

from mnistdiff.cli import option_groups, options, output_options, select_samples
from mnistdiff.cli.model_input import find_model, load_models
from mnistdiff.cli.option_groups import SamplingOptions, inference_settings
from mnistdiff.cli.output import DEFAULT_FOLDER
from mnistdiff.cli.output_options import DatasetOptions, OutputOptions
from mnistdiff.cli.sample_output import write_dataset, write_images
from mnistdiff.cli.select_samples import Selection
from mnistdiff.conflicts import refuse_beside
from mnistdiff.sample_settings import SampleSettings
from mnistdiff.setting_types import Processes

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


@dataclass(frozen=True)
class SampleOptions:
    """The options of the command; one that was left out is None."""

    digit: options.Digits = None
    classes: options.Classes = None
    digits: select_samples.Number = None
    n: options.Count = None
    checkpoint: options.Checkpoint = None
    seed: options.SampleSeed = None
    seeds: select_samples.Seeds = None
    balance: select_samples.Balance = None
    guidance: option_groups.Guidance = None
    guidance_interval: option_groups.GuidanceInterval = None
    sampler: option_groups.Sampler = None
    steps: option_groups.Steps = None
    spacing: option_groups.Spacing = None
    eta: option_groups.Eta = None
    weights: option_groups.Weights = None
    device: option_groups.Device = None
    backend: option_groups.Backend = None
    processes: option_groups.ProcessCount = None
    format: output_options.Format = "png"
    output: _Output = None
    show: output_options.Show = False
    gif: output_options.Gif = None
    film: output_options.Film = None
    view: output_options.ViewName = None
    force: options.Force = False
    json: options.Json = False
    quiet: options.Quiet = False

    def selection(self) -> Selection:
        """The images; a random seed is taken if none is given.

        Raises:
            SettingsError: if two of the options cannot act together.
        """
        return Selection(self.digit, self.classes, self.digits, self.n, self.seed, self.seeds, self.balance)

    def sampling(self) -> SamplingOptions:
        """How to sample, and where.

        Raises:
            SettingsError: if two of the options cannot act together.
        """
        machine = inference_settings(self.device, self.backend, self.processes)
        values = {name: getattr(self, name) for name in SampleSettings.model_fields}
        return SamplingOptions(**values, machine=machine)

    def files(self, processes: Processes) -> OutputOptions | DatasetOptions:
        """Where the images go: a data set, or pictures.

        Raises:
            SettingsError: if two of the options cannot act together, or a file exists.
        """
        quiet = self.quiet or self.json
        if self.format != "png":
            for_images = {"--show": self.show, "--gif": self.gif, "--film": self.film, "--view": self.view}
            refuse_beside(f"--format {self.format}", "it is for images", for_images)
            return DatasetOptions(self.format, self.output, force=self.force, json=self.json, quiet=quiet)
        if self.processes is not None and processes not in (1, "auto"):
            recorded = {"--gif": self.gif, "--film": self.film}
            refuse_beside(f"--processes {self.processes}", "steps are recorded in one process", recorded)
        output, show = self.output or DEFAULT_FOLDER, self.show
        return OutputOptions(
            output, self.gif, self.film, self.view, show=show, force=self.force, json=self.json, quiet=quiet
        )


def sample_command(chosen: SampleOptions) -> None:
    """Sample digits from a trained model, and print the path of each image.

    An image is determined by its digit and its seed: image k of --seed S is the one that --seed S+k gives alone.
    """
    selection, sampling = chosen.selection(), chosen.sampling()
    processes = sampling.machine.processes
    files = chosen.files(processes)
    file = find_model(chosen.checkpoint, sampling)
    dataset = file.settings.spec
    specs = selection.specs(dataset)
    files.require_writable(specs, dataset)
    [(model, settings)] = load_models(file, sampling, note=f", --seed {selection.first_seed}", quiet=files.quiet)
    if isinstance(files, DatasetOptions):
        write_dataset(model, settings, specs, files, processes)
        return
    from mnistdiff.engine.outputs.provenance import Origin

    origin = Origin(model, settings)
    write_images(origin, specs, files, columns=len(chosen.digits or ""), processes=processes)
