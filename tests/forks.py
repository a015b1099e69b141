"""Many runs of the program, each a process of its own, for the price of one import of torch.

A parent imports everything once and then forks: a child runs one command line as the program does, with its talk in
files. Whoever holds ``Forks`` knows each child by its process id and may signal it.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

PARENT = """
import ctypes, json, os, resource, signal, sys, time
from mnistdiff.cli import app
from mnistdiff.engine import pipeline
from mnistdiff.engine.inference import sampling
from mnistdiff.engine.data import load
from mnistdiff.engine.outputs import loss_plot
from mnistdiff.engine.evaluation import reference_classifier

images = load.load_training_images("mnist-5k", data_dir=None)
pipeline.load_training_images = lambda *_, **__: images
loss_plot.loss_curve = lambda *_, **__: b"a curve"
HOOKED = ("os.system", "os.exec", "os.posix_spawn", "os.spawn", "subprocess.Popen", "pickle.find_class",
          "socket.connect")

def peak():
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])

def hook(event, values):
    if event in HOOKED:
        os.write(2, f"FORBIDDEN {event} {values}\\n".encode())

def obey_permissions():
    "Give up root's right to read, write and enter anything; another user could not import what lies in root's home."
    libc = ctypes.CDLL(None, use_errno=True)
    header, data = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    assert libc.capget(header, data) == 0
    for word in (0, 1):  # effective and permitted: without DAC_OVERRIDE and DAC_READ_SEARCH
        data[word] &= ~0b110
    assert libc.capset(header, data) == 0

def child(job):
    kib = os.open(job["talk"] + ".kib", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    ended = os.open(job["talk"] + ".ended", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.chdir(job["cwd"])
    if job["remove_cwd"]:
        os.rmdir(job["cwd"])
    os.umask(job["umask"])
    os.environ.update(job["env"])
    if job["bound"]:
        obey_permissions()
    if job["file_bytes"]:
        resource.setrlimit(resource.RLIMIT_FSIZE, (job["file_bytes"],) * 2)
    # As a shell starts a job, however these tests were started: what is ignored is inherited, and stays ignored.
    signal.signal(signal.SIGINT, signal.SIG_IGN if job["ignore_sigint"] else signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    open("/proc/self/clear_refs", "w").write("5")
    before = peak()
    sys.addaudithook(hook)
    for index, arguments in enumerate(job["lines"]):
        name = job["talk"] + (f"-{index}" if index else "")
        for number, ending in ((1, ".out"), (2, ".err")):
            talk = job["terminal"] or name + ending
            os.dup2(os.open(talk, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOCTTY), number)
        sys.argv = ["mnistdiff", *arguments]
        began = time.monotonic()
        try:
            app.main()
        except SystemExit as leaving:
            code = leaving.code or 0
        sys.stdout.flush(), sys.stderr.flush()
        os.write(ended, f"{code} {time.monotonic() - began}\\n".encode())
    os.write(kib, str(peak() - before).encode())
    os._exit(code)

for line in sys.stdin:
    job = json.loads(line)
    if "wait" in job:
        answer = os.waitstatus_to_exitcode(os.waitpid(job["wait"], 0)[1])
    else:
        answer = os.fork()
        if answer == 0:
            try:
                child(job)
            finally:
                os._exit(99)
    print(answer, flush=True)
"""


@dataclass(frozen=True)
class Ended:
    """A command line of several that one process ran: its exit code, its seconds, what it wrote."""

    code: int
    seconds: float
    out: bytes
    err: bytes


@dataclass
class Fork:
    """A run of the program.

    Attributes:
        pid: of its process.
        talk: its stdout, stderr and memory are in files of this name and ``.out``, ``.err``, ``.kib``.
        began: when it was started, by ``time.monotonic``.
    """

    parent: "Forks"
    pid: int
    talk: Path
    began: float

    def send(self, number: int) -> None:
        """Signal it; that it may have ended by then is no error, since nobody has waited for it."""
        os.kill(self.pid, number)

    def wait(self) -> int:
        """Its exit code, or minus the signal that killed it."""
        return self.parent.ask({"wait": self.pid})

    def ended(self) -> bool:
        """Whether it is dead and waits to be asked how it ended."""
        return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"

    @property
    def out(self) -> bytes:
        """What it said on stdout."""
        return self.talk.with_suffix(".out").read_bytes()

    @property
    def err(self) -> bytes:
        """What it said on stderr."""
        return self.talk.with_suffix(".err").read_bytes()

    @property
    def each(self) -> list[Ended]:
        """How each of its command lines ended."""
        ended = [line.split() for line in self.talk.with_suffix(".ended").read_text().splitlines()]
        talks = [self.talk if index == 0 else Path(f"{self.talk}-{index}") for index in range(len(ended))]
        return [
            Ended(
                int(code), float(seconds), talk.with_suffix(".out").read_bytes(), talk.with_suffix(".err").read_bytes()
            )
            for (code, seconds), talk in zip(ended, talks, strict=True)
        ]

    @property
    def mebibytes(self) -> float:
        """By how much its memory grew at the most."""
        return int(self.talk.with_suffix(".kib").read_text()) / 1024


class Forks:
    """The process that has torch."""

    def __init__(self, environment: Mapping[str, str], folder: Path) -> None:
        self._folder, self._count = folder, 0
        self._process = subprocess.Popen(
            [sys.executable, "-c", PARENT], env=dict(environment), stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def ask(self, question: Mapping[str, Any]) -> int:
        """One question to the parent, one number back."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(question).encode() + b"\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def start(
        self,
        *arguments: object,
        cwd: Path,
        then: Sequence[Sequence[object]] = (),
        env: Mapping[str, str] = MappingProxyType({}),
        ignore_sigint: bool = False,
        bound: bool = False,
        umask: int = 0o022,
        remove_cwd: bool = False,
        file_bytes: int = 0,
        terminal: str = "",
    ) -> Fork:
        """Run a command line in ``cwd``, which may be gone by then.

        Args:
            then: more command lines, which the same process runs one after the other (see ``Fork.each``).
            bound: by permissions, even if we are root.
            file_bytes: the size that no file may exceed.
            terminal: the path of one, to write to instead of files.
        """
        self._count += 1
        talk = self._folder / f"run-{self._count}"
        pid = self.ask(
            {
                "lines": [[str(argument) for argument in line] for line in (arguments, *then)],
                "cwd": str(cwd),
                "talk": str(talk),
                "env": dict(env),
                "ignore_sigint": ignore_sigint,
                "bound": bound,
                "umask": umask,
                "remove_cwd": remove_cwd,
                "file_bytes": file_bytes,
                "terminal": terminal,
            }
        )
        return Fork(self, pid, talk, time.monotonic())

    def run(self, *arguments: object, cwd: Path, **options: Any) -> tuple[int, Fork]:
        """Run a command line to its end; options as for ``start``."""
        fork = self.start(*arguments, cwd=cwd, **options)
        return fork.wait(), fork

    def close(self) -> None:
        """End the parent, once all children have been waited for."""
        self._process.kill()
        self._process.communicate()


def kill_all(forks: Sequence[Fork]) -> None:
    """Leave no child behind."""
    for fork in forks:
        fork.send(signal.SIGKILL)
        fork.wait()


def same_content(folder: Path) -> dict[str, bytes]:
    """All the files of a run, without the speed. Which state was the one before tells where it stopped."""
    files = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    files.pop("diffusion_checkpoint_previous.safetensors", None)
    files["metrics.jsonl"] = re.sub(rb'"images_per_second": [0-9.]+', b"", files["metrics.jsonl"])
    return files
