"""How many threads compute on the CPU, and how those of OpenMP wait for each other."""

import math
import os
import re
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from mnistdiff.engine.cgroup import cpu_quota

OMP_NUM_THREADS = "OMP_NUM_THREADS"
MAX_THREADS = 1024
"""More than this is a slip of the user's: libraries end the process if they cannot start as many threads."""

SPIN_COUNT = "3000"
"""For GNU's OpenMP, which PyTorch brings on Linux: how often a waiting thread looks again before it sleeps.

The default of 300,000 lasts milliseconds. Where other processes want the same cores, threads then spend their time
slices on waiting for threads that are not running. Without any spin, threads sleep between the short parallel parts of
a step, and waking them costs a quarter of the speed (README, Measured).
"""
BLOCK_TIME = "1"
"""For LLVM's and Intel's OpenMP, which PyTorch brings on macOS and Windows: milliseconds of waiting, instead of 200.

The shortest that still waits. Its effect was not measured.
"""
_WAITING = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME", "KMP_LIBRARY")

_SPACE, _NUMBER, _YES_OR_NO = r"\s*", r"\s*\+?0*[1-9][0-9]{0,8}\s*", r"\s*(?i:true|false)\s*"
_ANY_NUMBER, _SIZE = r"\s*\+?[0-9]{1,9}\s*", r"\s*\+?[0-9]{1,15}\s*[bBkKmMgGtT]?\s*"
_VALID = MappingProxyType(
    {
        OMP_NUM_THREADS: f"{_NUMBER}(,{_NUMBER})*",
        "MKL_NUM_THREADS": _NUMBER,
        "OPENBLAS_NUM_THREADS": _NUMBER,
        "OMP_THREAD_LIMIT": _NUMBER,
        "OMP_MAX_ACTIVE_LEVELS": _ANY_NUMBER,
        "OMP_MAX_TASK_PRIORITY": _ANY_NUMBER,
        "OMP_DEFAULT_DEVICE": _ANY_NUMBER,
        "OMP_DYNAMIC": _YES_OR_NO,
        "OMP_NESTED": _YES_OR_NO,
        "OMP_CANCELLATION": _YES_OR_NO,
        "OMP_DISPLAY_AFFINITY": _YES_OR_NO,
        "OMP_DISPLAY_ENV": rf"{_YES_OR_NO}|{_SPACE}(?i:verbose){_SPACE}",
        "OMP_WAIT_POLICY": rf"{_SPACE}(?i:active|passive){_SPACE}",
        "GOMP_SPINCOUNT": rf"{_SPACE}(?i:infinite|infinity){_SPACE}|{_SIZE}",
        "OMP_STACKSIZE": _SIZE,
        "GOMP_STACKSIZE": _SIZE,
        "OMP_SCHEDULE": rf"{_SPACE}(?i:((non)?monotonic\s*:\s*)?(static|dynamic|guided|auto))\s*(,{_NUMBER})?{_SPACE}",
        "OMP_PROC_BIND": r"\s*(?i:true|false|((master|primary|close|spread)\s*,?\s*)+)\s*",
        "OMP_PLACES": r"\s*(?i:threads|cores|sockets|ll_caches|numa_domains)\s*(\([0-9\s]+\))?\s*|[\s{}0-9:,!+-]+",
        "GOMP_CPU_AFFINITY": r"[\s0-9:,-]+",
    }
)
"""What the libraries understand of each variable; about anything else they write lines of their own to stderr."""


@dataclass(frozen=True)
class ThreadLimit:
    """How many threads compute.

    Attributes:
        number: of threads.
        reason: what keeps them from being more.
        by_quota: whether that is a quota.
    """

    number: int
    reason: str
    by_quota: bool = False


def thread_limit(environment: Mapping[str, str] = os.environ, root: Path = Path("/")) -> ThreadLimit:
    """The number of threads: ``OMP_NUM_THREADS``, or every processor that this process may use, within its quota.

    Args:
        environment: in which ``OMP_NUM_THREADS`` is looked up.
        root: of the file system, where control groups are looked up.
    """
    asked, quota = _asked(environment), cpu_quota(root)
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    allowed = math.ceil(min(quota.cpus, usable)) if quota is not None else usable
    if quota is not None and asked in (None, allowed) and allowed < usable:
        return ThreadLimit(allowed, f"CPU quota of {quota.cpus:.3g} in {quota.file}", by_quota=True)
    if asked is not None:
        return ThreadLimit(asked, OMP_NUM_THREADS)
    return ThreadLimit(usable, f"{usable} usable processor{'s' if usable != 1 else ''}")


def prepare_threads(environment: MutableMapping[str, str] = os.environ, root: Path = Path("/")) -> None:
    """Set the number of threads and how they wait, for every library; to be called before one of them is imported.

    What the user set stays, if the libraries understand it: otherwise they would write about it to stderr.

    Args:
        environment: to be changed.
        root: of the file system, where control groups are looked up.
    """
    for name, pattern in _VALID.items():
        if name in environment and not re.fullmatch(pattern, environment[name], re.ASCII):
            del environment[name]
    if OMP_NUM_THREADS in environment and _asked(environment) is None:
        del environment[OMP_NUM_THREADS]
    limit = thread_limit(environment, root)
    if limit.by_quota:
        environment[OMP_NUM_THREADS] = str(limit.number)
    if not any(name in environment for name in _WAITING):
        environment.update(GOMP_SPINCOUNT=SPIN_COUNT, KMP_BLOCKTIME=BLOCK_TIME)


def _asked(environment: Mapping[str, str]) -> int | None:
    """The number of threads that the user set; the first of a list is for threads that are not nested."""
    first = environment.get(OMP_NUM_THREADS, "").partition(",")[0]
    number = int(first) if re.fullmatch(_NUMBER, first, re.ASCII) else 0
    return number if 0 < number <= MAX_THREADS else None
