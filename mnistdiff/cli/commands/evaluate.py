"""``mnistdiff evaluate``."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic import Field

from mnistdiff.cli import console, evaluation_view, options
from mnistdiff.cli.drawing import SamplingOptions, draws
from mnistdiff.cli.evaluation_files import EvaluationFiles, PairsFile, PlotFile, ReportFile
from mnistdiff.cli.progress import meter
from mnistdiff.engine.libraries import require
from mnistdiff.settings import Seed

if TYPE_CHECKING:
    from mnistdiff.engine.evaluation.report import EvaluationReport

EXAMPLES = """Examples:

mnistdiff evaluate runs/001-base

mnistdiff evaluate --n 1000 --min-accuracy 99 --max-fcd 2 --json

mnistdiff evaluate --by guidance=1,1.5,2,3 --plot guidance.png

mnistdiff evaluate --cas --memorization --pairs pairs.png"""


_Count = Annotated[
    Any,
    typer.Option(
        "-n",
        "--n",
        parser=options.checked(Annotated[int, Field(ge=10, le=60_000)]),
        metavar="INT",
        help="Images to draw, digits as frequent as in MNIST (10 to 60000).",
    ),
]
_Seed = Annotated[
    Any, typer.Option("--seed", parser=options.checked(Seed), metavar="INT", help="Seed of the first image.")
]
_By = Annotated[
    str | None,
    typer.Option(
        "--by",
        callback=options.parse_by,
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
    Any,
    typer.Option(
        "--min-accuracy",
        parser=options.checked(Annotated[float, Field(ge=0, le=100)]),
        metavar="PERCENT",
        help="Exit 9 if a classifier finds less than this right.",
    ),
]
_MaxFcd = Annotated[
    Any,
    typer.Option(
        "--max-fcd",
        parser=options.checked(Annotated[float, Field(ge=0)]),
        metavar="FLOAT",
        help="Exit 9 if a classifier finds a larger Fréchet distance than this.",
    ),
]


@draws(after="seed", with_torch=True)
def evaluate_command(
    context: typer.Context,
    checkpoint: options.Source = None,
    n: _Count = 10_000,
    seed: _Seed = 0,
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
    *,
    how: SamplingOptions,
) -> None:
    """Draw many digits and measure how good they are, under two classifiers that come with the program.

    Accuracy: how many are taken for the digit that was asked for. fcd: the Fréchet distance of the classifier's
    features to those of the training images, beside its floor, that of real test images. With MNIST at hand also
    precision, recall, density and coverage. Nothing is ever fetched.
    """
    files = EvaluationFiles.parse(context.params)
    compared: options.By | None = context.params["by"]
    quiet = quiet or json

    if files.plot is not None:
        require("matplotlib")
    require("torch")
    from mnistdiff.engine.evaluation.evaluate import OptionalMetrics, evaluate_each, load_references
    from mnistdiff.engine.network.device import resolve_device
    from mnistdiff.engine.runs.lookup import checkpoint_to_sample

    path = checkpoint_to_sample(checkpoint)
    variants = [{}] if compared is None else [{compared.name: value} for value in compared.values]
    # Torch is loaded in any case, so a GPU is used if there is one; ONNX Runtime computes on the CPU.
    device = "" if how.machine.backend == "onnx" else resolve_device(how.machine.device).type
    models = how.load_each(path, variants, device=device)
    optional = OptionalMetrics(cas=cas, memorization=memorization)
    classifiers, real = load_references(models[0][0].settings, data_dir, optional)
    console.note(f"evaluating {options.name_of(path)} with {n:,} images", quiet=quiet)
    work = evaluate_each(models, classifiers, n=n, seed=seed, real=real, optional=optional)

    def summarize(completed: "Sequence[EvaluationReport]") -> None:
        if compared is None:
            return
        for report in completed:
            value = getattr(report.sampling, compared.name)
            console.note(f"{compared.name} {value}: {evaluation_view.in_a_line(report)}", quiet=quiet)

    with meter(counts_images=False, quiet=quiet) as shown:
        reports = shown.follow(work, summarize)
    told = models[0][0].info.notices
    for notice in dict.fromkeys(notice for report in reports for notice in report.notices if notice not in told):
        console.warn(notice)
    content = reports[0].model_dump(mode="json") if compared is None else _sweep_to_dict(compared, reports, told)
    files.write(reports, content, compared, quiet=quiet)
    if json:
        console.result_json(content)
    elif compared is None:
        evaluation_view.show(reports[0], confusion=confusion)
    else:
        evaluation_view.show_sweep(compared.name, compared.values, reports)
    if compared is None:
        reports[0].require(min_accuracy=min_accuracy, max_fcd=max_fcd)


def _sweep_to_dict(compared: options.By, reports: "Sequence[EvaluationReport]", told: Sequence[str]) -> dict[str, Any]:
    """Plain values, for JSON."""
    return {
        "by": compared.name,
        "values": list(compared.values),
        "evaluations": [report.model_dump(mode="json") for report in reports],
        "model": reports[0].model.model_dump(mode="json"),
        "notices": list(told),
    }
