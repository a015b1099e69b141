"""What a person sees of long work: a live bar on a terminal, plain lines in a log, nothing when quiet."""

import math
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, assert_never

from mnistdiff.cli import console
from mnistdiff.shell import quoted

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from rich.progress import Progress

    from mnistdiff.engine.runs.events import Event, Finished, Started
    from mnistdiff.settings import LogName

_LINE_INTERVAL_SECONDS = 10.0
_FORECAST_AFTER_STEPS = 20
_BARS = "▁▂▃▄▅▆▇█"
_SPARKS = 12


def duration(seconds: float) -> str:
    """A time for people: ``45 s``, ``12 min``, ``3 h 20 min``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"


def sparkline(values: Sequence[float]) -> str:
    """Numbers as a line of bars, each as high as it lies between the least and the greatest."""
    if not values:
        return ""
    low, high = min(values), max(values)
    span = high - low or 1.0
    return "".join(_BARS[round((value - low) / span * (len(_BARS) - 1))] for value in values)


class Meter:
    """Counts work done on a bar or in lines.

    Args:
        total: units of work in all.
        done: units done before.
        quiet: show nothing.
        label: what the line starts with.
    """

    def __init__(self, *, label: str, total: int = 0, done: int = 0, quiet: bool = False) -> None:
        self._label, self._total, self._first, self._done = label, total, done, done
        self._began = self._said = time.monotonic()
        self._images = 0
        self._quiet = quiet
        self._bar = _bar() if not quiet and console.stderr_is_terminal() else None
        if self._bar is not None:
            self._task = self._bar.add_task(label, total=total, completed=done, status="", left="")
            self._bar.start()

    @property
    def seconds_left(self) -> float:
        """At the speed so far."""
        rate = (self._done - self._first) / max(time.monotonic() - self._began, 1e-9)
        return (self._total - self._done) / rate if rate else float("inf")

    def advance(self, done: int, status: str = "", *, images: int = 0, total: int | None = None) -> None:
        """Work stands at ``done``; ``status`` says more about it; ``images`` came with it; ``total`` if it changes."""
        self._done, self._total = done, total or self._total
        self._images += images
        if self._images:
            status += f"  {self._images / (time.monotonic() - self._began):.0f} images/s"
        left = f"{duration(self.seconds_left)} left"
        if self._bar is not None:
            self._bar.update(self._task, completed=done, total=self._total, status=status, left=left)
        elif time.monotonic() - self._said > _LINE_INTERVAL_SECONDS:
            self._said = time.monotonic()
            self.say(f"{self._label} {done}/{self._total}  {status.strip()}  {left}")

    def say(self, message: str) -> None:
        """A line that stays, above the bar."""
        if self._bar is not None:
            self._bar.console.print(console.printable(message), markup=False)
        else:
            console.note(message, quiet=self._quiet)

    def result(self, line: str) -> None:
        """A line of result; above the bar where both are on one terminal, which would otherwise tear it."""
        if self._bar is not None and console.stdout_is_terminal():
            self._bar.console.print(console.printable(line), markup=False)
        else:
            console.result(line)

    @property
    def is_live(self) -> bool:
        """Whether somebody watches a bar."""
        return self._bar is not None

    def curve(self, values: Sequence[float]) -> str:
        """A line of small bars, where somebody watches and the terminal has the letters for it."""
        shown = self._bar is not None and not self._bar.console.options.ascii_only and len(values) > 1
        return f"{sparkline(values)}  " if shown else ""

    def digits(self, images: "Sequence[NDArray[np.uint8]]", *, small: bool = False) -> None:
        """Draw digits in the terminal, above the bar."""
        from mnistdiff.cli.digits import show_digits

        show_digits(images, self._bar.console if self._bar is not None else console.talk(), small=small)

    def close(self) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.stop()


def _bar() -> "Progress | None":
    """A live bar on stderr, or None on a terminal that cannot go back in a line."""
    talk = console.talk()
    if talk.is_dumb_terminal:
        return None
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TextColumn("{task.fields[status]}"),
        TextColumn("{task.fields[left]}"),
        console=talk,
        transient=True,
        redirect_stdout=False,
    )


@contextmanager
def meter(*, label: str, total: int = 0, done: int = 0, quiet: bool = False) -> Iterator[Meter]:
    """A meter that is closed whatever happens."""
    shown = Meter(label=label, total=total, done=done, quiet=quiet)
    try:
        yield shown
    finally:
        shown.close()


def show_training(events: "Iterable[Event]", *, log: "LogName" = "none", quiet: bool) -> "Finished":
    """Show a training as it happens.

    Args:
        events: of ``pipeline.train`` or ``pipeline.resume``.
        log: where else to record it.
        quiet: show warnings only.

    Raises:
        SettingsError: if it cannot be recorded there; nothing has been trained then.

    Returns:
        the last event.
    """
    from mnistdiff.engine.runs.events import EpochDone, Finished, Logged, Saved, Started
    from mnistdiff.engine.training.loop import TrainStep

    match log:
        case "none":
            pass
        case "tensorboard":
            from mnistdiff.engine.runs.tensorboard import recorded, require_tensorboard

            require_tensorboard()
            events = recorded(events)
        case _:
            assert_never(log)
    stream = iter(events)
    started = next(stream)
    assert isinstance(started, Started), "a training starts by saying so"
    _introduce(started, quiet)
    epochs = -(-started.total_steps // started.steps_per_epoch)
    finished: Finished | None = None
    losses: deque[float] = deque(maxlen=_SPARKS)
    with meter(label="step", total=started.total_steps, done=started.step, quiet=quiet) as shown:
        for event in stream:
            if isinstance(event, TrainStep):
                status = f"{shown.curve(losses)}loss {event.recent_loss:.4f}  lr {event.lr:.1e}"
                shown.advance(event.step, status, images=event.batch_size)
                if event.step == started.step + _FORECAST_AFTER_STEPS:
                    shown.say(_forecast(started, shown.seconds_left))
            elif isinstance(event, EpochDone):
                shown.say(f"epoch {event.epoch}/{epochs}: loss {event.loss:.4f}")
            elif isinstance(event, Logged):
                losses.append(event.loss)
            elif isinstance(event, Saved):
                if shown.is_live and event.drawings:
                    shown.digits([drawing.pixels for drawing in event.drawings], small=True)
                shown.say(f"saved {event.path} ({console.size(event.path.stat().st_size)})")
            elif isinstance(event, Finished):
                finished = event
    assert finished is not None, "a training ends by saying so"
    return finished


def _introduce(started: "Started", quiet: bool) -> None:
    for notice in started.notices:
        console.warn(notice)
    where = f"{started.device}, {started.parameters:,} parameters, {started.num_images:,} images"
    if started.step >= started.total_steps:
        console.note(f"{started.run.path} is complete; --epochs N goes on beyond step {started.step}", quiet=quiet)
    elif started.step:
        console.note(
            f"resuming {started.run.path} at step {started.step} of {started.total_steps} ({where})", quiet=quiet
        )
    else:
        console.note(f"training {started.run.path}: {started.total_steps} steps ({where})", quiet=quiet)


def _forecast(started: "Started", seconds_left: float) -> str:
    end = f"{started.settings.epochs} epochs" if started.settings.max_steps is None else f"{started.total_steps} steps"
    return f"{end} will take about {duration(seconds_left)} here; Ctrl-C saves and stops, resume goes on"


def conclude(finished: "Finished", *, as_json: bool, quiet: bool) -> None:
    """The result of a training: the file to draw from on stdout, and what to do next on stderr."""
    run = finished.run
    if as_json:
        loss = None if math.isnan(finished.loss) else finished.loss
        console.result_json(
            {
                "run": str(run.path),
                "checkpoint": str(run.best()),
                "complete": finished.complete,
                "step": finished.step,
                "total_steps": finished.total_steps,
                "epoch": finished.epoch,
                "loss": loss,
                "notices": list(finished.notices),
            }
        )
        return
    console.result(str(run.best()))
    for notice in finished.notices:
        console.warn(notice)
    state = "done" if finished.complete else "stopped, and saved"
    console.note(f"{state} at step {finished.step} of {finished.total_steps}, loss {finished.loss:.4f}", quiet=quiet)
    path = quoted(run.path)
    if not finished.complete:
        console.note(f"go on:  mnistdiff resume {path}", quiet=quiet)
    console.note(f"draw:   mnistdiff sample --digit 7 --n 16 --checkpoint {path}", quiet=quiet)
    console.note(f"sheet:  mnistdiff grid {path} -o grid.png", quiet=quiet)
