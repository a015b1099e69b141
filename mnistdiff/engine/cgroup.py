"""The CPU time that Linux control groups allow this process, as containers and batch systems set it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

_MAX_BYTES = 1_000_000
_NO_LIMIT = "max"


@dataclass(frozen=True)
class Quota:
    """CPU time per wall time that may be used: ``cpus`` processors, set by ``file``."""

    cpus: float
    file: Path


@dataclass(frozen=True)
class _Mount:
    """Where a hierarchy of control groups is mounted: ``root`` of it at ``point``."""

    root: PurePosixPath
    point: PurePosixPath


def cpu_quota(root: Path = Path("/")) -> Quota | None:
    """The tightest quota of the control groups, of version 1 and 2, that this process is in; None if there is none.

    A group's quota also holds for the groups below it, so every group up to the mount point is looked at. What cannot
    be read or understood sets no limit.

    Args:
        root: of the file system.
    """
    quotas = [quota for folder in _groups(root) for quota in (_version_2(folder), _version_1(folder)) if quota]
    return min(quotas, key=lambda quota: quota.cpus, default=None)


def _groups(root: Path) -> Iterator[Path]:
    """The folders of the groups that this process is in, and of those above them."""
    mounts = _mounts(_read(root / "proc/self/mountinfo"))
    for line in _read(root / "proc/self/cgroup").splitlines():
        number, _, rest = line.partition(":")
        controllers, _, name = rest.partition(":")
        version = 2 if number == "0" and not controllers else 1 if "cpu" in controllers.split(",") else 0
        for mount in mounts.get(version, []):
            group = PurePosixPath(name)
            # Outside of what is mounted here, as in a container without a namespace of its own for control groups.
            inside = group.relative_to(mount.root) if group.is_relative_to(mount.root) else PurePosixPath()
            top = root / mount.point.relative_to("/")
            if ".." not in inside.parts:
                yield from (top / part for part in (inside, *inside.parents))
            else:
                yield top


def _mounts(mountinfo: str) -> dict[int, list[_Mount]]:
    """The mounted hierarchies that limit CPU time, by version of control groups; see proc_pid_mountinfo(5)."""
    found: dict[int, list[_Mount]] = {}
    for line in mountinfo.splitlines():
        own, _, of_file_system = line.partition(" - ")
        fields, (kind, _, options) = own.split(" "), (of_file_system.split(" ") + ["", "", ""])[:3]
        version = {"cgroup2": 2, "cgroup": 1 if "cpu" in options.split(",") else 0}.get(kind, 0)
        if version and len(fields) > 4 and fields[4].startswith("/"):
            found.setdefault(version, []).append(_Mount(*(PurePosixPath(_unescaped(field)) for field in fields[3:5])))
    return found


def _unescaped(field: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field)


def _version_2(folder: Path) -> Quota | None:
    file = folder / "cpu.max"
    quota, _, period = _read(file).strip().partition(" ")
    return None if quota == _NO_LIMIT else _quota(quota, period or "100000", file)


def _version_1(folder: Path) -> Quota | None:
    file = folder / "cpu.cfs_quota_us"
    return _quota(_read(file), _read(folder / "cpu.cfs_period_us"), file)


def _quota(quota: str, period: str, file: Path) -> Quota | None:
    """Both are numbers of microseconds; a quota of -1 is none."""
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
