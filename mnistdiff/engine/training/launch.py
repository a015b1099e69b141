"""Start a command in several processes, by the launcher of PyTorch (torchrun).

Everything here but ``launch`` works without importing torch.
"""

import logging
import os
import signal
import sys
import tempfile
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from mnistdiff.errors import ProcessError, SettingsError

_SIGNALS = ("SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT")


class Place(NamedTuple):
    """The place of this process among those that train one model.

    Attributes:
        rank: its number, from 0.
        size: the number of processes.
        restarts: how often the launcher has started them again.
        local_rank: its number among those of this machine, from 0.
        local_size: the number of processes of this machine.
    """

    rank: int = 0
    size: int = 1
    restarts: int = 0
    local_rank: int = 0
    local_size: int = 1


def place_in_group(environment: Mapping[str, str] = os.environ) -> Place:
    """The place that a launcher such as torchrun gave this process; that of a process alone without one.

    Raises:
        SettingsError: if the variables are no numbers, or the number of processes is not a power of two.
    """
    names = ("RANK", "WORLD_SIZE", "TORCHELASTIC_RESTART_COUNT", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
    try:
        numbers = [int(environment.get(name) or default) for name, default in zip(names, Place(), strict=True)]
    except ValueError:
        values = ", ".join(f"{name} is {environment.get(name, '')[:20]!r}" for name in names)
        raise SettingsError(f"{values}: they should be numbers", "Unset them, or start with torchrun.") from None
    rank, size = numbers[:2]
    if size < 1 or size & (size - 1) or not 0 <= rank < size:
        raise SettingsError(
            f"rank {rank} of {size} processes: their number should be a power of two", "Start 1, 2, 4 or 8 of them."
        )
    return Place(*numbers)


def is_launched() -> bool:
    """Whether a launcher started this process, and ends it if another one fails."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def launch(processes: int, arguments: Sequence[str]) -> int:
    """Run ``mnistdiff`` with these arguments in several processes, and end all of them if one fails.

    A signal is passed on to all of them.

    Args:
        processes: how many.
        arguments: of the command line.

    Returns:
        the exit code: that of the process that failed first, or 128 and the signal that this process received.

    Raises:
        ProcessError: if a signal killed one of the processes.
    """
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    logging.disable()  # the processes report their own errors
    os.environ["OMP_NUM_THREADS"] = "1"
    if sys.platform == "linux":
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")  # the name of this machine may lead nowhere
    with tempfile.TemporaryDirectory(prefix="mnistdiff-") as logs:
        config = LaunchConfig(1, 1, processes, DefaultLogsSpecs(log_dir=logs), run_id=str(os.getpid()), max_restarts=0)
        config.rdzv_backend, config.rdzv_endpoint, config.local_addr = "c10d", "localhost:0", "localhost"
        config.monitor_interval = 0.1
        config.signals_to_handle = ",".join(name for name in _SIGNALS if _is_handled(name))
        try:
            elastic_launch(config, sys.executable)("-m", "mnistdiff", *arguments)
        except SignalException as stopped:
            return 128 + stopped.sigval
        except ChildFailedError as error:
            rank, failure = error.get_first_failure()
            if failure.exitcode >= 0:
                return failure.exitcode
            name = signal.Signals(-failure.exitcode).name
            raise ProcessError(
                f"process {rank} of {processes} was killed by {name}",
                "The last saved checkpoint is valid: resume from it.",
            ) from error
    return 0


def _is_handled(name: str) -> bool:
    """Whether a signal exists here and the parent process does not ignore it."""
    number = getattr(signal, name, None)
    return number is not None and signal.getsignal(number) != signal.SIG_IGN
