"""The CPU quota of this process by Linux control groups, as containers and batch systems set it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

_MAX_BYTES = 1_000_000


@dataclass(frozen=True)
class Quota:
    """A CPU quota: CPU time per wall time (``cpus`` processors), and the file that sets it."""

    cpus: float
    file: Path


_Mount = tuple[PurePosixPath, PurePosixPath]
"""The mount of a control group hierarchy: the group that is mounted, and the mount point."""


def cpu_quota(root: Path = Path("/")) -> Quota | None:
    """The smallest quota of the control groups (version 1 and 2) of this process; None if there is none.

    A group's quota also limits the groups below it, so every group up to the mount point is read. Files that cannot be
    read or parsed set no limit.

    Args:
        root: of the file system.
    """
    quotas = [quota for folder in _groups(root) for quota in (_version_2(folder), _version_1(folder)) if quota]
    return min(quotas, key=lambda quota: quota.cpus, default=None)


def _groups(root: Path) -> Iterator[Path]:
    """The folders of the groups of this process, and of the groups above them."""
    mounts = _mounts(_read(root / "proc/self/mountinfo"))
    for line in _read(root / "proc/self/cgroup").splitlines():
        number, _, rest = line.partition(":")
        controllers, _, name = rest.partition(":")
        version = 2 if number == "0" and not controllers else 1 if "cpu" in controllers.split(",") else 0
        for mounted, point in mounts.get(version, []):
            group = PurePosixPath(name)
            # The group may lie outside of the mount, as in a container without its own namespace for control groups.
            inside = group.relative_to(mounted) if group.is_relative_to(mounted) else PurePosixPath()
            top = root / point.relative_to("/")
            if ".." not in inside.parts:
                yield from (top / part for part in (inside, *inside.parents))
            else:
                yield top


def _mounts(mountinfo: str) -> dict[int, list[_Mount]]:
    """The mounted hierarchies that limit CPU time, by control group version; see proc_pid_mountinfo(5)."""
    found: dict[int, list[_Mount]] = {}
    for line in mountinfo.splitlines():
        own, _, of_file_system = line.partition(" - ")
        fields, (kind, _, options) = own.split(" "), (of_file_system.split(" ") + ["", "", ""])[:3]
        version = {"cgroup2": 2, "cgroup": 1 if "cpu" in options.split(",") else 0}.get(kind, 0)
        if version and len(fields) > 4 and fields[4].startswith("/"):
            found.setdefault(version, []).append((_path(fields[3]), _path(fields[4])))
    return found


def _path(field: str) -> PurePosixPath:
    return PurePosixPath(re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field))


def _version_2(folder: Path) -> Quota | None:
    file = folder / "cpu.max"
    quota, _, period = _read(file).strip().partition(" ")
    return _quota(quota, period or "100000", file)


def _version_1(folder: Path) -> Quota | None:
    file = folder / "cpu.cfs_quota_us"
    return _quota(_read(file), _read(folder / "cpu.cfs_period_us"), file)


def _quota(quota: str, period: str, file: Path) -> Quota | None:
    """A quota from numbers of microseconds; -1 and ``max`` are no quota."""
    try:
        cpus = int(quota) / int(period)
    except (ValueError, ArithmeticError):
        return None
    return Quota(cpus, file) if cpus > 0 else None


def _read(file: Path) -> str:
    """The text of a file; empty if it cannot be read."""
    try:
        with file.open(encoding="ascii", errors="replace") as opened:
            return opened.read(_MAX_BYTES)
    except (OSError, ValueError):
        return ""
