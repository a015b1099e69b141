"""One training at a time, also on a file system without kernel locks."""

import errno
import fcntl
import os
import socket
import subprocess
import sys

import pytest

from mnistdiff.engine.runs.lock import LOCK, OWNER, held, is_held, require_unheld
from mnistdiff.errors import RunInUseError

NO_LOCKS = [errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK]


def no_locks_left(*_):
    raise OSError(errno.ENOLCK, "No locks available")


@pytest.fixture
def no_flock(monkeypatch):
    monkeypatch.setattr(fcntl, "flock", no_locks_left)


def refused(folder):
    with pytest.raises(RunInUseError) as error, held(folder):
        pass
    return error.value


def dead_process():
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    return done.pid


def test_the_error_names_the_process_the_time_and_the_file(tmp_path):
    with held(tmp_path):
        error = refused(tmp_path)
    for part in (str(tmp_path / LOCK), f"process {os.getpid()} on this machine", "since 20"):
        assert part in error.message
    assert "rm " not in error.hint  # the lock of the kernel ends with its process
    assert (tmp_path / LOCK).read_bytes() == b""


@pytest.mark.parametrize("code", NO_LOCKS, ids=errno.errorcode.get)
def test_without_kernel_locks_a_file_names_the_process(tmp_path, monkeypatch, code):
    def refuse(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with held(tmp_path):
        error = refused(tmp_path)
        with pytest.raises(RunInUseError):
            require_unheld(tmp_path)
        assert is_held(tmp_path)
    assert f"process {os.getpid()} on this machine" in error.message
    assert f"rm {tmp_path / OWNER}" in error.hint
    require_unheld(tmp_path)
    assert not is_held(tmp_path)
    with held(tmp_path):
        pass
    assert not (tmp_path / OWNER).exists()


@pytest.mark.usefixtures("no_flock")
@pytest.mark.parametrize("began", ["", "1\n"])
def test_the_file_of_a_dead_process_of_this_machine_is_replaced(tmp_path, began):
    """Also if another process has its number by now: the time when it began differs."""
    with held(tmp_path):
        pid, host, *_ = (tmp_path / OWNER).read_text().splitlines()
    pid = pid if began else dead_process()
    (tmp_path / OWNER).write_text(f"{pid}\n{host}\n{began}")
    with held(tmp_path):
        assert (tmp_path / OWNER).read_text().startswith(f"{os.getpid()}\n")
    assert not (tmp_path / OWNER).exists()


@pytest.mark.usefixtures("no_flock")
@pytest.mark.parametrize("content", ["123\nelsewhere\n", "", "?", "123\n"])
def test_for_a_process_of_another_machine_the_error_names_the_file_to_delete(tmp_path, content):
    owner = tmp_path / OWNER
    owner.write_text(content)
    os.utime(owner, (86400 * 365 * 40,) * 2)
    error = refused(tmp_path)
    assert "since 2009-12-2" in error.message or "since 2009-12-3" in error.message
    assert ("process 123 on elsewhere" if "elsewhere" in content else "unknown process") in error.message
    assert f"rm {owner}" in error.hint
    owner.unlink()
    with held(tmp_path):
        pass


def test_a_process_without_a_kernel_lock_excludes_one_that_gets_it(tmp_path, monkeypatch):
    """As when a lock server has run out for a while."""
    with monkeypatch.context() as patch:
        patch.setattr(fcntl, "flock", no_locks_left)
        lock = held(tmp_path)
        lock.__enter__()
    assert str(tmp_path / OWNER) in refused(tmp_path).message
    lock.__exit__(None, None, None)
    with held(tmp_path):
        assert (tmp_path / LOCK).read_text() == f"{os.getpid()}\n{socket.gethostname()}\n"


def test_a_process_with_a_kernel_lock_excludes_one_that_gets_none(tmp_path, monkeypatch):
    with held(tmp_path), monkeypatch.context() as patch:
        patch.setattr(fcntl, "flock", no_locks_left)
        error = refused(tmp_path)
    assert f"process {os.getpid()} on this machine" in error.message
    assert f"rm {tmp_path / LOCK}" in error.hint


def test_another_error_names_the_lock_file(tmp_path, monkeypatch):
    def broken(*_):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(fcntl, "flock", broken)
    with pytest.raises(OSError, match="Input/output error") as failed, held(tmp_path):
        pass
    assert failed.value.filename == str(tmp_path / LOCK)
