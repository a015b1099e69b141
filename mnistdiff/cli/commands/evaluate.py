"""``mnistdiff evaluate``."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mnistdiff.cli import console, evaluation_view
from mnistdiff.cli.evaluate_options import EvaluateOptions
from mnistdiff.cli.evaluation_view import EvaluationFiles
from mnistdiff.cli.model_input import about, find_model, load_models
from mnistdiff.cli.option_groups import SamplingOptions, Sweep
from mnistdiff.cli.progress import meter
from mnistdiff.cli.registry import flags_of, with_flags
from mnistdiff.engine.libraries import require
from mnistdiff.sample_settings import SampleSettings
from mnistdiff.setting_types import Processes

if TYPE_CHECKING:
    from mnistdiff.engine.checkpoint.model_info import ModelInfo
    from mnistdiff.engine.evaluation.report import EvaluationReport
    from mnistdiff.engine.inference.model import DiffusionModel

EXAMPLES = """
mnistdiff evaluate runs/001-base
mnistdiff evaluate --n 1000 --min-accuracy 99 --max-fcd 2 --json
mnistdiff evaluate --by guidance=1,1.5,2,3 --plot guidance.png
mnistdiff evaluate --cas --memorization --pairs pairs.png
mnistdiff evaluate --bits-per-dim --split train
"""


def evaluate_command(chosen: EvaluateOptions) -> None:
    """Sample many images and measure their quality under two bundled classifiers.

    Accuracy: the share classified as the digit asked for. fcd: the Fréchet distance of the classifier's features to
    those of the training images, beside that of real test images. If MNIST is on this machine, also precision, recall,
    density and coverage. With --bits-per-dim instead the variational bound on the likelihood of real images, which has
    to be on this machine. Nothing is downloaded.
    """
    sampling, quiet = chosen.sampling(), chosen.quiet or chosen.json
    if chosen.bits_per_dim:
        _measure_likelihood(sampling, chosen, quiet=quiet)
        return
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
    file, note = find_model(chosen.checkpoint, sampling, task=chosen.task), f", {chosen.count:,} images"
    return load_models(file, sampling, variants, device=device, note=note, quiet=quiet)


def _measure_likelihood(sampling: SamplingOptions, chosen: EvaluateOptions, *, quiet: bool) -> None:
    """Measure and print the bits a dimension of real images."""
    files = EvaluationFiles(chosen.output, None, None, chosen.force)
    [(model, _)] = _load(sampling, chosen, quiet=quiet)
    from mnistdiff.engine.evaluation.likelihood import measure_likelihood
    from mnistdiff.engine.evaluation.real_images import load_split

    real = load_split(model.settings, chosen.split, chosen.data_dir, required_by="bits_per_dim")
    work = measure_likelihood(model, real, n=chosen.count, evaluations=chosen.bound_evaluations, seed=chosen.seed)
    with meter(counts_images=False, quiet=quiet) as shown:
        report = shown.follow(work)
    if real.notice:
        console.warn(real.notice)
    values = report.model_dump(mode="json")
    files.write((), values, None, quiet=quiet)
    if chosen.json:
        console.result_json(values)
    else:
        evaluation_view.show_likelihood(report)


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
    classifiers, real = load_references(models[0][0].settings, chosen.data_dir, optional, chosen.classifier or ())
    work = evaluate_each(
        models, classifiers, n=chosen.count, seed=chosen.seed, real=real, optional=optional, processes=processes
    )

    def note_values(completed: "Sequence[EvaluationReport]") -> None:
        """Note the scores of each value that is compared."""
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
