"""Many runs of the program, each a process of its own, with a single import of torch.

A parent (``fork_server``) imports everything once and then forks: a child runs one command line as the program does,
with its streams in files. ``Forks`` knows each child by its process id and can signal it.
"""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

SERVER = Path(__file__).with_name("fork_server.py")


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
        talk: its stdout, stderr and end are in files of this name and ``.out``, ``.err``, ``.ended``.
        began: when it was started, by ``time.monotonic``.
        code: how it ended, once it has been waited for.
    """

    parent: "Forks"
    pid: int
    talk: Path
    began: float
    code: int | None = None

    def send(self, number: int) -> None:
        """Signal it, unless it has been waited for."""
        if self.code is None:
            os.kill(self.pid, number)

    def wait(self) -> int:
        """Its exit code, or minus the signal that killed it."""
        if self.code is None:
            self.code = self.parent.ask({"wait": self.pid})
        return self.code

    def ended(self) -> bool:
        """Whether it has ended."""
        return self.code is not None or Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"

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
        *ended, _ = [line.split() for line in self.talk.with_suffix(".ended").read_text().splitlines()]
        talks = [_talk_of(self.talk, index) for index in range(len(ended))]
        return [
            Ended(
                int(code), float(seconds), talk.with_suffix(".out").read_bytes(), talk.with_suffix(".err").read_bytes()
            )
            for (code, seconds), talk in zip(ended, talks, strict=True)
        ]

    @property
    def mebibytes(self) -> float:
        """By how much its memory grew at the most."""
        return int(self.talk.with_suffix(".ended").read_text().splitlines()[-1]) / 1024


def _talk_of(talk: Path, index: int) -> Path:
    """The name of the files of a command line among several."""
    return talk.with_name(f"{talk.name}-{index}") if index else talk


class Forks:
    """The process that has torch, with an environment for its children."""

    def __init__(self, environment: Mapping[str, str], folder: Path) -> None:
        self._environment, self._folder, self._count = environment, folder, 0
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            words = [sys.executable, SERVER, str(theirs.fileno())]
            self._process = subprocess.Popen(words, env=dict(environment), pass_fds=[theirs.fileno()])

    def ask(self, question: Mapping[str, Any], descriptors: Sequence[int] = ()) -> int:
        """One question to the parent, one number back."""
        socket.send_fds(self._channel, [json.dumps(question).encode()], descriptors)
        return int(self._channel.recv(64))

    def start(
        self,
        *arguments: object,
        cwd: Path,
        then: Sequence[Sequence[object]] = (),
        env: Mapping[str, str | None] = MappingProxyType({}),
        quick: bool = True,
        ignored: Sequence[int] = (),
        bound: bool = False,
        umask: int = 0o022,
        remove_cwd: bool = False,
        file_bytes: int = 0,
        growth_bytes: int = 0,
        streams: Mapping[str, int | None] = MappingProxyType({}),
        before: str = "",
    ) -> Fork:
        """Run a command line in ``cwd``, which may be gone by then.

        Args:
            then: more command lines, which the same process runs one after the other (see ``Fork.each``).
            env: changes of the environment; None removes a variable.
            quick: with images that were read before and no plot of the losses, under an audit hook, which writes
                FORBIDDEN to stderr if a process or a connection is begun.
            ignored: signals.
            bound: by permissions, even if we are root.
            file_bytes: the size that no file may exceed.
            growth_bytes: by which its memory may grow.
            streams: descriptors of ``stdin``, ``stdout`` or ``stderr``; None closes one. By default stdin is empty, and
                the others are files.
            before: code to run in the process first, for faults.
        """
        self._count += 1
        talk = self._folder / f"run-{self._count}"
        descriptors: list[int] = []
        lines = []
        with ExitStack() as opened:
            for index, line in enumerate((arguments, *then)):
                used: list[int | None] = []
                for name, path, mode in (
                    ("stdin", os.devnull, "rb"),
                    ("stdout", _talk_of(talk, index).with_suffix(".out"), "wb"),
                    ("stderr", _talk_of(talk, index).with_suffix(".err"), "wb"),
                ):
                    default = opened.enter_context(open(path, mode)).fileno()
                    descriptor = streams.get(name, default)
                    used.append(None if descriptor is None else len(descriptors))
                    descriptors += [] if descriptor is None else [descriptor]
                lines.append(([str(argument) for argument in line], used))
            job = {
                "lines": lines,
                "cwd": str(cwd),
                "ended": str(talk.with_suffix(".ended")),
                "env": {name: value for name, value in {**self._environment, **env}.items() if value is not None},
                "quick": quick,
                "ignored": list(ignored),
                "bound": bound,
                "umask": umask,
                "remove_cwd": remove_cwd,
                "file_bytes": file_bytes,
                "growth_bytes": growth_bytes,
                "before": before,
            }
            pid = self.ask(job, descriptors)
        return Fork(self, pid, talk, time.monotonic())

    def run(self, *arguments: object, cwd: Path, **options: Any) -> tuple[int, Fork]:
        """Run a command line to its end; options as for ``start``."""
        fork = self.start(*arguments, cwd=cwd, **options)
        return fork.wait(), fork

    def group(
        self, size: int, *arguments: object, cwd: Path, before: Mapping[int, str] = MappingProxyType({}), **env: str
    ) -> list[Fork]:
        """Start processes that train together, without a launcher.

        Args:
            before: as for ``start``, by rank.
            env: more variables.
        """
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1]), "GLOO_SOCKET_IFNAME": "lo"}
        ranks = [{**place, "RANK": str(rank), "WORLD_SIZE": str(size), **env} for rank in range(size)]
        return [
            self.start(*arguments, cwd=cwd, env=of_rank, before=before.get(rank, ""))
            for rank, of_rank in enumerate(ranks)
        ]

    def close(self) -> None:
        """End the parent, once all children have been waited for."""
        self._channel.close()
        self._process.wait()


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
