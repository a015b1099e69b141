"""``mnistdiff evaluate``."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic import Field

from mnistdiff.cli import console, evaluation_view, option_groups, options
from mnistdiff.cli.evaluation_files import EvaluationFiles, PairsFile, PlotFile, ReportFile
from mnistdiff.cli.model_input import load_each
from mnistdiff.cli.option_groups import SamplingOptions, Sweep, machine_settings
from mnistdiff.cli.progress import meter
from mnistdiff.conflicts import refuse_beside
from mnistdiff.engine.libraries import require
from mnistdiff.settings import EvaluatedCount, MachineSettings, SampleSettings, Seed

if TYPE_CHECKING:
    from mnistdiff import Model
    from mnistdiff.engine.checkpoint.model_info import ModelInfo
    from mnistdiff.engine.evaluation.report import EvaluationReport

EXAMPLES = """Examples:

mnistdiff evaluate runs/001-base

mnistdiff evaluate --n 1000 --min-accuracy 99 --max-fcd 2 --json

mnistdiff evaluate --by guidance=1,1.5,2,3 --plot guidance.png

mnistdiff evaluate --cas --memorization --pairs pairs.png"""


_Count = Annotated[
    int,
    options.typed(
        "-n",
        "--n",
        kind=EvaluatedCount,
        help_text="Images to sample, digits as frequent as in MNIST (10 to 60000; default 10000).",
    ),
]
_By = Annotated[
    Sweep | None,
    typer.Option(
        "--by",
        parser=Sweep.parser("--by"),
        metavar="NAME=VALUES",
        help="Compare values of one setting of the sampler, as in guidance=1,1.5,2 or steps=5,10,20.",
        show_default=False,
    ),
]
_Cas = Annotated[
    bool, typer.Option("--cas", help="Train classifiers on the images alone, and on as many real ones (slow).")
]
_Memorization = Annotated[
    bool, typer.Option("--memorization", "--memorisation", help="Look up the training image nearest to each image.")
]
_Confusion = Annotated[bool, typer.Option("--confusion", help="Show which digit was taken for which.")]
_MinAccuracy = Annotated[
    float | None,
    options.typed(
        "--min-accuracy",
        kind=Annotated[float, Field(ge=0, le=100)],
        metavar="PERCENT",
        help_text="Exit 9 if a classifier finds less than this right.",
    ),
]
_MaxFcd = Annotated[
    float | None,
    options.typed(
        "--max-fcd",
        kind=Annotated[float, Field(ge=0)],
        help_text="Exit 9 if a classifier finds a larger Fréchet distance than this.",
    ),
]
_Device = Annotated[str | None, options.setting(MachineSettings, "device", from_environment=False)]
_Backend = Annotated[
    str | None,
    options.setting(
        MachineSettings,
        "backend",
        help_text="ONNX Runtime, on the CPU, or PyTorch; auto takes PyTorch on a GPU, else as sample.",
        from_environment=False,
    ),
]


def evaluate_command(
    checkpoint: options.Source = None,
    n: _Count = 10_000,
    seed: Annotated[int, options.typed("--seed", kind=Seed, help_text="Seed of the first image (default 0).")] = 0,
    guidance: option_groups.Guidance = None,
    guidance_interval: option_groups.GuidanceInterval = None,
    sampler: option_groups.Sampler = None,
    steps: option_groups.Steps = None,
    spacing: option_groups.Spacing = None,
    eta: option_groups.Eta = None,
    weights: option_groups.Weights = None,
    device: _Device = None,
    backend: _Backend = None,
    by: _By = None,
    plot: PlotFile = None,
    cas: _Cas = False,
    memorization: _Memorization = False,
    pairs: PairsFile = None,
    confusion: _Confusion = False,
    min_accuracy: _MinAccuracy = None,
    max_fcd: _MaxFcd = None,
    output: ReportFile = None,
    force: options.Force = False,
    data_dir: options.DataDir = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Sample many images and measure their quality under two bundled classifiers.

    Accuracy: the share classified as the digit asked for. fcd: the Fréchet distance of the classifier's features to
    those of the training images, beside that of real test images. If MNIST is on this machine, also precision, recall,
    density and coverage. Nothing is downloaded.
    """
    machine = machine_settings(device, backend)
    sampling = SamplingOptions(
        guidance, guidance_interval, sampler, steps, spacing, eta, weights, machine, sweeps=[by] if by else []
    )
    if by is not None:
        for_one: dict[str, object] = {"--confusion": confusion, "--memorization": memorization}
        for_one |= {"--min-accuracy": min_accuracy, "--max-fcd": max_fcd}
        refuse_beside("--by", "it makes several evaluations", for_one)
    files = EvaluationFiles.of(report=output, plot=plot, pairs=pairs, by=by, memorization=memorization, force=force)
    require(*(["matplotlib"] if files.plot else []), "torch")
    models = _load(checkpoint, sampling, by, note=f", {n:,} images", quiet=quiet or json)
    reports = _evaluate(models, by, n, seed, data_dir, cas=cas, memorization=memorization, quiet=quiet or json)
    content = reports[0].model_dump(mode="json") if by is None else _sweep_to_dict(by, reports, models[0][0].info)
    files.write(reports, content, by, quiet=quiet or json)
    _print(reports, content, by, confusion=confusion, as_json=json)
    if by is None:
        reports[0].require(min_accuracy=min_accuracy, max_fcd=max_fcd)


def _load(
    checkpoint: Path | None, sampling: SamplingOptions, by: Sweep | None, *, note: str, quiet: bool
) -> "list[tuple[Model, SampleSettings]]":
    """The model and the sample settings, once or for each value that is by."""
    from mnistdiff.engine.network.device import resolve_device
    from mnistdiff.engine.runs.lookup import checkpoint_to_sample

    variants = [{}] if by is None else [{by.name: value} for value in by.values]
    # Torch is loaded in any case, so a GPU is used if there is one; ONNX Runtime computes on the CPU.
    where = "" if sampling.machine.backend == "onnx" else resolve_device(sampling.machine.device).type
    return load_each(checkpoint_to_sample(checkpoint), sampling, variants, device=where, note=note, quiet=quiet)


def _evaluate(
    models: "list[tuple[Model, SampleSettings]]",
    by: Sweep | None,
    n: int,
    seed: int,
    data_dir: Path | None,
    *,
    cas: bool,
    memorization: bool,
    quiet: bool,
) -> "Sequence[EvaluationReport]":
    """A report for each model, after printing their notices."""
    from mnistdiff.engine.evaluation.evaluate import OptionalMetrics, evaluate_each, load_references

    optional = OptionalMetrics(cas=cas, memorization=memorization)
    classifiers, real = load_references(models[0][0].settings, data_dir, optional)
    work = evaluate_each(models, classifiers, n=n, seed=seed, real=real, optional=optional)

    def summarize(completed: "Sequence[EvaluationReport]") -> None:
        if by is None:
            return
        for report in completed:
            value = getattr(report.sampling, by.name)
            console.note(f"{by.name} {value}: {evaluation_view.in_a_line(report)}", quiet=quiet)

    with meter(counts_images=False, quiet=quiet) as shown:
        reports = shown.follow(work, summarize)
    printed = models[0][0].info.notices
    for notice in dict.fromkeys(notice for report in reports for notice in report.notices if notice not in printed):
        console.warn(notice)
    return reports


def _print(
    reports: "Sequence[EvaluationReport]", content: dict[str, Any], by: Sweep | None, *, confusion: bool, as_json: bool
) -> None:
    if as_json:
        console.result_json(content)
    elif by is None:
        evaluation_view.show(reports[0], confusion=confusion)
    else:
        evaluation_view.show_sweep(by.name, by.values, reports)


def _sweep_to_dict(by: Sweep, reports: "Sequence[EvaluationReport]", info: "ModelInfo") -> dict[str, Any]:
    """Plain values, for JSON."""
    return {
        "by": by.name,
        "values": list(by.values),
        "evaluations": [report.model_dump(mode="json") for report in reports],
        "model": reports[0].model.model_dump(mode="json"),
        "notices": list(info.notices),
    }
