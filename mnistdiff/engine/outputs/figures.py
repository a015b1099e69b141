"""Figures in one style, on a light or a dark background, as PNG or SVG."""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import matplotlib
import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

_DPI = 150


@dataclass(frozen=True)
class Palette:
    """The colours of a figure: background and foreground, grid, recorded values, their average, a second curve."""

    background: str
    foreground: str
    grid: str
    raw: str
    smooth: str
    second: str


LIGHT = Palette(
    background="white", foreground="#333333", grid="#e6e6e6", raw="#a9c4e4", smooth="#1b4f8f", second="#c2571a"
)
DARK = Palette(
    background="none", foreground="#c9d1d9", grid="#30363d", raw="#34557f", smooth="#79b8ff", second="#f0883e"
)


@contextmanager
def figure(palette: Palette = LIGHT, *, inches: tuple[float, float] = (8.0, 4.5)) -> Iterator[Figure]:
    """An empty figure in this style, to draw in."""
    style = {
        "font.size": 10.5,
        "text.color": palette.foreground,
        "axes.edgecolor": palette.foreground,
        "axes.labelcolor": palette.foreground,
        "axes.facecolor": palette.background,
        "figure.facecolor": palette.background,
        "savefig.facecolor": palette.background,
        "xtick.color": palette.foreground,
        "ytick.color": palette.foreground,
        "axes.linewidth": 0.8,
        "axes.axisbelow": True,
        "axes.spines.right": False,
        "grid.color": palette.grid,
        "grid.linewidth": 0.8,
        "legend.edgecolor": "none",
        "legend.facecolor": palette.background,
        "figure.constrained_layout.h_pad": 0.12,
        "figure.constrained_layout.w_pad": 0.12,
        "agg.path.chunksize": 10_000,  # else Agg cannot draw the line of a very long run
        "svg.hashsalt": "mnistdiff",  # else the names of elements are random
    }
    # Not pyplot, which keeps figures in a global; and not the user's matplotlibrc, which may require LaTeX.
    with matplotlib.style.context(["default", style]), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # characters that the font lacks are drawn as boxes
        plot = Figure(figsize=inches, dpi=_DPI, layout="constrained")
        FigureCanvasAgg(plot)
        yield plot


def png(plot: Figure) -> bytes:
    """The figure as a PNG file, the same bytes for the same figure."""
    file = io.BytesIO()
    plot.savefig(file, format="png", metadata={"Software": None})
    return file.getvalue()


def svg(plot: Figure) -> bytes:
    """The figure as an SVG file, the same bytes for the same figure."""
    file = io.BytesIO()
    plot.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    return file.getvalue()


def use_log_scale(axes: Axes, *, decades: float) -> None:
    """Ticks at 1, 2, 5 of each decade, as plain numbers; over many decades at powers of ten alone."""
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if decades <= 3 else (1,)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
