"""Progress of a training run, and its result."""

import math
from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING

from mnistdiff.cli import console
from mnistdiff.cli.progress import duration, meter
from mnistdiff.cli.registry import flags_of, with_flags
from mnistdiff.shell import class_option, quoted

if TYPE_CHECKING:
    from mnistdiff.engine.runs.events import Event, Finished, Started

_FORECAST_AFTER_STEPS = 20
_SPARKS = 12


def show_training(events: "Iterable[Event]", *, quiet: bool) -> "Finished":
    """Run a training and show its progress.

    Args:
        events: of the training.
        quiet: show warnings only.

    Returns:
        the last event.
    """
    from mnistdiff.engine.runs.events import EpochDone, Finished, Logged, Saved, Started
    from mnistdiff.engine.training.loop import TrainStep

    stream = iter(events)
    started = next(stream)
    assert isinstance(started, Started)
    _introduce(started, quiet)
    epochs = -(-started.total_steps // started.steps_per_epoch)
    finished: Finished | None = None
    held_out = warned = ""
    losses: deque[float] = deque(maxlen=_SPARKS)
    with meter(label="step", total=started.total_steps, done=started.step, quiet=quiet) as shown:
        for event in stream:
            if isinstance(event, TrainStep):
                status = f"{shown.curve(losses)}loss {event.recent_loss:.4f}{held_out}  lr {event.lr:.1e}"
                shown.advance(event.step, status, images=event.batch_size)
                if event.step == started.step + _FORECAST_AFTER_STEPS:
                    shown.say(_forecast(started, shown.seconds_left))
            elif isinstance(event, EpochDone):
                shown.say(f"epoch {event.epoch}/{epochs}: loss {event.loss:.4f}")
            elif isinstance(event, Logged):
                losses.append(event.loss)
                if event.held_out is not None:
                    held_out = f"  held out {event.held_out.loss:.4f}"
                    if not warned and (warned := event.held_out.notice(started.total_steps)):
                        console.warn(with_flags(warned, flags_of("train")))
            elif isinstance(event, Saved):
                if shown.is_live and event.samples:
                    shown.digits([sample.pixels for sample in event.samples], small=True)
                shown.say(f"saved {event.path} ({console.size(event.path.stat().st_size)})")
            elif isinstance(event, Finished):
                finished = event
    assert finished is not None
    return finished


def _introduce(started: "Started", quiet: bool) -> None:
    flags = flags_of("train")
    for notice in started.notices:
        console.warn(with_flags(notice, flags))
    facts = [started.device, f"{started.parameters:,} parameters", f"{started.num_images:,} images", started.execution]
    where = ", ".join(filter(None, facts))
    if started.step >= started.total_steps:
        console.note(f"{started.run.path} is complete at step {started.step}; --epochs N trains further", quiet=quiet)
    elif started.step:
        console.note(
            f"resuming {started.run.path} at step {started.step} of {started.total_steps} ({where})", quiet=quiet
        )
    else:
        console.note(f"training {started.run.path}: {started.total_steps} steps ({where})", quiet=quiet)


def _forecast(started: "Started", seconds_left: float) -> str:
    end = f"{started.settings.epochs} epochs" if started.settings.max_steps is None else f"{started.total_steps} steps"
    return f"{end} will take about {duration(seconds_left)} here; Ctrl-C saves and stops, mnistdiff resume continues"


def conclude(finished: "Finished", *, as_json: bool, quiet: bool) -> None:
    """Print the result of a training: its checkpoint on stdout, the next commands on stderr."""
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
                "held_out": None if finished.held_out is None else finished.held_out.model_dump(),
                "notices": list(finished.notices),
            }
        )
        return
    console.result(str(run.best()))
    state = "done" if finished.complete else "stopped, and saved"
    held_out = finished.held_out
    losses = f"loss {finished.loss:.4f}{f', held out {held_out.loss:.4f}' if held_out else ''}"
    console.note(f"{state} at step {finished.step} of {finished.total_steps}, {losses}", quiet=quiet)
    if held_out and (notice := held_out.notice(finished.total_steps)):
        console.warn(with_flags(notice, flags_of("train")))
    path = quoted(run.path)
    if not finished.complete:
        console.note(f"resume: mnistdiff resume {path}", quiet=quiet)
    console.note(
        f"sample: mnistdiff sample {class_option(finished.settings.spec)} --n 16 --checkpoint {path}", quiet=quiet
    )
    console.note(f"grid:   mnistdiff grid {path} -o grid.png", quiet=quiet)
    if finished.settings.distillation is None:
        console.note(f"faster: mnistdiff distill {path}", quiet=quiet)
