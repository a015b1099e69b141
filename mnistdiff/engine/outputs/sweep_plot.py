"""The quality of images over a setting of the sampler."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.ticker import NullLocator

from mnistdiff.engine.outputs.figures import LIGHT, figure, png, use_log_scale


@dataclass(frozen=True)
class JudgeCurve:
    """What one judge says of the images that each value of a setting gave.

    Attributes:
        judge: its name.
        accuracies: in [0, 1], shape (N,); intervals: their bounds.
        distances: Fréchet distances, at least 0, shape (N,).
        floor: that of real images; None if unknown.
    """

    judge: str
    accuracies: Sequence[float]
    intervals: Sequence[tuple[float, float]]
    distances: Sequence[float]
    floor: float | None


def sweep_plot(name: str, values: Sequence[Any], curves: Sequence[JudgeCurve]) -> bytes:
    """Accuracy and Fréchet distance over a setting, side by side. The same arguments give the same bytes.

    Numbers are in order, on a log scale if they span a decade; words stand as they come.

    Args:
        name: of the setting.
        values: of it, at least one: numbers or words.
        curves: one or two judges, each with as many points as there are values.

    Returns:
        a PNG file of 1200x675 pixels.
    """
    numeric = all(isinstance(value, int | float) for value in values)
    order = sorted(range(len(values)), key=lambda i: values[i]) if numeric else list(range(len(values)))
    x = [values[i] if numeric else i for i in order]
    with figure() as drawn:
        left, right = drawn.subplots(1, 2)
        for curve, colour in zip(curves, (LIGHT.smooth, LIGHT.second), strict=False):
            percent = [100 * curve.accuracies[i] for i in order]
            reach = [[abs(100 * curve.intervals[i][end] - 100 * curve.accuracies[i]) for i in order] for end in (0, 1)]
            left.errorbar(x, percent, yerr=reach, color=colour, marker="o", capsize=3, label=curve.judge)
            right.plot(x, [curve.distances[i] for i in order], color=colour, marker="o", label=curve.judge)
            if curve.floor is not None:
                right.axhline(
                    curve.floor, color=colour, linestyle="--", linewidth=1, label=f"real images, {curve.judge}"
                )
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
        distances = [d for curve in curves for d in (*curve.distances, curve.floor) if d is not None]
        if min(distances) > 0 and max(distances) > 10 * min(distances):
            use_log_scale(right, decades=math.log10(max(distances) / min(distances)))
        return png(drawn)
