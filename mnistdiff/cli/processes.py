"""Training in several processes: start them, and take part as one of them."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from mnistdiff.cli import console
from mnistdiff.cli.progress import meter
from mnistdiff.cli.signals import StopRequest, leave_at_once_on_signals, stop_on_signals
from mnistdiff.engine.training.launch import is_launched, launch, place_in_group
from mnistdiff.errors import MnistDiffError, ProcessError
from mnistdiff.setting_types import PICTURES

if TYPE_CHECKING:
    from mnistdiff.machine_settings import MachineSettings
    from mnistdiff.presets import Resolved

_SECONDS_FOR_OTHERS = 8.0
_SECONDS_FOR_THE_FIRST = 3.0
"""Until the launcher has ended this process because another one, or the first, has failed."""


def train_elsewhere(
    machine: "MachineSettings",
    count: Callable[[], int],
    *,
    quiet: bool,
    prepare: Callable[[], object] = lambda: None,
) -> bool:
    """Train along if this is not the first process of a group, or start processes if several are to train.

    Args:
        machine: where to train.
        count: the number of processes to start; called where no launcher has started this one.
        quiet: print no notes.
        prepare: called before this process trains along, for what the first one does before it waits for the others.

    Returns:
        whether the command is done; False for the process that is to train itself.
    """
    place = place_in_group()
    if place.rank > 0:
        with training(is_first=False) as stop:
            from mnistdiff.engine.training.follow import follow

            prepare()
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


def read_pictures(resolved: "Resolved", *, quiet: bool) -> "Resolved":
    """Read the pictures that the settings name, with a progress bar.

    Raises:
        DataError, SettingsError, OSError: as ``with_pictures``.
    """
    if resolved.train.dataset != PICTURES:
        return resolved
    from mnistdiff.read_pictures import with_pictures

    with meter(counts_images=False, quiet=quiet or place_in_group().rank > 0) as shown:
        return shown.follow(with_pictures(resolved))


def processes_of(resolved: "Resolved") -> int:
    """The number of processes to start for a new run."""
    from mnistdiff.engine.libraries import require

    require("matplotlib", "torch")
    from mnistdiff.engine.training.choose import processes_to_start

    return processes_to_start(resolved.train, resolved.machine)


@contextmanager
def training(*, is_first: bool = True) -> Iterator[StopRequest]:
    """Stop a training by a signal, and leave it to the launcher to end this process if another one failed.

    Args:
        is_first: whether this is the process that reports.

    Raises:
        typer.Exit: after a signal, with its exit code.
    """
    with stop_on_signals(says_so=is_first, launcher=os.getppid() if is_launched() else None) as stop:
        try:
            yield stop
        except MnistDiffError as error:
            is_of_others = isinstance(error, ProcessError)
            if is_launched() and (is_of_others or not is_first):
                # The process at fault reports; of several with the same fault, the first.
                leave_at_once_on_signals()
                give_up = time.monotonic() + (_SECONDS_FOR_OTHERS if is_of_others else _SECONDS_FOR_THE_FIRST)
                while not stop() and time.monotonic() < give_up:
                    time.sleep(0.1)
            if is_of_others and stop():
                os._exit(stop.exit_code)  # a thread may still wait for the others, which Python cannot end
            raise
    if stop():
        raise typer.Exit(stop.exit_code)
