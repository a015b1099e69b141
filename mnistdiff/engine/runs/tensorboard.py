"""Record the events of a training for TensorBoard."""

import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mnistdiff.engine.data.image_files import Picture
from mnistdiff.engine.runs.events import EpochDone, Event, Logged, Saved, Started
from mnistdiff.engine.training.loop import TrainStep


def recorded(events: Iterable[Event]) -> Iterator[Event]:
    """Yield the events of a training, and record them in ``tensorboard/`` of its run folder.

    Scalars loss, lr, images_per_second, epoch_loss and held_out_loss over optimizer steps; previews as images. A
    resumed run writes a file of its own, which makes TensorBoard drop records after the step it was resumed from.

    Args:
        events: of ``pipeline.train`` or ``pipeline.resume``, from the first.
    """
    stream = iter(events)
    started = next(stream)
    assert isinstance(started, Started), "the first event of a training"
    yield started

    from torch.utils.tensorboard import SummaryWriter

    step, folder = started.step, started.run.tensorboard
    with _failing_with(folder), _in_utf_8(folder) as name, SummaryWriter(name, purge_step=step + 1) as writer:
        for event in stream:
            if isinstance(event, TrainStep):
                step = event.step
            elif isinstance(event, Logged):
                writer.add_scalar("loss", event.loss, event.step)
                writer.add_scalar("lr", event.lr, event.step)
                writer.add_scalar("images_per_second", event.images_per_second, event.step)
                if event.held_out is not None:
                    writer.add_scalar("held_out_loss", event.held_out.loss, event.step)
            elif isinstance(event, EpochDone):
                writer.add_scalar("epoch_loss", event.loss, event.step)
            elif isinstance(event, Saved) and event.samples:
                writer.add_image("previews", Picture.read(event.path).grey_levels(), step, dataformats="HW")
            yield event


@contextmanager
def _failing_with(folder: Path) -> Iterator[None]:
    """Let errors of the file system name the folder, and keep TensorBoard's thread from printing them as well."""
    usual = threading.excepthook

    def leave_to_the_training(arguments: threading.ExceptHookArgs) -> None:
        if not issubclass(arguments.exc_type, OSError):
            usual(arguments)

    threading.excepthook = leave_to_the_training
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(folder)
        raise
    finally:
        threading.excepthook = usual


@contextmanager
def _in_utf_8(folder: Path) -> Iterator[str]:
    """The name of a folder; for one that is not UTF-8, which TensorBoard refuses, a path below ``/proc``."""
    try:
        os.fspath(folder).encode()
    except UnicodeEncodeError:
        folder.mkdir(exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            yield f"/proc/self/fd/{descriptor}"
        finally:
            os.close(descriptor)
    else:
        yield str(folder)
