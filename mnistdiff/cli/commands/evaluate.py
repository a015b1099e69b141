"""``mnistdiff evaluate``."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic import Field

from mnistdiff.cli import console, evaluation_view, option_groups, options
from mnistdiff.cli.evaluation_view import EvaluationFiles
from mnistdiff.cli.model_input import about, find_model, load_models
from mnistdiff.cli.option_groups import SamplingOptions, Sweep, inference_settings
from mnistdiff.cli.progress import meter
from mnistdiff.cli.registry import flags_of, with_flags
from mnistdiff.conflicts import refuse_beside
from mnistdiff.engine.libraries import require
from mnistdiff.errors import SettingsError
from mnistdiff.machine_settings import InferenceSettings
from mnistdiff.sample_settings import SampleSettings
from mnistdiff.setting_types import EvaluatedCount, Processes, Seed

if TYPE_CHECKING:
    from mnistdiff.engine.checkpoint.model_info import ModelInfo
    from mnistdiff.engine.evaluation.report import EvaluationReport
    from mnistdiff.engine.inference.model import DiffusionModel

EXAMPLES = """
mnistdiff evaluate runs/001-base
mnistdiff evaluate --n 1000 --min-accuracy 99 --max-fcd 2 --json
mnistdiff evaluate --by guidance=1,1.5,2,3 --plot guidance.png
mnistdiff evaluate --cas --memorization --pairs pairs.png
"""

_PAIRS = "memorization_pairs.png"

_Count = Annotated[
    int,
    options.typed(
        "-n",
        "--n",
        kind=EvaluatedCount,
        help_text="Images to sample, classes as frequent as in the data set (10 to 60000; default 10000).",
    ),
]
_Seed = Annotated[int, options.typed("--seed", kind=Seed, help_text="Seed of the first image (default 0).")]
_Device = Annotated[str | None, options.setting(InferenceSettings, "device")]
_Backend = Annotated[
    str | None,
    options.setting(
        InferenceSettings,
        "backend",
        help_text="ONNX Runtime, on the CPU, or PyTorch; auto takes PyTorch on a GPU, else as sample.",
    ),
]
_By = Annotated[
    Sweep | None,
    typer.Option(
        "--by",
        parser=Sweep.parser("--by"),
        metavar="NAME=VALUES",
        help="Compare values of one sample setting, as in guidance=1,1.5,2 or steps=5,10,20.",
        show_default=False,
    ),
]
_Plot = Annotated[Path | None, options.file("--plot", help="With --by: also plot the comparison, as PNG.")]
_Cas = Annotated[
    bool, typer.Option("--cas", help="Train classifiers on the images alone, and on as many real ones (slow).")
]
_Memorization = Annotated[
    bool, typer.Option("--memorization", "--memorisation", help="Find the nearest training image of each image.")
]
_Pairs = Annotated[
    Path | None, options.file("--pairs", help=f"With --memorization: where to show the nearest (default {_PAIRS}).")
]
_Confusion = Annotated[bool, typer.Option("--confusion", help="Show the confusion matrix of each classifier.")]
_MinAccuracy = Annotated[
    float | None,
    options.typed(
        "--min-accuracy",
        kind=Annotated[float, Field(ge=0, le=100)],
        metavar="PERCENT",
        help_text="Exit 9 if the accuracy of a classifier is less than this.",
    ),
]
_MaxFcd = Annotated[
    float | None,
    options.typed(
        "--max-fcd",
        kind=Annotated[float, Field(ge=0)],
        help_text="Exit 9 if the Fréchet distance of a classifier is more than this.",
    ),
]
_Report = Annotated[Path | None, options.file("--output", "-o", help="Also write the report there, as JSON.")]


@dataclass(frozen=True)
class EvaluateOptions:
    """The options of the command.

    Raises:
        SettingsError: if two of them cannot act together.
    """

    checkpoint: options.Source = None
    n: _Count = 10_000
    seed: _Seed = 0
    guidance: option_groups.Guidance = None
    guidance_interval: option_groups.GuidanceInterval = None
    sampler: option_groups.Sampler = None
    steps: option_groups.Steps = None
    spacing: option_groups.Spacing = None
    eta: option_groups.Eta = None
    weights: option_groups.Weights = None
    device: _Device = None
    backend: _Backend = None
    processes: option_groups.ProcessCount = None
    by: _By = None
    plot: _Plot = None
    cas: _Cas = False
    memorization: _Memorization = False
    pairs: _Pairs = None
    confusion: _Confusion = False
    min_accuracy: _MinAccuracy = None
    max_fcd: _MaxFcd = None
    output: _Report = None
    force: options.Force = False
    data_dir: options.DataDir = None
    json: options.Json = False
    quiet: options.Quiet = False

    def __post_init__(self) -> None:
        if self.plot is not None and self.by is None:
            raise SettingsError("--plot shows what --by compares", "Add for example --by guidance=1,1.5,2.")
        if self.pairs is not None and not self.memorization:
            raise SettingsError("--pairs shows what --memorization finds", "Add --memorization.")
        if self.by is not None:
            single: dict[str, object] = {"--confusion": self.confusion, "--memorization": self.memorization}
            single |= {"--min-accuracy": self.min_accuracy, "--max-fcd": self.max_fcd}
            refuse_beside("--by", "it makes several evaluations", single)

    def sampling(self) -> SamplingOptions:
        """The options of sampling.

        Raises:
            SettingsError: if two of them cannot act together.
        """
        machine = inference_settings(self.device, self.backend, self.processes)
        sweeps = [self.by] if self.by else []
        how = (self.guidance, self.guidance_interval, self.sampler, self.steps, self.spacing, self.eta, self.weights)
        return SamplingOptions(*how, machine, sweeps=sweeps)

    @property
    def pairs_file(self) -> Path | None:
        """Where the closest pairs go; None if they are not looked for."""
        return (self.pairs or Path(_PAIRS)) if self.memorization else None


def evaluate_command(chosen: EvaluateOptions) -> None:
    """Sample many images and measure their quality under two bundled classifiers.

    Accuracy: the share classified as the digit asked for. fcd: the Fréchet distance of the classifier's features to
    those of the training images, beside that of real test images. If MNIST is on this machine, also precision, recall,
    density and coverage. Nothing is downloaded.
    """
    sampling, quiet = chosen.sampling(), chosen.quiet or chosen.json
    files = EvaluationFiles(chosen.output, chosen.plot, chosen.pairs_file, chosen.force)
    models = _load(sampling, chosen, quiet=quiet)
    reports = _evaluate(models, chosen, sampling.machine.processes, quiet=quiet)
    by, info = chosen.by, models[0][0].info
    values = reports[0].model_dump(mode="json") if by is None else _comparison(by, reports, info)
    files.write(reports, values, by, quiet=quiet)
    _print(reports, values, chosen)
    reports[0].require(min_accuracy=chosen.min_accuracy, max_fcd=chosen.max_fcd)


def _load(
    sampling: SamplingOptions, chosen: EvaluateOptions, *, quiet: bool
) -> "list[tuple[DiffusionModel, SampleSettings]]":
    """The model and its sample settings, once for each value of a comparison."""
    require(*(["matplotlib"] if chosen.plot else []), "torch")  # with NumPy, before it is imported for sampling alone
    from mnistdiff.engine.network.device import resolve_device

    variants = [{}] if chosen.by is None else [{chosen.by.name: value} for value in chosen.by.values]
    # Torch is loaded in any case, so a GPU is used if there is one; ONNX Runtime computes on the CPU.
    device = "" if sampling.machine.backend == "onnx" else resolve_device(sampling.machine.device).type
    file, note = find_model(chosen.checkpoint, sampling), f", {chosen.n:,} images"
    return load_models(file, sampling, variants, device=device, note=note, quiet=quiet)


def _evaluate(
    models: "list[tuple[DiffusionModel, SampleSettings]]",
    chosen: EvaluateOptions,
    processes: Processes,
    *,
    quiet: bool,
) -> "Sequence[EvaluationReport]":
    """A report for each of the models, with progress and warnings."""
    from mnistdiff.engine.evaluation.evaluate import OptionalMetrics, evaluate_each, load_references

    by = chosen.by
    optional = OptionalMetrics(cas=chosen.cas, memorization=chosen.memorization)
    classifiers, real = load_references(models[0][0].settings, chosen.data_dir, optional)
    work = evaluate_each(
        models, classifiers, n=chosen.n, seed=chosen.seed, real=real, optional=optional, processes=processes
    )

    def note_values(completed: "Sequence[EvaluationReport]") -> None:
        if by is None:
            return
        for report in completed:
            value = getattr(report.sampling, by.name)
            console.note(f"{by.name} {value}: {evaluation_view.in_a_line(report)}", quiet=quiet)

    with meter(counts_images=False, quiet=quiet) as shown:
        reports = shown.follow(work, note_values)
    known, flags = models[0][0].info.notices, flags_of("evaluate")
    for notice in dict.fromkeys(notice for report in reports for notice in report.notices if notice not in known):
        console.warn(with_flags(notice, flags))
    return reports


def _print(reports: "Sequence[EvaluationReport]", values: dict[str, Any], chosen: EvaluateOptions) -> None:
    if chosen.json:
        console.result_json(values)
    elif chosen.by is None:
        evaluation_view.show(reports[0], confusion=chosen.confusion)
    else:
        evaluation_view.show_sweep(chosen.by.name, chosen.by.values, reports)


def _comparison(by: Sweep, reports: "Sequence[EvaluationReport]", info: "ModelInfo") -> dict[str, Any]:
    """The values and their reports, for JSON."""
    evaluations = [report.model_dump(mode="json") for report in reports]
    return {"by": by.name, "values": list(by.values), "evaluations": evaluations, **about(info)}
