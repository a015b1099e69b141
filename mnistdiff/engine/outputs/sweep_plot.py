"""Plot of evaluations over the values of one sample setting."""

import math
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from mnistdiff.engine.evaluation.report import EvaluationReport
from mnistdiff.engine.outputs.figures import LIGHT, figure, png, use_log_scale


def sweep_plot(name: str, values: Sequence[Any], reports: Sequence[EvaluationReport]) -> bytes:
    """Accuracy and Fréchet distance over a setting, side by side. The same arguments give the same bytes.

    Numbers are sorted, and on a log scale if they span a decade; words stay in their order.

    Args:
        name: of the setting.
        values: of it, at least one: numbers or words.
        reports: one for each value, with the same one or two classifiers.

    Returns:
        a PNG file of 1200x675 pixels.
    """
    numeric = all(isinstance(value, int | float) for value in values)
    order = sorted(range(len(values)), key=lambda i: values[i]) if numeric else list(range(len(values)))
    x = [values[i] if numeric else i for i in order]
    with figure() as plot:
        left, right = plot.subplots(1, 2)
        for classifier, colour in zip(reports[0].classifiers, (LIGHT.smooth, LIGHT.second), strict=False):
            metrics = [reports[i].classifiers[classifier] for i in order]
            percent = [100 * each.accuracy.share for each in metrics]
            bounds = list(zip(*(each.accuracy.interval for each in metrics), strict=True))
            reach = [[abs(100 * bound - p) for bound, p in zip(ends, percent, strict=True)] for ends in bounds]
            left.errorbar(x, percent, yerr=reach, color=colour, marker="o", capsize=3, label=classifier)
            right.plot(x, [each.fcd for each in metrics], color=colour, marker="o", label=classifier)
            if (real := reports[0].classifiers[classifier].fcd_real) is not None:
                right.axhline(real, color=colour, linestyle="--", linewidth=1, label=f"real images, {classifier}")
        left.set_ylabel("accuracy (%)")
        right.set_ylabel("Fréchet classifier distance")
        for axes in (left, right):
            axes.set_xlabel(name, parse_math=False)
            if numeric and min(x) > 0 and max(x) >= 10 * min(x):
                axes.set_xscale("log")
            axes.set_xticks(x, [str(values[i]) for i in order], minor=False)
            axes.xaxis.set_minor_locator(NullLocator())
            axes.grid(visible=True, which="major")
            axes.legend(loc="best")
        _scale_distances(right, reports)
        return png(plot)


def _scale_distances(axes: Axes, reports: Sequence[EvaluationReport]) -> None:
    """A log scale if the distances span more than a decade."""
    metrics = [each for report in reports for each in report.classifiers.values()]
    distances = [d for each in metrics for d in (each.fcd, each.fcd_real) if d is not None]
    if min(distances) > 0 and max(distances) > 10 * min(distances):
        use_log_scale(axes, decades=math.log10(max(distances) / min(distances)))
