"""Curves as one would print them in a paper: the loss of a run, and the quality of images over a setting."""

import io
import math
import textwrap
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import matplotlib
import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator, StrMethodFormatter
from numpy.typing import NDArray

from mnistdiff.errors import DivergedError

_RAW = "#a9c4e4"
_SMOOTH = "#1b4f8f"
_INK = "#333333"
_JUDGES = (_SMOOTH, "#c2571a")
_SIZE_INCHES = (8.0, 4.5)
_DPI = 150
_TITLE_CHARACTERS = 80
_FEWEST_TO_SMOOTH = 10
"""Fewer records are drawn as dots, for a single one makes no line, and have nothing to average."""
_AVERAGED_SHARE = 0.05
_FEWEST_AVERAGED = 4
"""The average reaches back over 5 % of the records, but over 4 at the end of a short run."""
_NICE = (1, 2, 5, 10)
"""Ticks at these times a power of ten."""

_STYLE: Mapping[str, Any] = MappingProxyType(
    {
        "font.size": 10.5,
        "text.color": _INK,
        "axes.edgecolor": _INK,
        "axes.labelcolor": _INK,
        "xtick.color": _INK,
        "ytick.color": _INK,
        "axes.linewidth": 0.8,
        "axes.axisbelow": True,
        "axes.spines.right": False,
        "axes.titlesize": 12,
        "grid.color": "#e6e6e6",
        "grid.linewidth": 0.8,
        "legend.edgecolor": "none",
        "figure.constrained_layout.h_pad": 0.12,
        "figure.constrained_layout.w_pad": 0.12,
        "agg.path.chunksize": 10_000,  # else Agg gives up on the path of a very long run
    }
)


def loss_curve(steps: Sequence[int], losses: Sequence[float], *, steps_per_epoch: int, title: str = "") -> bytes:
    """The training loss over optimizer steps, with epochs along the top. The same arguments give the same bytes.

    The bold line is a moving average whose span grows with the run, so that it is calm where the loss is level and
    still does not lag behind the steep start. The loss is on a log scale if it spans more than a decade.

    Args:
        steps: of the records, 1, 2, ... and in order, shape (N,).
        losses: their mean squared errors, shape (N,).
        steps_per_epoch: optimizer steps that make an epoch.
        title: above the plot; empty for none.

    Returns:
        a PNG file of 1200x675 pixels.

    Raises:
        ValueError: if there is nothing to draw, or steps and losses are not as many.
        DivergedError: if a loss is not finite.
    """
    if len(steps) == 0 or len(steps) != len(losses):
        raise ValueError(f"a curve needs as many steps as losses, and at least one: {len(steps)} and {len(losses)}")
    if steps_per_epoch < 1:
        raise ValueError(f"steps_per_epoch must be at least 1, not {steps_per_epoch}")
    x, y = np.asarray(steps, dtype=np.float64), np.asarray(losses, dtype=np.float64)
    if not np.isfinite(y).all():
        raise DivergedError("a recorded loss is not finite", "Train again with a smaller --lr.")

    with _figure() as figure:
        axes = figure.add_subplot()
        _draw_losses(axes, x, y)
        _label_axes(axes, x, y, steps_per_epoch)
        if title:
            axes.set_title(textwrap.fill(title, _TITLE_CHARACTERS), loc="left", parse_math=False)
        return _png(figure)


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
    with _figure() as figure:
        left, right = figure.subplots(1, 2)
        for curve, colour in zip(curves, _JUDGES, strict=False):
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
            _use_log_scale(right, decades=math.log10(max(distances) / min(distances)))
        return _png(figure)


@contextmanager
def _figure() -> Iterator[Figure]:
    """An empty figure in this style, while it is drawn."""
    # Not pyplot, which keeps figures alive in a global; and not the user's matplotlibrc, which may ask for LaTeX.
    with matplotlib.style.context(["default", dict(_STYLE)]), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # a title in a script that the font lacks shows boxes
        figure = Figure(figsize=_SIZE_INCHES, dpi=_DPI, layout="constrained")
        FigureCanvasAgg(figure)
        yield figure


def _png(figure: Figure) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png", metadata={"Software": None})
    return file.getvalue()


def moving_average(values: NDArray[np.float64], *, share: float) -> NDArray[np.float64]:
    """Power-function exponential moving average, section 3.1 of Karras et al. 2023 (arXiv 2312.02696).

    It needs no bias correction: the first record replaces whatever the average began with.

    Args:
        values: shape (N,).
        share: how far the average reaches back, as a part of the records so far, in (0, 1]; 1/(gamma + 1) there.

    Returns:
        for each record the average of all up to it, weighted the more the later, shape (N,).
    """
    smooth = np.empty_like(values)
    average = 0.0
    for i, value in enumerate(values.tolist()):
        decay = (1 - 1 / (i + 1)) ** (1 / share)
        average = decay * average + (1 - decay) * value
        smooth[i] = average
    return smooth


def _draw_losses(axes: Axes, x: NDArray[np.float64], y: NDArray[np.float64]) -> None:
    if len(x) < _FEWEST_TO_SMOOTH:
        axes.plot(x, y, color=_SMOOTH, linewidth=1.6, marker="o", markersize=5, label="training loss", clip_on=False)
        return
    axes.plot(x, y, color=_RAW, linewidth=0.8, label="recorded")
    share = max(_AVERAGED_SHARE, _FEWEST_AVERAGED / len(x))
    label = f"exponential moving average (latest {share:.0%})"
    axes.plot(x, moving_average(y, share=share), color=_SMOOTH, linewidth=1.8, label=label)
    axes.legend(loc="upper right")


def _label_axes(axes: Axes, x: NDArray[np.float64], y: NDArray[np.float64], steps_per_epoch: int) -> None:
    last_step = max(float(x.max()), 1.0)
    axes.set_xlabel("optimizer step")
    axes.set_ylabel("training loss (MSE)")
    axes.set_xlim(0, last_step * 1.03)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=8, steps=_NICE, integer=True, min_n_ticks=1))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.grid(visible=True, which="major")

    low, high = float(y.min()), float(y.max())
    if low > 0 and high > 10 * low:
        _use_log_scale(axes, decades=math.log10(high / low))

    epochs = axes.secondary_xaxis(
        "top",
        functions=(lambda step: np.divide(step, steps_per_epoch), lambda epoch: np.multiply(epoch, steps_per_epoch)),
    )
    epochs.set_xlabel("epoch")
    shows_whole_epochs = last_step >= 2 * steps_per_epoch
    epochs.xaxis.set_major_locator(MaxNLocator(nbins=8, steps=_NICE, integer=shows_whole_epochs, min_n_ticks=1))


def _use_log_scale(axes: Axes, *, decades: float) -> None:
    """Ticks at 1, 2, 5 of each decade, as plain numbers; over many decades at powers of ten alone."""
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if decades <= 3 else (1,)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
