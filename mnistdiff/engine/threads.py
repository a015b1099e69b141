"""The number of threads and processes that compute on the CPU, and how OpenMP threads wait for each other."""

import importlib
import math
import os
import re
from collections.abc import Collection, Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from mnistdiff.engine.cgroup import cpu_quota

OMP_NUM_THREADS, OPENBLAS_NUM_THREADS = "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"
MAX_THREADS = 1024
"""Larger numbers are ignored: libraries abort the process if they cannot start as many threads."""

SPIN_COUNT = "3000"
"""For GNU's OpenMP, which PyTorch uses on Linux: how many times a waiting thread spins before it sleeps.

The default of 300,000 takes milliseconds. If other processes use the same cores, threads then spend their time slices
waiting for threads that are not running. Without spinning, threads sleep between the short parallel parts of a step,
and waking them costs a quarter of the speed (docs, training).
"""
BLOCK_TIME = "1"
"""For LLVM's and Intel's OpenMP, which PyTorch uses on macOS and Windows: milliseconds of waiting, instead of 200.

The shortest time that is not zero. Its effect was not measured.
"""
_WAITING = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME", "KMP_LIBRARY")

_SPACE, _NUMBER, _YES_OR_NO = r"\s*", r"\s*\+?0*[1-9][0-9]{0,8}\s*", r"\s*(?i:true|false)\s*"
_ANY_NUMBER, _SIZE = r"\s*\+?[0-9]{1,9}\s*", r"\s*\+?[0-9]{1,15}\s*[bBkKmMgGtT]?\s*"
_VALID = MappingProxyType(
    {
        OMP_NUM_THREADS: f"{_NUMBER}(,{_NUMBER})*",
        "MKL_NUM_THREADS": _NUMBER,
        OPENBLAS_NUM_THREADS: _NUMBER,
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
"""The values that the libraries accept for each variable; for others they print warnings to stderr."""


@dataclass(frozen=True)
class ThreadLimit:
    """The number of threads that compute.

    Attributes:
        number: of threads.
        reason: what limits it.
        by_quota: whether that is a CPU quota.
    """

    number: int
    reason: str
    by_quota: bool = False


def thread_limit(environment: Mapping[str, str] = os.environ, root: Path = Path("/")) -> ThreadLimit:
    """The number of threads: ``OMP_NUM_THREADS``, or the processors that this process may use, within its CPU quota.

    Args:
        environment: variables of the environment.
        root: of the file system, to read control groups from.
    """
    requested, quota = _requested(environment), cpu_quota(root)
    usable = len(_usable_processors())
    allowed = math.ceil(min(quota.cpus, usable)) if quota is not None else usable
    if quota is not None and requested in (None, allowed) and allowed < usable:
        return ThreadLimit(allowed, f"CPU quota of {quota.cpus:.3g} in {quota.file}", by_quota=True)
    if requested is not None:
        return ThreadLimit(requested, OMP_NUM_THREADS)
    return ThreadLimit(usable, f"{usable} usable processor{'s' if usable != 1 else ''}")


def usable_cores(environment: Mapping[str, str] = os.environ, root: Path = Path("/")) -> int:
    """The number of physical cores that this process may use: at most as many as ``thread_limit``.

    Processors that share a core (hyper-threads) count once. Where the system does not say which do, all count.

    Args:
        environment: variables of the environment.
        root: of the file system, to read control groups and the topology from.
    """
    cores = {_siblings(processor, root) for processor in _usable_processors()}
    return min(len(cores), thread_limit(environment, root).number)


def _usable_processors() -> Collection[int]:
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)


def _siblings(processor: int, root: Path) -> str:
    """The processors that share a core with this one, as Linux lists them; itself if the list cannot be read."""
    try:
        file = root / f"sys/devices/system/cpu/cpu{processor}/topology/thread_siblings_list"
        return file.read_text(encoding="ascii").strip() or str(processor)
    except (OSError, ValueError):
        return str(processor)


def prepare_threads(environment: MutableMapping[str, str] = os.environ, root: Path = Path("/")) -> None:
    """Set the number of threads and how they wait, for every library; call this before one of them is imported.

    Variables that the user set are kept, but for values that the libraries would warn about.

    Args:
        environment: variables of the environment, changed in place.
        root: of the file system, to read control groups from.
    """
    for name, pattern in _VALID.items():
        if name in environment and not re.fullmatch(pattern, environment[name], re.ASCII):
            del environment[name]
    if OMP_NUM_THREADS in environment and _requested(environment) is None:
        del environment[OMP_NUM_THREADS]
    limit = thread_limit(environment, root)
    if limit.by_quota:
        environment[OMP_NUM_THREADS] = str(limit.number)
    if not any(name in environment for name in _WAITING):
        environment.update(GOMP_SPINCOUNT=SPIN_COUNT, KMP_BLOCKTIME=BLOCK_TIME)


def import_numpy(environment: MutableMapping[str, str] = os.environ) -> None:
    """Import NumPy with a BLAS of one thread, unless the user asks for more: sampling multiplies no large matrices.

    To start a thread for each core takes as long as the rest of the import, 50 ms. Other libraries are not affected.

    Args:
        environment: variables of the environment, restored after the import.
    """
    is_unset = OPENBLAS_NUM_THREADS not in environment
    environment.setdefault(OPENBLAS_NUM_THREADS, "1")
    try:
        importlib.import_module("numpy")
    finally:
        if is_unset:
            del environment[OPENBLAS_NUM_THREADS]


def _requested(environment: Mapping[str, str]) -> int | None:
    """``OMP_NUM_THREADS``, or its first entry, which is for the outermost threads; None if not set or not usable."""
    first = environment.get(OMP_NUM_THREADS, "").partition(",")[0]
    number = int(first) if re.fullmatch(_NUMBER, first, re.ASCII) else 0
    return number if 0 < number <= MAX_THREADS else None
