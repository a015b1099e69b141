"""Locks of run folders: one training at a time.

Usually a kernel lock on ``.lock``, which is released when its process ends, even on ``kill -9``. On a file system
without such locks (some network and FUSE mounts), ``.lock-owner`` is used instead: a file that exists while a training
runs and names its process. One of a dead process of this machine is replaced; for a process of another machine, which
cannot be checked, the error names the file to delete.
"""

import errno
import os
import re
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from mnistdiff.errors import RunInUseError
from mnistdiff.shell import quoted

LOCK, OWNER = ".lock", ".lock-owner"
_NO_LOCKS_HERE = {errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK}
_MAX_BYTES = 1024
# Time to replace the file of a dead process.
_SECONDS_TO_TAKE_OVER = 0.5


@dataclass(frozen=True)
class _Holder:
    """The process that holds a lock, by its lock file; ``host`` is empty if the file names none."""

    file: Path
    pid: int
    host: str
    since: float

    @property
    def is_here(self) -> bool:
        return self.host == socket.gethostname()

    def in_use(self, folder: Path, *, ends_with_its_process: bool) -> RunInUseError:
        """The error for another process that needs the folder."""
        host = "this machine" if self.is_here else self.host
        who = f"process {self.pid} on {host}" if self.host else "an unknown process"
        since = time.strftime("%Y-%m-%d %H:%M", time.localtime(self.since))
        hint = "Wait for it, stop it, or choose another `run_dir`."
        if not ends_with_its_process:
            hint += f" If it no longer runs, delete its lock file: rm {quoted(self.file)}"
        return RunInUseError(f"another training is writing to {folder}: {who}, since {since} ({self.file})", hint)


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Lock a folder.

    Raises:
        RunInUseError: if another process has locked it.
        OSError: if the file system refuses.
    """
    from filelock import SoftFileLock, Timeout

    kernel, owner = folder / LOCK, folder / OWNER
    with ExitStack() as locks:
        has_kernel_lock = _take_kernel_lock(locks, kernel)
        if not has_kernel_lock:
            _require_no_holder(kernel)
        # Also with a kernel lock: an earlier process may not have got one.
        if not has_kernel_lock or owner.exists():
            try:
                locks.enter_context(SoftFileLock(owner, timeout=_SECONDS_TO_TAKE_OVER))
            except Timeout as error:
                raise _holder(owner).in_use(folder, ends_with_its_process=False) from error
        if has_kernel_lock:
            locks.enter_context(_signed(kernel))
        yield


def require_unheld(folder: Path) -> None:
    """Raise RunInUseError if another process has locked a folder; changes nothing."""
    kernel, owner = folder / LOCK, folder / OWNER
    if is_lock_file(kernel):
        with ExitStack() as locks:
            _take_kernel_lock(locks, kernel)
    if is_lock_file(owner):
        _require_no_holder(owner)


def is_held(folder: Path) -> bool:
    """Whether a training has locked a folder, by what its lock files say; unlike ``require_unheld``, it locks nothing.

    A process of another machine, which cannot be checked, counts as long as a file names it.
    """
    return any(is_lock_file(file) and _is_held_by_its_process(file) for file in (folder / LOCK, folder / OWNER))


def _is_held_by_its_process(file: Path) -> bool:
    holder = _holder(file)
    if not holder.host or not holder.is_here:
        return bool(holder.host) or _is_unreadable(file)
    if not _is_alive(holder.pid):
        return False
    try:  # another process may have the number by now
        locks = Path("/proc/locks").read_text()
    except OSError:  # not on Linux
        return True
    line = rf" {holder.pid} \S+:{file.stat().st_ino} "  # its process, then the device and the inode of its file
    return file.name == OWNER or re.search(line, locks) is not None


def _is_unreadable(file: Path) -> bool:
    """Whether another process has locked the content, as on Windows, where a locked file names no process."""
    try:
        file.read_bytes()
    except PermissionError:
        return os.name != "posix"
    except OSError:
        return False
    return False


def is_lock_file(path: Path) -> bool:
    """Whether a file can be a lock file: it is empty or names a process."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return False
    return stat.S_ISREG(found.st_mode) and (found.st_size == 0 or bool(_holder(path).host))


def _take_kernel_lock(locks: ExitStack, file: Path) -> bool:
    """Take the kernel lock until ``locks`` are closed; False if the file system has no locks."""
    from filelock import FileLock, SoftFileLock, Timeout  # sampling looks into run folders, and locks none

    if issubclass(FileLock, SoftFileLock):  # a system without locks
        return False
    try:
        locks.enter_context(FileLock(file, timeout=0, fallback_to_soft=False))
    except Timeout as error:
        raise _holder(file).in_use(file.parent, ends_with_its_process=True) from error
    except OSError as error:
        if error.errno not in _NO_LOCKS_HERE:
            error.filename = error.filename or str(file)
            raise
        return False
    return True


def _require_no_holder(file: Path) -> None:
    """Raise RunInUseError if the lock file names a living process.

    It may have got the kernel lock before, as when a file server has none left.
    """
    holder = _holder(file)
    if holder.host and (not holder.is_here or _is_alive(holder.pid)):
        raise holder.in_use(file.parent, ends_with_its_process=False)


@contextmanager
def _signed(file: Path) -> Iterator[None]:
    """Write this process into the lock file while it is locked, for the error message; failures are ignored."""
    with suppress(OSError):  # Windows refuses to write to a locked file
        file.write_bytes(f"{os.getpid()}\n{socket.gethostname()}\n".encode(errors="replace"))
    try:
        yield
    finally:
        with suppress(OSError):
            if file.exists():
                os.truncate(file, 0)


def _holder(file: Path) -> _Holder:
    """Read a lock file: a process and a machine, on a line each; filelock adds when the process began."""
    since, content = time.time(), ""
    with suppress(OSError):
        since = file.stat().st_mtime
        with open(file, "rb") as opened:
            content = opened.read(_MAX_BYTES).decode(errors="replace")
    found = re.match(r"([1-9][0-9]{0,9})\n([^\n?]+)", content)  # after a ``?`` filelock names the container
    return _Holder(file, int(found[1]), found[2], since) if found else _Holder(file, 0, "", since)


def _is_alive(pid: int) -> bool:
    if os.name != "posix":  # on Windows signal 0 ends a process
        return True
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True
