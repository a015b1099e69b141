"""Atomic writes: after any failed operation, kill or power failure, a file is the old one or the new one."""

import errno
import os

import pytest
from faults import Faults, Killed, fails_with, killed_after, killed_before, states_after_power_loss

from mnistdiff.engine import storage
from mnistdiff.engine.storage import TEMPORARY_SUFFIX, require_writable, sweep_temporaries, write_atomically

OLD, NEW, OLDER = b"old" * 1000, b"new!" * 1000, b"older" * 500
ERRNOS = [errno.ENOSPC, errno.EIO, errno.EACCES, errno.EROFS, errno.EDQUOT, errno.EINTR]


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "file.bin"
    path.write_bytes(b"old")
    return path


def contents(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@pytest.mark.parametrize("durable", [True, False])
def test_a_file_is_created_or_replaced_and_no_other_is_left(path, durable):
    write_atomically(path, b"new", durable=durable)
    write_atomically(path.with_name("other"), b"", durable=durable)
    assert contents(path.parent) == {"file.bin": b"new", "other": b""}


def test_the_new_content_is_written_to_a_temporary_file_in_the_same_folder(path, monkeypatch):
    seen, replace = [], os.replace

    def look(source, target):
        seen.append(contents(path.parent))
        replace(source, target)

    monkeypatch.setattr(os, "replace", look)
    write_atomically(path, b"new")
    [before] = seen
    assert before.pop("file.bin") == b"old"
    [(temporary, content)] = before.items()
    assert content == b"new"
    assert temporary.startswith(".")
    assert temporary.endswith(TEMPORARY_SUFFIX)


def test_a_file_that_need_not_be_durable_is_not_flushed_to_the_disk(path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(storage, "os", faults := Faults())
        write_atomically(path, b"new", durable=False)
    assert [str(operation) for operation in faults.log] == ["open file", "write file", "close file", "replace file"]


def test_an_interrupt_leaves_the_old_file_and_no_other(path, monkeypatch):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, b"new")
    assert contents(path.parent) == {"file.bin": b"old"}


def test_a_folder_is_writable_or_the_error_names_it(tmp_path, monkeypatch):
    require_writable(tmp_path)
    assert contents(tmp_path) == {}
    for at in range(1, 5):
        with monkeypatch.context() as patch:
            patch.setattr(storage, "os", Faults(at=at, happens=fails_with(errno.ENOSPC)))
            with pytest.raises(OSError, match="No space left on device"):
                require_writable(tmp_path)
        assert contents(tmp_path) == {}


def test_a_missing_folder_and_a_folder_of_that_name_are_errors(tmp_path):
    with pytest.raises(FileNotFoundError) as refused:
        write_atomically(tmp_path / "no" / "file", b"")
    assert refused.value.filename == str(tmp_path / "no" / "file")
    (tmp_path / "folder" / "full").mkdir(parents=True)
    with pytest.raises(OSError, match="folder"):
        write_atomically(tmp_path / "folder", b"")
    assert [entry.name for entry in tmp_path.iterdir()] == ["folder"]


def test_temporary_files_of_killed_processes_are_deleted_and_no_others(path):
    others = (".w", ".w.0123abc", ".w.0123abcg", ".w.0123ABCD", "..0123abcd")
    own = {f"{name}{TEMPORARY_SUFFIX}": b"mine" for name in others}
    own |= {"file.bin": b"old", f"visible{TEMPORARY_SUFFIX}": b"", ".hidden": b"", f".x{TEMPORARY_SUFFIX}.txt": b""}
    for name, content in {**own, f".file.bin.0123abcd{TEMPORARY_SUFFIX}": b"torn"}.items():
        path.with_name(name).write_bytes(content)
    sweep_temporaries(path.parent)
    assert contents(path.parent) == own
    sweep_temporaries(path.parent / "missing")


@pytest.fixture
def folder(tmp_path):
    """A run's folder with a latest state and the one before."""
    (tmp_path / "latest").write_bytes(OLD)
    (tmp_path / "previous").write_bytes(OLDER)
    return tmp_path


def save(folder, monkeypatch, faults, chunk=1500):
    """Replace the latest, in three writes, and keep the one before; all operations go through ``faults``."""
    with monkeypatch.context() as patch:
        patch.setattr(storage, "_CHUNK", chunk)
        patch.setattr(storage, "os", faults)
        storage.write_atomically(folder / "latest", NEW, previous=folder / "previous")


def operations_of_a_save(folder, monkeypatch, **options):
    save(folder, monkeypatch, faults := Faults(), **options)
    return faults.log


def test_the_shim_sees_every_operation_of_a_save(folder, monkeypatch):
    log = [str(operation) for operation in operations_of_a_save(folder, monkeypatch)]
    assert log == [
        *["open file", "write file", "write file", "write file", "fsync file", "close file", "link file"],
        *["replace file", "open folder", "fsync folder", "close folder", "replace file"],
    ]
    assert contents(folder) == {"latest": NEW, "previous": OLD}


@pytest.mark.parametrize("dies", [killed_before, killed_after])
def test_a_process_killed_at_any_operation_leaves_the_old_file_or_the_new_one(folder, monkeypatch, dies):
    for number in range(1, 100):
        (folder / "latest").write_bytes(OLD)
        (folder / "previous").write_bytes(OLDER)
        faults = Faults(at=number, happens=dies)
        try:
            save(folder, monkeypatch, faults)
        except Killed:
            pass
        else:
            break
        there = contents(folder)
        assert there["latest"] in (OLD, NEW)
        assert there["previous"] in (OLDER, OLD)
        storage.sweep_temporaries(folder)
        assert contents(folder).keys() == {"latest", "previous"}
    assert number == 13


@pytest.mark.parametrize("number", ERRNOS, ids=errno.errorcode.get)
def test_an_error_of_any_operation_is_raised_and_loses_no_file(folder, monkeypatch, number):
    """As SQLite is tested: the n-th operation fails, n = 1, 2, ..., until the save succeeds."""
    errors = []
    for at in range(1, 100):
        (folder / "latest").write_bytes(OLD)
        (folder / "previous").write_bytes(OLDER)
        faults = Faults(at=at, happens=fails_with(number))
        try:
            save(folder, monkeypatch, faults)
        except OSError as error:
            errors.append((error.errno, error.filename))
            replaced = any(operation.name == "replace" for operation in faults.log[: at - 1])
            assert contents(folder) == {"latest": NEW if replaced else OLD, "previous": OLDER}
        else:
            # Without a hard link the one before is not kept; that is no reason to lose the new one.
            linked = all(operation.name != "link" for operation in faults.log[at - 1 : at])
            assert contents(folder) == {"latest": NEW, "previous": OLD if linked else OLDER}
            if len(faults.log) < at:
                break
    assert errors == [(number, str(folder / "latest"))] * 11
    assert at == 13


def test_after_a_power_failure_at_any_moment_the_file_is_the_old_one_or_the_new_one(folder, monkeypatch):
    before = contents(folder)
    log = operations_of_a_save(folder, monkeypatch, chunk=100)  # 40 writes, each of which may be the last
    states = list(states_after_power_loss(before, log))
    assert len(states) > 1000
    assert [made for made, files in states if files.get("latest") not in (OLD, NEW)] == []
    # Once the save has returned, the new one is safe, and so is one before it.
    ends = [files for made, files in states if made == len(log)]
    assert all(files["latest"] == NEW and files["previous"] in (OLD, OLDER) for files in ends)


MUTATIONS = {
    "no fsync of the file": lambda operation: operation.name == "fsync" and not operation.folder,
    "no fsync of the folder": lambda operation: operation.name == "fsync" and operation.folder,
    "no rename": lambda operation: operation.name == "replace",
}


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_a_writer_without_one_of_its_precautions_fails_these_tests(folder, monkeypatch, mutation):
    before = contents(folder)
    save(folder, monkeypatch, faults := Faults(leave_out=MUTATIONS[mutation]))
    states = list(states_after_power_loss(before, faults.log))
    torn = [files for _, files in states if files.get("latest") not in (OLD, NEW)]
    lost = [files for made, files in states if made == len(faults.log) and files.get("latest") != NEW]
    assert torn or lost
    if mutation == "no fsync of the file":
        assert torn


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # Python 3.12 and on, where there are threads
def test_a_real_limit_on_the_size_of_files_loses_no_file(folder):
    """Not a shim: the kernel cuts the write short, in a process of its own."""
    child = os.fork()
    if child == 0:
        import resource
        import signal

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
        try:
            storage.write_atomically(folder / "latest", NEW, previous=folder / "previous")
        except OSError as error:
            os._exit(error.errno)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == errno.EFBIG
    assert contents(folder) == {"latest": OLD, "previous": OLDER}
