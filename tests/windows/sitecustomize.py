"""A Python on POSIX that behaves like one on Windows, in every process that has this folder on its PYTHONPATH.

What Windows lacks is taken away; files, names and signals follow its rules within the working folder. Libraries that
have code of their own for Windows are loaded first, since here they need the POSIX part.
"""

# ruff: noqa: E402
import asyncio  # noqa: F401
import builtins
import ctypes
import errno
import io
import os
import shutil
import signal
import subprocess  # noqa: F401
import sys
import tempfile
import threading
import time
from pathlib import Path
from types import ModuleType, SimpleNamespace

import filelock  # noqa: F401
import platformdirs.unix  # noqa: F401

FOLDER = os.path.realpath(os.getcwd())
BINARY = 1 << 28
MISSING_MODULES = ("fcntl", "grp", "pty", "pwd", "resource", "termios", "tty")
MISSING_IN_OS = """
O_CLOEXEC O_DIRECTORY O_NOCTTY O_NOFOLLOW O_NONBLOCK O_SYNC O_TMPFILE chown fchmod fchown fdatasync fork forkpty getegid
geteuid getgid getgroups getloadavg getpgid getuid killpg mkfifo nice openpty posix_fallocate pread pwrite
sched_getaffinity sched_setaffinity sendfile setsid
""".split()  # noqa: SIM905
KEPT_SIGNALS = {"SIGABRT", "SIGFPE", "SIGILL", "SIGINT", "SIGSEGV", "SIGTERM"}
FORBIDDEN = set('<>:"|?*') | {chr(number) for number in range(32)}

# filelock has code of its own for Windows, which needs Windows.
_posix = ModuleType("os")
vars(_posix).update(vars(os))
for module in [module for name, module in sys.modules.items() if name.startswith("filelock")]:
    if hasattr(module, "os"):
        module.os = _posix

# The signal that stands for Ctrl-Break here.
signal.SIGBREAK = signal.SIGUSR1
for name in dir(signal):
    if name.startswith("SIG") and name[3].isalpha() and name not in KEPT_SIGNALS | {"SIGBREAK"}:
        delattr(signal, name)
for name in ("alarm", "pause", "pthread_sigmask", "setitimer", "siginterrupt", "sigwait"):
    delattr(signal, name)
for name in MISSING_MODULES:
    sys.modules[name] = None
for name in MISSING_IN_OS:
    if hasattr(os, name):
        delattr(os, name)
shutil._use_fd_functions = shutil._USE_CP_SENDFILE = tempfile._O_TMPFILE_WORKS = False

os.O_BINARY = BINARY
_open, _write, _read, _close = os.open, os.write, os.read, os.close
_replace, _unlink, _mkdir, _kill, _io_open = os.replace, os.unlink, os.mkdir, os.kill, io.open
# Which file a descriptor was opened for as text; its number may be another file's by now.
_translated: dict[int, tuple[int, int]] = {}


def _file_of(descriptor):
    status = os.fstat(descriptor)
    return status.st_dev, status.st_ino


def _is_text(descriptor):
    return descriptor in _translated and _translated[descriptor] == _file_of(descriptor)


class SharingViolation(PermissionError):
    """What Windows says of a file that is open."""

    winerror = 5


def _here(path):
    return not isinstance(path, int) and os.path.realpath(os.fsdecode(path)).startswith(FOLDER + os.sep)


def _check_name(path):
    for part in Path(os.fsdecode(path)).parts if _here(path) else ():
        if part not in (".", "..") and (FORBIDDEN & set(part) or part != part.rstrip(" .")):
            raise OSError(errno.EINVAL, "Invalid argument", os.fsdecode(path))


def _check_closed(*paths):
    """Raise PermissionError if this process has one of the files open."""
    real = {os.path.realpath(os.fsdecode(path)) for path in paths if _here(path)}
    for number in os.listdir("/proc/self/fd") if real else ():
        try:
            target = os.readlink(f"/proc/self/fd/{number}")
        except OSError:
            continue
        if target in real:
            raise SharingViolation(errno.EACCES, "Access is denied", target)


def open_descriptor(path, flags, mode=0o777, **options):
    """``os.open``: no folders, and line feeds are rewritten unless O_BINARY is given."""
    if os.path.isdir(path):
        raise PermissionError(errno.EACCES, "Permission denied", path)
    _check_name(path)
    descriptor = _open(path, flags & ~BINARY, mode, **options)
    _translated.pop(descriptor, None)
    if not flags & BINARY:
        _translated[descriptor] = _file_of(descriptor)
    return descriptor


def write(descriptor, data):
    """``os.write``."""
    if not _is_text(descriptor):
        return _write(descriptor, data)
    rest = bytes(data).replace(b"\n", b"\r\n")
    while rest:
        rest = rest[_write(descriptor, rest) :]
    return len(data)


def read(descriptor, count):
    """``os.read``: as text it ends at Ctrl-Z."""
    data = _read(descriptor, count)
    return data.replace(b"\r\n", b"\n").partition(b"\x1a")[0] if _is_text(descriptor) else data


def close(descriptor):
    """``os.close``."""
    _translated.pop(descriptor, None)
    _close(descriptor)


def replace(source, target, **options):
    """``os.replace``: neither file may be open."""
    _check_name(target)
    _check_closed(source, target)
    _replace(source, target, **options)


def unlink(path, **options):
    """``os.unlink``: the file may not be open."""
    _check_closed(path)
    _unlink(path, **options)


def mkdir(path, *arguments, **options):
    """``os.mkdir``."""
    _check_name(path)
    _mkdir(path, *arguments, **options)


def kill(process, number):
    """``os.kill``: 0 is CTRL_C_EVENT, not a question whether the process is there."""
    assert number != 0, "this would interrupt the process"
    _kill(process, number)


def open_file(file, mode="r", buffering=-1, encoding=None, errors=None, newline=None, *rest, **options):
    """``open``: text is cp1252 with carriage returns unless something else is asked for."""
    if not isinstance(file, int) and "opener" not in options:
        if os.path.isdir(file):
            raise PermissionError(errno.EACCES, "Permission denied", file)
        _check_name(file)
    if "b" not in mode:
        encoding = "cp1252" if encoding in (None, "locale") else encoding
        newline = "\r\n" if newline is None and set("wax") & set(mode) else newline
    return _io_open(file, mode, buffering, encoding, errors, newline, *rest, **options)


os.open, os.write, os.read, os.close = open_descriptor, write, read, close
os.replace = os.rename = replace
os.unlink = os.remove = unlink
os.mkdir, os.kill = mkdir, kill
builtins.open = io.open = open_file
io.text_encoding = lambda encoding, stacklevel=2: encoding


_console_handlers = []


def _set_console_handler(handler, add):
    """Close the console once the file that CONSOLE_CLOSES_WITH names is there, then end the process as Windows does.

    The handler that was added last is called.
    """
    trigger = os.environ.get("CONSOLE_CLOSES_WITH")
    _console_handlers.append(handler)

    def watch():
        while not os.path.exists(trigger):
            time.sleep(0.01)
        _console_handlers[-1](2)
        os._exit(99)

    if trigger and len(_console_handlers) == 1:
        threading.Thread(target=watch, daemon=True).start()


ctypes.WINFUNCTYPE = lambda *types: lambda function: function
ctypes.windll = SimpleNamespace(kernel32=SimpleNamespace(SetConsoleCtrlHandler=_set_console_handler))
