"""The program inside this process: importing torch once takes longer than most of these tests."""

import os
import stat
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from mnistdiff.cli import app
from mnistdiff.engine.data import mnist_5k

parsed_once = cache(mnist_5k.load_mnist_5k)
Completed = subprocess.CompletedProcess[bytes]


@pytest.fixture
def invoke(
    capfdbinary: pytest.CaptureFixture[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Completed]:
    """Run a command line in ``tmp_path``, without a process of its own: ``invoke(*arguments)``."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(mnist_5k, "load_mnist_5k", parsed_once)

    def run(*arguments: object) -> Completed:
        capfdbinary.readouterr()
        code = app.run([os.fspath(a) if isinstance(a, Path) else str(a) for a in arguments])
        return Completed(arguments, code, *capfdbinary.readouterr())

    return run


@pytest.fixture
def shell(
    environment: Callable[..., dict[str, str]], tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Completed]:
    """Run a line in a real shell, where the program is on the path: ``shell(line, folder)``."""
    folder = tmp_path_factory.mktemp("bin")
    shim = folder / "mnistdiff"
    shim.write_text('#!/bin/sh\nexec "$PROGRAM" -m mnistdiff "$@"\n')
    shim.chmod(shim.stat().st_mode | stat.S_IXUSR)

    def run(line: str, where: Path) -> Completed:
        return subprocess.run(
            ["bash", "-o", "pipefail", "-c", line],
            cwd=where,
            env=environment(PATH=f"{folder}:{os.environ['PATH']}", PROGRAM=sys.executable),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=120,
            check=False,
        )

    return run


@pytest.fixture
def altered(run_copy: Path) -> Path:
    """A checkpoint with one wrong bit among its weights."""
    file = run_copy / "diffusion_checkpoint.safetensors"
    content = bytearray(file.read_bytes())
    content[-100] ^= 1
    file.write_bytes(content)
    return file
