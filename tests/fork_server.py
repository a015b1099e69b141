"""The parent of the forks (see ``forks.Forks``): imports everything once, then starts a child for each job.

A child runs its command lines as the program does: ``main`` with its own arguments, environment, working folder and
standard streams, and the signal handlers with which a shell starts a process.
"""

import atexit
import ctypes
import gc
import io
import json
import os
import pkgutil
import resource
import signal
import socket
import sys
import threading
import time
import traceback
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

sys.path.pop(0)  # the folder of the tests

import mnistdiff  # noqa: E402
from mnistdiff.cli import app  # noqa: E402
from mnistdiff.engine import pipeline  # noqa: E402
from mnistdiff.engine.data import load  # noqa: E402
from mnistdiff.engine.outputs import loss_plot  # noqa: E402
from mnistdiff.engine.training import follow  # noqa: E402

for module in pkgutil.walk_packages(mnistdiff.__path__, "mnistdiff."):
    if module.name not in ("mnistdiff.__main__", "mnistdiff.cli.windows"):
        import_module(module.name)

HOOKED = (
    *("os.system", "os.exec", "os.posix_spawn", "os.spawn", "subprocess.Popen"),
    *("pickle.find_class", "socket.connect"),
)
STREAMS = (("stdin", "r"), ("stdout", "w"), ("stderr", "w"))


def _peak() -> int:
    with open("/proc/self/status") as status:
        return int(next(line for line in status if line.startswith("VmHWM")).split()[1])


def _report_forbidden(event: str, values: object) -> None:
    if event in HOOKED:
        os.write(2, f"FORBIDDEN {event} {values}\n".encode())


def _obey_permissions() -> None:
    """Give up root's right to read, write and enter anything; another user could not import what is in root's home."""
    libc = ctypes.CDLL(None, use_errno=True)
    header, data = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    assert libc.capget(header, data) == 0
    for word in (0, 1):  # effective and permitted: without DAC_OVERRIDE and DAC_READ_SEARCH
        data[word] &= ~0b110
    assert libc.capset(header, data) == 0


def _set_streams(descriptors: list[int | None]) -> None:
    """Make these the standard streams, or close those that are None; ``sys`` has them as Python does at its start."""
    for number, (descriptor, (name, mode)) in enumerate(zip(descriptors, STREAMS, strict=True)):
        if descriptor is None:
            os.close(number)
            setattr(sys, name, None)
            continue
        os.dup2(descriptor, number)
        os.close(descriptor)
        raw = io.FileIO(number, mode, closefd=False)
        errors = "backslashreplace" if name == "stderr" else "strict"
        wrapped = io.BufferedReader(raw) if mode == "r" else io.BufferedWriter(raw)
        setattr(sys, name, io.TextIOWrapper(wrapped, "utf-8", errors, line_buffering=name == "stderr" or raw.isatty()))


def _run(arguments: list[str]) -> int:
    """Run the program; return its exit code."""
    sys.argv = ["mnistdiff", *arguments]
    code: Any = 0
    try:
        app.main()
    except SystemExit as leaving:
        code = leaving.code or 0
    except BaseException:
        traceback.print_exc()
        code = 1
    for stream in filter(None, (sys.stdout, sys.stderr)):
        try:
            stream.flush()
        except OSError:
            code = 120
    return int(code)


def _child(job: dict[str, Any], received: list[int]) -> NoReturn:
    ended = os.open(job["ended"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.chdir(job["cwd"])
    if job["remove_cwd"]:
        os.rmdir(job["cwd"])
    os.umask(job["umask"])
    os.environ.clear()
    os.environ.update(job["env"])
    if job["bound"]:
        _obey_permissions()
    if job["file_bytes"]:
        resource.setrlimit(resource.RLIMIT_FSIZE, (job["file_bytes"],) * 2)
    if job["growth_bytes"]:
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + job["growth_bytes"],) * 2)
    # As a shell starts a job, however these tests were started: what is ignored is inherited, and stays ignored.
    for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        signal.signal(number, signal.SIG_IGN if number in job["ignored"] else handler)
    with open("/proc/self/clear_refs", "w") as clear:
        clear.write("5")
    before = _peak()
    if job["quick"]:
        pipeline.load_training_images = follow.load_training_images = lambda *_, **__: _images()
        loss_plot.loss_curve = lambda *_, **__: b"a curve"
        sys.addaudithook(_report_forbidden)
    exec(job["before"], globals())
    code = 99
    for arguments, streams in job["lines"]:
        _set_streams([index if index is None else received[index] for index in streams])
        began = time.monotonic()
        code = _run(arguments)
        os.write(ended, f"{code} {time.monotonic() - began}\n".encode())
    os.write(ended, f"{_peak() - before}\n".encode())
    threading._shutdown()
    atexit._run_exitfuncs()
    os._exit(code)


@cache
def _images() -> load.TrainingImages:
    from mnistdiff.settings import TrainSettings

    return load.load_training_images(TrainSettings(dataset="mnist-5k"), data_dir=None)


channel = socket.socket(fileno=int(sys.argv[1]))
gc.collect()
gc.freeze()  # a collection in a child would write to, and so copy, the memory that it shares with this process
while True:
    message, received, *_ = socket.recv_fds(channel, 1 << 18, 64)
    if not message:
        break
    question = json.loads(message)
    if "wait" in question:
        answer = os.waitstatus_to_exitcode(os.waitpid(question["wait"], 0)[1])
    else:
        if question["quick"]:
            _images()
        answer = os.fork()
        if answer == 0:
            try:
                channel.close()
                _child(question, received)
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(99)
    for descriptor in received:
        os.close(descriptor)
    channel.send(f"{answer}".encode())
