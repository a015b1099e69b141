"""Training in several processes: start them, and take part as one of them."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from mnistdiff.cli import console
from mnistdiff.cli.signals import StopRequest, leave_at_once_on_signals, stop_on_signals
from mnistdiff.engine.training.launch import launch, place_in_group
from mnistdiff.errors import DivergedError, ProcessError

if TYPE_CHECKING:
    from mnistdiff.machine_settings import MachineSettings

_SECONDS_TO_BE_ENDED = 5.0


def train_elsewhere(machine: "MachineSettings", count: Callable[[], int], *, quiet: bool) -> bool:
    """Train along if this is not the first process of a group, or start processes if several are to train.

    Args:
        machine: where to train.
        count: the number of processes to start; called where no launcher has started this one.
        quiet: print no notes.

    Returns:
        whether the command is done; False for the process that is to train itself.
    """
    place = place_in_group()
    if place.rank > 0:
        from mnistdiff.engine.training.follow import follow

        with training(says_so=False) as stop:
            follow(machine, stop=stop)
        return True
    processes = 1 if place.size > 1 else count()
    if processes == 1:
        return False
    console.note(f"starting {processes} processes ...", quiet=quiet)
    code = launch(processes, sys.argv[1:])
    if code:
        raise typer.Exit(code)
    return True


@contextmanager
def training(*, says_so: bool = True) -> Iterator[StopRequest]:
    """Stop a training by a signal, and leave it to the launcher to end this process if another one failed.

    Args:
        says_so: print that a signal arrived.

    Raises:
        typer.Exit: after a signal, with its exit code.
    """
    with stop_on_signals(says_so=says_so) as stop:
        try:
            yield stop
        except ProcessError:
            if "TORCHELASTIC_RUN_ID" in os.environ:
                leave_at_once_on_signals()
                time.sleep(0 if stop() else _SECONDS_TO_BE_ENDED)
            if stop():
                raise typer.Exit(stop.exit_code) from None
            raise
        except DivergedError as error:
            if says_so:
                raise
            from mnistdiff.cli.exit_codes import exit_code_of

            raise typer.Exit(exit_code_of(error)) from error  # the first process says the same
    if stop():
        raise typer.Exit(stop.exit_code)
