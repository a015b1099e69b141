"""What a person sees of an evaluation: progress while it goes on, and tables of the report."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, groupby
from typing import TYPE_CHECKING, Any

from mnistdiff.cli import console
from mnistdiff.cli.options import By
from mnistdiff.cli.progress import meter
from mnistdiff.settings import NUM_DIGITS

if TYPE_CHECKING:
    from mnistdiff.engine.evaluation.progress import EvaluationProgress
    from mnistdiff.engine.evaluation.report import (
        CAS,
        BinomialProportion,
        ClassifierMetrics,
        EvaluationReport,
        Memorization,
    )

_MOST_MISTAKES = 5
_NONE = "-"


def watch(
    events: "Iterable[EvaluationProgress | EvaluationReport]",
    compared: By | None = None,
    *,
    told: Sequence[str] = (),
    quiet: bool,
) -> "list[EvaluationReport]":
    """Show an evaluation as it happens, a bar for each stage.

    Args:
        events: of ``protocol.evaluate_each``.
        compared: what differs between several evaluations; each is summed up as it comes.
        told: notices that the user has seen.
        quiet: show warnings only.

    Returns:
        the reports.
    """
    from mnistdiff.engine.evaluation.report import EvaluationReport

    reports: list[EvaluationReport] = []
    for _, items in groupby(events, key=lambda item: getattr(item, "stage", None)):
        first = next(items)
        if isinstance(first, EvaluationReport):
            reports.append(first)
            if compared is not None:
                _sum_up(compared, first, quiet=quiet)
            continue
        with meter(label=first.stage, total=first.total, quiet=quiet) as shown:
            for item in chain([first], items):
                if not isinstance(item, EvaluationReport) and item.done:
                    shown.advance(item.done, images=item.images)
    for notice in dict.fromkeys(notice for report in reports for notice in report.notices if notice not in told):
        console.warn(notice)
    return reports


def _sum_up(compared: By, report: "EvaluationReport", *, quiet: bool) -> None:
    value = getattr(report.sampling, compared.name)
    found = [f"{_percent(v.accuracy.share)}, fcd {_number(v.fcd)} ({name})" for name, v in report.classifiers.items()]
    console.note(f"{compared.name} {value}: accuracy {'; '.join(found)}", quiet=quiet)


def show(report: "EvaluationReport", *, confusion: bool) -> None:
    """One report on stdout.

    Args:
        report: of an evaluation.
        confusion: also show the whole table of which digit was taken for which.
    """
    console.result_table("", _origin(report))
    names = [name for judge in report.classifiers for name in (judge, "real")]
    console.result_table("", _measures(report.classifiers), header=["measure", *names])
    digits = [str(digit) for digit in range(NUM_DIGITS)]
    console.result_table("", [_by_digit(*item) for item in report.classifiers.items()], header=["accuracy %", *digits])
    for name, verdict in report.classifiers.items() if confusion else ():
        rows = [[f"asked for {digit}", *map(str, row)] for digit, row in enumerate(verdict.confusion)]
        console.result_table("", rows, header=[f"seen by {name}", *digits])
    if report.cas is not None:
        console.result_table("", _cas(report.cas), header=["learnt from", "drawn", "real"])
    if report.memorization is not None:
        header = ["nearest training image", "drawn", "real test"]
        console.result_table("", _memorization(report.memorization), header=header)
    console.result_table("", _mistakes(report.classifiers))


def show_sweep(compared: By, reports: "Sequence[EvaluationReport]") -> None:
    """Several reports on stdout, a row each; ratio and coverage are those of the less pleased judge."""
    judges = list(reports[0].classifiers)
    header = [compared.name, *(f"acc. {judge}" for judge in judges), *(f"fcd {judge}" for judge in judges)]
    header += ["ratio", "coverage", *(["CAS"] if reports[0].cas else [])]
    console.result_table("", [_summary(*pair) for pair in zip(compared.values, reports, strict=True)], header=header)


def _summary(value: Any, report: "EvaluationReport") -> list[str]:
    ratios = [verdict.fcd_ratio for verdict in report.classifiers.values() if verdict.fcd_ratio is not None]
    coverages = [verdict.prdc.coverage for verdict in report.classifiers.values() if verdict.prdc]
    return [
        str(value),
        *(_percent(verdict.accuracy.share) for verdict in report.classifiers.values()),
        *(_number(verdict.fcd) for verdict in report.classifiers.values()),
        _number(max(ratios, default=None)),
        _number(min(coverages, default=None)),
        *([_percent(report.cas.score)] if report.cas else []),
    ]


def _origin(report: "EvaluationReport") -> list[tuple[str, str]]:
    model, rate = report.model, report.images_per_second
    checkpoint = f"{model.checkpoint} (preset {model.preset}, step {model.step:,}, SHA-256 {model.sha256[:12]})"
    sampling = ", ".join(f"{name} {value}" for name, value in report.sampling if name != "seed")
    speed = f", {rate:.0f} images/s" if rate else ""
    images = f"{report.num_images:,}, seed {report.sampling.seed}{speed}"
    return [("checkpoint", checkpoint), ("sampling", sampling), ("images", images)]


def _measures(verdicts: "Mapping[str, ClassifierMetrics]") -> list[list[str]]:
    """A row for each measure: for each judge of the images, and of real ones."""
    kinds = ("precision", "recall", "density", "coverage")
    columns = []
    for v in verdicts.values():
        digit = v.lowest_digit
        lowest = v.accuracy_by_digit[digit]
        drawn = [_percent(v.accuracy.share), _interval(v.accuracy), f"{digit}: {_percent(lowest.share)}"]
        real = [_percent(v.accuracy_of_test_images.share), _interval(v.accuracy_of_test_images), ""]
        drawn += [_number(v.fcd), _number(v.fcd_ratio)]
        real += [_number(v.fcd_real), ""]
        for overlap, column in ((v.prdc, drawn), (v.prdc_of_training_images, real)):
            column += [_number(getattr(overlap, kind) if overlap else None) for kind in kinds]
        columns += [drawn, real]
    names = ["accuracy", "  95 % interval", "  lowest digit", "fcd", "  over its floor", *kinds]
    rows = [[name, *cells] for name, *cells in zip(names, *columns, strict=True)]
    return [row for row in rows if {*row[1:]} - {_NONE, ""}]


def _by_digit(judge: str, verdict: "ClassifierMetrics") -> list[str]:
    found = [verdict.accuracy_by_digit.get(digit) for digit in range(NUM_DIGITS)]
    return [judge, *(_NONE if p is None else f"{100 * p.share:.1f}".removesuffix(".0") for p in found)]


def _mistakes(verdicts: "Mapping[str, ClassifierMetrics]") -> list[tuple[str, str]]:
    return [
        (
            f"mistakes, {judge}",
            ", ".join(f"{d} taken for {seen}: {n}" for d, seen, n in verdict.confusions[:_MOST_MISTAKES]) or "none",
        )
        for judge, verdict in verdicts.items()
    ]


def _cas(found: "CAS") -> list[list[str]]:
    seeds = [
        [f"seed {n}", _percent(a), _percent(b)]
        for n, (a, b) in enumerate(zip(found.by_seed, found.by_seed_of_real_images, strict=True))
    ]
    return [["accuracy (CAS)", _percent(found.score), _percent(found.score_of_real_images)], *seeds]


def _memorization(found: "Memorization") -> list[list[str]]:
    sides = (found.images, found.test_images)
    quantiles = zip(*(side.quantiles.items() for side in sides), strict=True)
    return [
        ["copies", *(str(side.copies) for side in sides)],
        ["d1/d2 < 1/3", *(_percent(side.ratio_share) for side in sides)],
        *([f"d1, {100 * float(a[0]):.0f} %", f"{a[1]:.2f}", f"{b[1]:.2f}"] for a, b in quantiles),
    ]


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"


def _interval(proportion: "BinomialProportion") -> str:
    low, high = proportion.interval
    return f"{100 * low:.2f}-{100 * high:.2f}"


def _number(value: float | None) -> str:
    """Three decimals for what is small, none for what is large."""
    if value is None:
        return _NONE
    return f"{value:.3f}" if value < 100 else f"{value:.0f}"
