"""Progress of long work: a live bar on a terminal, a line every 10 s in a log, nothing when quiet."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from mnistdiff.cli import console
from mnistdiff.engine.progress import Progress, Work, finish

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from rich import progress as bars

T = TypeVar("T")
R = TypeVar("R")

_LINE_INTERVAL_SECONDS = 10.0
_BARS = "▁▂▃▄▅▆▇█"


def duration(seconds: float) -> str:
    """A duration to read: ``45 s``, ``12 min``, ``3 h 20 min``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"


def sparkline(values: Sequence[float]) -> str:
    """A line of bars, scaled from the least to the greatest of the values."""
    if not values:
        return ""
    low, high = min(values), max(values)
    span = high - low or 1.0
    return "".join(_BARS[round((value - low) / span * (len(_BARS) - 1))] for value in values)


class Meter:
    """A count of work done, on a bar or in lines.

    Args:
        label: what is being done, until the stage of the work says so.
        total: units of work in all.
        done: units done before.
        counts_images: show the results of the followed work as a rate of images/s.
        quiet: show nothing.
    """

    def __init__(
        self, *, label: str = "", total: int = 0, done: int = 0, counts_images: bool = True, quiet: bool = False
    ) -> None:
        self._counts_images = counts_images
        self._quiet = quiet
        self._bar = _bar() if not quiet and console.stderr_is_terminal() else None
        if self._bar is not None:
            self._task = self._bar.add_task(label, total=total, status="", left="")
            self._bar.start()
        self._begin(label, total, done)

    def _begin(self, label: str, total: int, done: int = 0) -> None:
        """Start to count a stage of the work."""
        self._label, self._total, self._first, self._done = label, total, done, done
        self._began = self._said = time.monotonic()
        self._images = 0
        if self._bar is not None:
            self._bar.reset(self._task, description=label, total=total, completed=done, status="", left="")

    def follow(self, work: Work[T, R], on_results: Callable[[Sequence[T]], object] | None = None) -> R:
        """Run ``work`` to its end and show how far it is.

        Args:
            work: what to run.
            on_results: called with what a step of the work completed, if it completed anything.

        Returns:
            the result of the work.
        """

        def take(progress: Progress[T]) -> None:
            """Show the progress, and pass on what it completed."""
            self.show(progress)
            if progress.results and on_results is not None:
                on_results(progress.results)

        return finish(work, take)

    def show(self, progress: Progress[object]) -> None:
        """Show a step of work."""
        if progress.stage != self._label:
            self._begin(progress.stage, progress.total)
        self.advance(progress.done, images=len(progress.results) if self._counts_images else 0, total=progress.total)

    @property
    def seconds_left(self) -> float:
        """The time for the rest of this stage at its speed so far."""
        rate = (self._done - self._first) / max(time.monotonic() - self._began, 1e-9)
        return (self._total - self._done) / rate if rate else float("inf")

    def advance(self, done: int, status: str = "", *, images: int = 0, total: int | None = None) -> None:
        """Show that ``done`` units are done.

        Args:
            done: units of this stage done.
            status: what else to show.
            images: completed since the last call.
            total: units in all, if that has changed.
        """
        self._done, self._total = done, total or self._total
        self._images += images
        if self._images:
            status += f"  {self._images / max(time.monotonic() - self._began, 1e-9):.0f} images/s"
        left = f"{duration(self.seconds_left)} left" if done > self._first else ""
        if self._bar is not None:
            self._bar.update(self._task, completed=done, total=self._total, status=status, left=left)
        elif time.monotonic() - self._said > _LINE_INTERVAL_SECONDS:
            self._said = time.monotonic()
            self.say(f"{self._label} {done}/{self._total}  {status.strip()}  {left}")

    def say(self, message: str) -> None:
        """Print a line of information, above the bar."""
        if self._bar is not None:
            self._bar.console.print(console.printable(message), markup=False)
        else:
            console.note(message, quiet=self._quiet)

    def result(self, line: str) -> None:
        """Print a line of result on stdout: above the bar if both are on one terminal."""
        if self._bar is not None and console.stdout_is_terminal():
            self._bar.console.print(console.printable(line), markup=False)
        else:
            console.result(line)

    @property
    def is_live(self) -> bool:
        """Whether a bar is shown."""
        return self._bar is not None

    def curve(self, values: Sequence[float]) -> str:
        """A sparkline, if a bar is shown and the terminal's encoding has the characters."""
        shown = self._bar is not None and not self._bar.console.options.ascii_only and len(values) > 1
        return f"{sparkline(values)}  " if shown else ""

    def digits(self, images: "Sequence[NDArray[np.uint8]]", *, small: bool = False) -> None:
        """Print images, shape (H, W), in the terminal, above the bar."""
        from mnistdiff.cli.terminal_images import show_digits

        show_digits(images, self._bar.console if self._bar is not None else console.talk(), small=small)

    def close(self) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.stop()


def _bar() -> "bars.Progress | None":
    """A live bar on stderr, or None on a terminal without cursor control."""
    talk = console.talk()
    if talk.is_dumb_terminal:
        return None
    from rich import progress as bars

    return bars.Progress(
        bars.TextColumn("{task.description}"),
        bars.BarColumn(bar_width=None),
        bars.MofNCompleteColumn(),
        bars.TextColumn("{task.fields[status]}"),
        bars.TextColumn("{task.fields[left]}"),
        console=talk,
        transient=True,
        redirect_stdout=False,
    )


@contextmanager
def meter(
    *, label: str = "", total: int = 0, done: int = 0, counts_images: bool = True, quiet: bool = False
) -> Iterator[Meter]:
    """A meter that is closed whatever happens; arguments as for ``Meter``."""
    shown = Meter(label=label, total=total, done=done, counts_images=counts_images, quiet=quiet)
    try:
        yield shown
    finally:
        shown.close()
