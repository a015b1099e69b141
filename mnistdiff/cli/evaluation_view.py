"""Evaluation reports as tables, and as files beside them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnistdiff.cli import console
from mnistdiff.cli.output import Output, refuse_existing, undone_on_failure
from mnistdiff.errors import SettingsError

if TYPE_CHECKING:
    from mnistdiff.cli.option_groups import Sweep
    from mnistdiff.engine.evaluation.report import EvaluatedModel, EvaluationReport, LikelihoodReport
    from mnistdiff.engine.evaluation.results import CAS, PRDC, BinomialProportion, ClassifierMetrics, Memorization

_MOST_MISTAKES = 5
_MOST_COLUMNS = 10
_NONE = "-"


@dataclass(frozen=True)
class EvaluationFiles:
    """Files beside the result on stdout.

    Attributes:
        report: as JSON.
        plot: of a comparison, PNG.
        pairs: images and their nearest training images, PNG.
        force: replace files.

    Raises:
        SettingsError: if a name has another suffix, or a file exists.
    """

    report: Path | None
    plot: Path | None
    pairs: Path | None
    force: bool

    def __post_init__(self) -> None:
        kinds = (("--output", self.report, ".json"), ("--plot", self.plot, ".png"), ("--pairs", self.pairs, ".png"))
        for flag, path, suffix in kinds:
            if path is None:
                continue
            if path.suffix.lower() != suffix:
                hint = f"Use for example {path.stem}{suffix}."
                raise SettingsError(f"{flag} {path}: not a name that ends in {suffix}", hint)
            hint = f"Use --force to replace it, or {flag} with another name."
            refuse_existing(path, force=self.force, hint=hint)

    def write(
        self, reports: "Sequence[EvaluationReport]", values: dict[str, Any], by: "Sweep | None", *, quiet: bool
    ) -> None:
        """Write the files, and note their names on stderr.

        Raises:
            StorageError, OSError: if one cannot be written; none is left then.
        """
        contents: list[tuple[Path, bytes]] = []
        if self.report is not None:
            contents.append((self.report, (json.dumps(values, indent=2, allow_nan=False) + "\n").encode()))
        if self.pairs is not None and reports[0].memorization is not None:
            contents.append((self.pairs, reports[0].memorization.sheet))
        if self.plot is not None and by is not None:
            from mnistdiff.engine.outputs.sweep_plot import sweep_plot

            contents.append((self.plot, sweep_plot(by.name, by.values, reports)))
        with undone_on_failure(force=self.force) as written:
            for path, content in contents:
                written.append(path)
                console.note(f"saved {Output(file=path).write('', content)}", quiet=quiet)


def show(report: "EvaluationReport", *, confusion: bool) -> None:
    """Print one report on stdout, with the confusion matrices if asked for."""
    console.result_table("", _origin(report))
    names = [column for name in report.classifiers for column in (name, "real")]
    console.result_table("", _metrics(report), header=["measure", *names])
    classes = max(len(each.confusion) for each in report.classifiers.values())
    labels = [report.name_of(label) for label in range(classes)]
    rows = [["accuracy %", *labels], *([name, *_by_label(each)] for name, each in report.classifiers.items())]
    header, *body = rows if classes <= _MOST_COLUMNS else [list(row) for row in zip(*rows, strict=True)]
    console.result_table("", body, header=header)
    for name, each in report.classifiers.items() if confusion else ():
        counts = [[f"label {label}", *map(str, row)] for label, row in zip(labels, each.confusion, strict=True)]
        console.result_table("", counts, header=[f"predicted by {name}", *labels])
    if report.cas is not None:
        console.result_table("", _cas(report.cas), header=["trained on", "generated", "real"])
    if report.memorization is not None:
        header = ["nearest training image", "generated", "real test"]
        console.result_table("", _memorization(report.memorization), header=header)
    mistakes = [(f"mistakes, {name}", _mistakes(each, report)) for name, each in report.classifiers.items()]
    console.result_table("", mistakes)


def show_sweep(name: str, values: Sequence[Any], reports: "Sequence[EvaluationReport]") -> None:
    """Print a row for each value of a setting; ratio and coverage are the worse of the classifiers'."""
    classifiers = list(reports[0].classifiers)
    header = [name, *(f"acc. {each}" for each in classifiers), *(f"fcd {each}" for each in classifiers)]
    header += ["ratio", "coverage", *(["CAS"] if reports[0].cas else [])]
    rows = [[str(value), *_summary(report)] for value, report in zip(values, reports, strict=True)]
    console.result_table("", rows, header=header)


_TERMS = {
    "prior": "  L_T (x_T against noise)",
    "denoising": "  sum of L_t-1 (denoising steps)",
    "decoder": "  L_0 (discretised decoder)",
}


def show_likelihood(report: "LikelihoodReport") -> None:
    """Print the bits a dimension, and the part of each term, on stdout."""
    whole = report.evaluations >= report.timesteps
    terms = f"all {report.timesteps} terms" if whole else f"{report.evaluations} evaluations an image"
    of = f"{report.num_images:,} {report.split} images of {report.dataset}, {terms}, seed {report.seed}"
    console.result_table("", [("checkpoint", _checkpoint(report.model)), ("weights", report.weights), ("images", of)])
    error = "" if report.standard_error is None else f"{report.standard_error:.4f}"
    rows = [["bound", f"{report.bits_per_dim:.4f}", ""], ["  standard error", error, ""]]
    rows += [[_TERMS[name], f"{value:.4f}", _percent(report.shares[name])] for name, value in report.terms.items()]
    console.result_table("", rows, header=["measure", "bits a dimension", "share"])


def in_a_line(report: "EvaluationReport") -> str:
    """Accuracy and Fréchet distance of each classifier."""
    found = [f"{_percent(m.accuracy.share)}, fcd {_number(m.fcd)} ({name})" for name, m in report.classifiers.items()]
    return f"accuracy {'; '.join(found)}"


def _summary(report: "EvaluationReport") -> list[str]:
    metrics = report.classifiers.values()
    ratios = [each.fcd_ratio for each in metrics if each.fcd_ratio is not None]
    coverages = [each.prdc.coverage for each in metrics if each.prdc]
    return [
        *(_percent(each.accuracy.share) for each in metrics),
        *(_number(each.fcd) for each in metrics),
        _number(max(ratios, default=None)),
        _number(min(coverages, default=None)),
        *([_percent(report.cas.score)] if report.cas else []),
    ]


def _origin(report: "EvaluationReport") -> list[tuple[str, str]]:
    checkpoint, rate = _checkpoint(report.model), report.images_per_second
    sampling = ", ".join(f"{name} {value}" for name, value in report.sampling if name != "seed")
    speed = f", {rate:.0f} images/s" if rate else ""
    images = f"{report.num_images:,}, seed {report.sampling.seed}{speed}"
    return [("checkpoint", checkpoint), ("sampling", sampling), ("images", images)]


def _checkpoint(model: "EvaluatedModel") -> str:
    return f"{model.checkpoint} (preset {model.preset}, step {model.step:,}, SHA-256 {model.sha256[:12]})"


def _metrics(report: "EvaluationReport") -> list[list[str]]:
    """A row for each metric: for each classifier that of generated and that of real images."""
    kind = "digit" if all(name.isdecimal() for name in report.class_names) else "class"
    names = ["accuracy", "  95 % interval", f"  lowest {kind}", "fcd", "  over that of real images"]
    names += ["precision", "recall", "density", "coverage"]
    columns = [column for each in report.classifiers.values() for column in _columns(each, report)]
    rows = [[name, *cells] for name, *cells in zip(names, *columns, strict=True)]
    return [row for row in rows if {*row[1:]} - {_NONE, ""}]


def _columns(metrics: "ClassifierMetrics", report: "EvaluationReport") -> tuple[list[str], list[str]]:
    """The column of generated images, and that of real ones."""
    lowest, real = metrics.accuracy_by_digit[metrics.lowest_digit], metrics.accuracy_of_test_images
    accuracy = [_percent(metrics.accuracy.share), _interval(metrics.accuracy)]
    accuracy += [f"{report.name_of(metrics.lowest_digit)}: {_percent(lowest.share)}"]
    return (
        [*accuracy, _number(metrics.fcd), _number(metrics.fcd_ratio), *_prdc(metrics.prdc)],
        [
            _percent(real.share),
            _interval(real),
            "",
            _number(metrics.fcd_real),
            "",
            *_prdc(metrics.prdc_of_training_images),
        ],
    )


def _prdc(found: "PRDC | None") -> list[str]:
    return [_NONE] * 4 if found is None else [_number(value) for _, value in found]


def _by_label(metrics: "ClassifierMetrics") -> list[str]:
    found = [metrics.accuracy_by_digit.get(label) for label in range(len(metrics.confusion))]
    return [_NONE if each is None else f"{100 * each.share:.1f}".removesuffix(".0") for each in found]


def _mistakes(metrics: "ClassifierMetrics", report: "EvaluationReport") -> str:
    most = [(report.name_of(label), report.name_of(found), n) for label, found, n in metrics.confusions]
    return ", ".join(f"{label} classified as {found}: {n}" for label, found, n in most[:_MOST_MISTAKES]) or "none"


def _cas(found: "CAS") -> list[list[str]]:
    pairs = zip(found.by_seed, found.by_seed_of_real_images, strict=True)
    seeds = [[f"seed {seed}", *map(_percent, pair)] for seed, pair in enumerate(pairs)]
    return [["accuracy (CAS)", _percent(found.score), _percent(found.score_of_real_images)], *seeds]


def _memorization(found: "Memorization") -> list[list[str]]:
    sides = (found.images, found.test_images)
    quantiles = [
        [f"d1, {100 * float(share):.0f} %", *(f"{side.quantiles[share]:.2f}" for side in sides)]
        for share in found.images.quantiles
    ]
    return [
        ["copies", *(str(side.copies) for side in sides)],
        ["d1/d2 < 1/3", *(_percent(side.ratio_share) for side in sides)],
        *quantiles,
    ]


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"


def _interval(proportion: "BinomialProportion") -> str:
    low, high = proportion.interval
    return f"{100 * low:.2f}-{100 * high:.2f}"


def _number(value: float | None) -> str:
    """Three decimals below 100, none above."""
    if value is None:
        return _NONE
    return f"{value:.3f}" if value < 100 else f"{value:.0f}"
