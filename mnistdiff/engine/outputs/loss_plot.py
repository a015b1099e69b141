"""Plots of the training loss over optimizer steps, alone or with the learning rate."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, StrMethodFormatter
from numpy.typing import NDArray

from mnistdiff.engine.outputs.figures import LIGHT, Palette, figure, png, svg, use_log_scale

_FEWEST_TO_SMOOTH = 10
"""Fewer records are plotted as dots, without an average."""
_AVERAGED_SHARE = 0.05
_FEWEST_AVERAGED = 4
"""The average reaches back over 5 % of the records, and over at least 4 at the end of a run."""
_TICK_STEPS = (1, 2, 5, 10)
"""Ticks at these times a power of ten."""


Points = Sequence[tuple[int, float]]
"""Steps and losses."""


def loss_curve(steps: Sequence[int], losses: Sequence[float], *, steps_per_epoch: int, held_out: Points = ()) -> bytes:
    """The training loss over optimizer steps, with epochs along the top. The same arguments give the same bytes.

    The bold line is a moving average whose span grows with the run: smooth where the loss is level, and close to
    the steep start. The loss is on a log scale if it spans more than a decade.

    Args:
        steps: of the records, in order, at least one, shape (N,).
        losses: their mean squared errors, finite, shape (N,).
        steps_per_epoch: optimizer steps that make an epoch.
        held_out: losses of held-out images.

    Returns:
        a PNG file of 1200x675 pixels.
    """
    x, y = np.asarray(steps, dtype=np.float64), np.asarray(losses, dtype=np.float64)
    with figure() as plot:
        axes = plot.add_subplot()
        _draw_losses(axes, x, y, LIGHT, held_out)
        _label_axes(axes, x, y, steps_per_epoch)
        return png(plot)


def training_curves(
    steps: Sequence[int],
    losses: Sequence[float],
    learning_rates: Sequence[float],
    *,
    steps_per_epoch: int,
    palette: Palette,
    held_out: Points = (),
) -> bytes:
    """The plot of ``loss_curve`` with the learning rates, shape (N,), below it: an SVG file."""
    x, y = np.asarray(steps, dtype=np.float64), np.asarray(losses, dtype=np.float64)
    with figure(palette, inches=(8.0, 5.5)) as plot:
        upper, lower = plot.subplots(2, 1, height_ratios=(3, 1), sharex=True)
        _draw_losses(upper, x, y, palette, held_out)
        _label_axes(upper, x, y, steps_per_epoch)
        upper.set_xlabel("")
        lower.plot(x, learning_rates, color=palette.second, linewidth=1.6)
        lower.set_ylim(bottom=0)
        lower.set_ylabel("learning rate")
        lower.set_xlabel("optimizer step")
        lower.grid(visible=True, which="major")
        return svg(plot)


def moving_average(values: NDArray[np.float64], *, share: float) -> NDArray[np.float64]:
    """Power-function exponential moving average, section 3.1 of Karras et al. 2023 (arXiv 2312.02696).

    It needs no bias correction: the first record replaces the initial value.

    Args:
        values: shape (N,).
        share: the span of the average as a share of the records so far, in (0, 1]; 1/(gamma + 1) in the paper.

    Returns:
        for each record the average of all up to it, with more weight on later ones, shape (N,).
    """
    smooth = np.empty_like(values)
    average = 0.0
    for i, value in enumerate(values.tolist()):
        decay = (1 - 1 / (i + 1)) ** (1 / share)
        average = decay * average + (1 - decay) * value
        smooth[i] = average
    return smooth


def _draw_losses(
    axes: Axes, x: NDArray[np.float64], y: NDArray[np.float64], palette: Palette, held_out: Points
) -> None:
    if held_out:
        steps, losses = zip(*held_out, strict=True)
        axes.plot(steps, losses, color=palette.second, linewidth=1.6, marker="o", markersize=4, label="held out")
    if len(x) < _FEWEST_TO_SMOOTH:
        axes.plot(
            x, y, color=palette.smooth, linewidth=1.6, marker="o", markersize=5, label="training loss", clip_on=False
        )
        if held_out:
            axes.legend(loc="upper right")
        return
    axes.plot(x, y, color=palette.raw, linewidth=0.8, label="recorded")
    share = max(_AVERAGED_SHARE, _FEWEST_AVERAGED / len(x))
    label = f"exponential moving average (latest {share:.0%})"
    axes.plot(x, moving_average(y, share=share), color=palette.smooth, linewidth=1.8, label=label)
    axes.legend(loc="upper right")


def _label_axes(axes: Axes, x: NDArray[np.float64], y: NDArray[np.float64], steps_per_epoch: int) -> None:
    last_step = max(float(x.max()), 1.0)
    axes.set_xlabel("optimizer step")
    axes.set_ylabel("training loss (MSE)")
    axes.set_xlim(0, last_step * 1.03)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=8, steps=_TICK_STEPS, integer=True, min_n_ticks=1))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.grid(visible=True, which="major")

    low, high = float(y.min()), float(y.max())
    if low > 0 and high > 10 * low:
        use_log_scale(axes, decades=math.log10(high / low))

    epochs = axes.secondary_xaxis(
        "top",
        functions=(lambda step: np.divide(step, steps_per_epoch), lambda epoch: np.multiply(epoch, steps_per_epoch)),
    )
    epochs.set_xlabel("epoch")
    shows_whole_epochs = last_step >= 2 * steps_per_epoch
    epochs.xaxis.set_major_locator(MaxNLocator(nbins=8, steps=_TICK_STEPS, integer=shows_whole_epochs, min_n_ticks=1))
