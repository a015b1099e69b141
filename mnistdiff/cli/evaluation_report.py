"""What a person sees of an evaluation: progress while it goes on, and tables of the report."""

from collections.abc import Iterable, Sequence
from itertools import chain, groupby
from typing import TYPE_CHECKING, Any

from mnistdiff.cli import console
from mnistdiff.cli.options import By
from mnistdiff.cli.progress import meter
from mnistdiff.settings import NUM_DIGITS

if TYPE_CHECKING:
    from mnistdiff.engine.evaluation.cas import Usefulness
    from mnistdiff.engine.evaluation.memorization import Originality
    from mnistdiff.engine.evaluation.metrics import BinomialProportion
    from mnistdiff.engine.evaluation.progress import EvaluationProgress
    from mnistdiff.engine.evaluation.report import Evaluation, Verdict

_MOST_MISTAKES = 5
_NONE = "-"


def watch(
    events: "Iterable[EvaluationProgress | Evaluation]", compared: By | None = None, *, quiet: bool
) -> "list[Evaluation]":
    """Show an evaluation as it happens, a bar for each stage.

    Args:
        events: of ``protocol.evaluate_each``.
        compared: what differs between several evaluations; each is summed up as it comes.
        quiet: show warnings only.

    Returns:
        the reports.
    """
    from mnistdiff.engine.evaluation.report import Evaluation

    reports: list[Evaluation] = []
    for _, items in groupby(events, key=lambda item: getattr(item, "stage", None)):
        first = next(items)
        if isinstance(first, Evaluation):
            reports.append(first)
            if compared is not None:
                _sum_up(compared, first, quiet=quiet)
            continue
        with meter(label=first.stage, total=first.total, quiet=quiet) as shown:
            for item in chain([first], items):
                if not isinstance(item, Evaluation) and item.done:
                    shown.advance(item.done, images=item.images)
    for notice in dict.fromkeys(notice for report in reports for notice in report.notices):
        console.warn(notice)
    return reports


def _sum_up(compared: By, report: "Evaluation", *, quiet: bool) -> None:
    value = getattr(report.drawn.settings, compared.name) if report.drawn else ""
    found = [f"{_percent(v.accuracy.share)}, fcd {_number(v.fcd)} ({v.judge})" for v in report.verdicts]
    console.note(f"{compared.name} {value}: accuracy {'; '.join(found)}", quiet=quiet)


def show(report: "Evaluation", *, confusion: bool) -> None:
    """One report on stdout.

    Args:
        report: of an evaluation.
        confusion: also show the whole table of which digit was taken for which.
    """
    console.result_table("", _origin(report))
    names = [name for verdict in report.verdicts for name in (verdict.judge, "real")]
    console.result_table("", _measures(report.verdicts), header=["measure", *names])
    digits = [str(digit) for digit in range(NUM_DIGITS)]
    console.result_table("", [_by_digit(verdict) for verdict in report.verdicts], header=["accuracy %", *digits])
    for verdict in report.verdicts if confusion else ():
        rows = [[f"asked for {digit}", *map(str, row)] for digit, row in enumerate(verdict.confusion)]
        console.result_table("", rows, header=[f"seen by {verdict.judge}", *digits])
    if report.usefulness is not None:
        console.result_table("", _usefulness(report.usefulness), header=["learnt from", "drawn", "real"])
    if report.originality is not None:
        header = ["nearest training image", "drawn", "real test"]
        console.result_table("", _originality(report.originality), header=header)
    console.result_table("", _mistakes(report.verdicts))


def show_sweep(compared: By, reports: "Sequence[Evaluation]") -> None:
    """Several reports on stdout, a row each; ratio and coverage are those of the less pleased judge."""
    judges = [verdict.judge for verdict in reports[0].verdicts]
    header = [compared.name, *(f"acc. {judge}" for judge in judges), *(f"fcd {judge}" for judge in judges)]
    header += ["ratio", "coverage", *(["CAS"] if reports[0].usefulness else [])]
    console.result_table("", [_summary(*pair) for pair in zip(compared.values, reports, strict=True)], header=header)


def _summary(value: Any, report: "Evaluation") -> list[str]:
    ratios = [verdict.fcd_ratio for verdict in report.verdicts if verdict.fcd_ratio is not None]
    coverages = [verdict.manifold.coverage for verdict in report.verdicts if verdict.manifold]
    return [
        str(value),
        *(_percent(verdict.accuracy.share) for verdict in report.verdicts),
        *(_number(verdict.fcd) for verdict in report.verdicts),
        _number(max(ratios, default=None)),
        _number(min(coverages, default=None)),
        *([_percent(report.usefulness.score)] if report.usefulness else []),
    ]


def _origin(report: "Evaluation") -> list[tuple[str, str]]:
    rows = []
    if report.subject is not None:
        s = report.subject
        rows.append(("checkpoint", f"{s.checkpoint} (preset {s.preset}, step {s.step:,}, SHA-256 {s.sha256[:12]})"))
    if report.drawn is not None:
        rows.append(("sampling", ", ".join(f"{name} {value}" for name, value in report.drawn.settings)))
        rate = report.images_per_second
        speed = f", {rate:.0f} images/s" if rate else ""
        rows.append(("images", f"{report.num_images:,}, seed {report.drawn.seed}{speed}"))
    return rows


def _measures(verdicts: "Sequence[Verdict]") -> list[list[str]]:
    """A row for each measure: for each judge of the images, and of real ones."""
    kinds = ("precision", "recall", "density", "coverage")
    columns = []
    for v in verdicts:
        digit, lowest = v.lowest
        drawn = [_percent(v.accuracy.share), _interval(v.accuracy), f"{digit}: {_percent(lowest.share)}"]
        real = [_percent(v.ceiling.share), _interval(v.ceiling), ""]
        drawn += [_number(v.fcd), _number(v.fcd_ratio)]
        real += [_number(v.fcd_floor), ""]
        for overlap, column in ((v.manifold, drawn), (v.manifold_control, real)):
            column += [_number(getattr(overlap, kind) if overlap else None) for kind in kinds]
        columns += [drawn, real]
    names = ["accuracy", "  95 % interval", "  lowest digit", "fcd", "  over its floor", *kinds]
    rows = [[name, *cells] for name, *cells in zip(names, *columns, strict=True)]
    return [row for row in rows if {*row[1:]} - {_NONE, ""}]


def _by_digit(verdict: "Verdict") -> list[str]:
    found = [verdict.accuracy_by_digit.get(digit) for digit in range(NUM_DIGITS)]
    return [verdict.judge, *(_NONE if p is None else f"{100 * p.share:.1f}".removesuffix(".0") for p in found)]


def _mistakes(verdicts: "Sequence[Verdict]") -> list[tuple[str, str]]:
    return [
        (
            f"mistakes, {verdict.judge}",
            ", ".join(f"{d} taken for {seen}: {n}" for d, seen, n in verdict.confusions[:_MOST_MISTAKES]) or "none",
        )
        for verdict in verdicts
    ]


def _usefulness(found: "Usefulness") -> list[list[str]]:
    seeds = [
        [f"seed {n}", _percent(a), _percent(b)] for n, (a, b) in enumerate(zip(found.drawn, found.real, strict=True))
    ]
    return [["accuracy (CAS)", _percent(found.score), _percent(found.real_score)], *seeds]


def _originality(found: "Originality") -> list[list[str]]:
    sides = (found.drawn, found.control)
    quantiles = zip(*(side.quantiles for side in sides), strict=True)
    return [
        ["copies", *(str(side.copies) for side in sides)],
        ["d1/d2 < 1/3", *(_percent(side.ratio_share) for side in sides)],
        *([f"d1, {100 * a[0]:.0f} %", f"{a[1]:.2f}", f"{b[1]:.2f}"] for a, b in quantiles),
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
