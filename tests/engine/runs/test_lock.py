"""One training at a time, also where the file system has no locks that end with their process."""

import errno
import fcntl
import os
import socket
import subprocess
import sys

import pytest

from mnistdiff.engine.runs.lock import LOCK, OWNER, held, require_unheld
from mnistdiff.errors import RunInUseError

NO_LOCKS = [errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK]


@pytest.fixture(params=NO_LOCKS, ids=errno.errorcode.get)
def no_flock(request, monkeypatch):
    def refuse(descriptor, operation):
        raise OSError(request.param, os.strerror(request.param))

    monkeypatch.setattr(fcntl, "flock", refuse)


def no_locks_left(*_):
    raise OSError(errno.ENOLCK, "No locks available")


def refused(folder):
    with pytest.raises(RunInUseError) as error, held(folder):
        pass
    return error.value


def dead_process():
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    return done.pid


def test_who_is_refused_is_told_by_whom_since_when_and_by_which_file(tmp_path):
    with held(tmp_path):
        error = refused(tmp_path)
    for told in (str(tmp_path / LOCK), f"process {os.getpid()} on this machine", "since 20"):
        assert told in error.message
    assert "rm " not in error.hint  # the lock of the kernel ends with its process
    assert (tmp_path / LOCK).read_bytes() == b""


@pytest.mark.usefixtures("no_flock")
def test_without_locks_of_the_kernel_a_file_says_who_is_there(tmp_path):
    with held(tmp_path):
        error = refused(tmp_path)
        with pytest.raises(RunInUseError):
            require_unheld(tmp_path)
    assert f"process {os.getpid()} on this machine" in error.message
    assert f"rm {tmp_path / OWNER}" in error.hint
    require_unheld(tmp_path)
    with held(tmp_path):
        pass
    assert not (tmp_path / OWNER).exists()


@pytest.mark.usefixtures("no_flock")
@pytest.mark.parametrize("began", ["", "1\n"])
def test_what_a_dead_process_of_this_machine_left_is_taken_over(tmp_path, began):
    """Also where its number is that of another process by now: then the time when it began tells."""
    with held(tmp_path):
        pid, host, *_ = (tmp_path / OWNER).read_text().splitlines()
    pid = pid if began else dead_process()
    (tmp_path / OWNER).write_text(f"{pid}\n{host}\n{began}")
    with held(tmp_path):
        assert (tmp_path / OWNER).read_text().startswith(f"{os.getpid()}\n")
    assert not (tmp_path / OWNER).exists()


@pytest.mark.usefixtures("no_flock")
@pytest.mark.parametrize("content", ["123\nelsewhere\n", "", "?", "123\n"])
def test_of_another_machine_nobody_can_tell_so_the_file_to_delete_is_named(tmp_path, content):
    owner = tmp_path / OWNER
    owner.write_text(content)
    os.utime(owner, (86400 * 365 * 40,) * 2)
    error = refused(tmp_path)
    assert "since 2009-12-2" in error.message or "since 2009-12-3" in error.message
    assert ("process 123 on elsewhere" if "elsewhere" in content else "no name") in error.message
    assert f"rm {owner}" in error.hint
    owner.unlink()
    with held(tmp_path):
        pass


def test_who_got_no_lock_of_the_kernel_keeps_out_who_gets_one(tmp_path, monkeypatch):
    """As when a lock server has run out for a while."""
    with monkeypatch.context() as patch:
        patch.setattr(fcntl, "flock", no_locks_left)
        lock = held(tmp_path)
        lock.__enter__()
    assert str(tmp_path / OWNER) in refused(tmp_path).message
    lock.__exit__(None, None, None)
    with held(tmp_path):
        assert (tmp_path / LOCK).read_text() == f"{os.getpid()}\n{socket.gethostname()}\n"


def test_who_got_the_lock_of_the_kernel_keeps_out_who_gets_none(tmp_path, monkeypatch):
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
