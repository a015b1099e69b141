import os

import pytest

from mnistdiff.engine.storage import TEMPORARY_SUFFIX, sweep_temporaries, write_atomically


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "file.bin"
    path.write_bytes(b"old")
    return path


def contents(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@pytest.mark.parametrize("durable", [True, False])
def test_a_file_is_made_or_replaced_and_nothing_else_is_left(path, durable):
    write_atomically(path, b"new", durable=durable)
    write_atomically(path.with_name("other"), b"", durable=durable)
    assert contents(path.parent) == {"file.bin": b"new", "other": b""}


def test_until_it_is_whole_the_new_content_lies_elsewhere_in_the_same_folder(path, monkeypatch):
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


def test_the_content_and_then_the_folder_are_flushed_to_the_disk_only_if_asked(path, monkeypatch):
    calls, replace = [], os.replace
    monkeypatch.setattr(os, "fsync", lambda descriptor: calls.append("folder" if is_folder(descriptor) else "file"))
    monkeypatch.setattr(os, "replace", lambda *names: calls.append("replace") or replace(*names))
    write_atomically(path, b"new")
    assert calls == ["file", "replace", "folder"]
    calls.clear()
    write_atomically(path, b"newer", durable=False)
    assert calls == ["replace"]


def is_folder(descriptor):
    return os.path.isdir(f"/dev/fd/{descriptor}")


@pytest.mark.parametrize("step", ["fsync", "replace"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failure_leaves_the_old_file_and_no_other(path, monkeypatch, step, error):
    def fail(*arguments):
        raise error

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(type(error)):
        write_atomically(path, b"new")
    assert contents(path.parent) == {"file.bin": b"old"}


def test_a_missing_folder_and_a_folder_in_the_way_are_errors_of_the_file_system(tmp_path):
    with pytest.raises(FileNotFoundError) as refused:
        write_atomically(tmp_path / "no" / "file", b"")
    assert refused.value.filename == str(tmp_path / "no" / "file")
    (tmp_path / "folder" / "full").mkdir(parents=True)
    with pytest.raises(OSError, match="folder"):
        write_atomically(tmp_path / "folder", b"")
    assert [entry.name for entry in tmp_path.iterdir()] == ["folder"]


def test_sweeping_removes_what_killed_writers_left_and_nothing_else(path):
    own = {"file.bin": b"old", f"visible{TEMPORARY_SUFFIX}": b"", ".hidden": b"", f".x{TEMPORARY_SUFFIX}.txt": b""}
    for name, content in {**own, f".file.bin.0123abcd{TEMPORARY_SUFFIX}": b"torn"}.items():
        path.with_name(name).write_bytes(content)
    sweep_temporaries(path.parent)
    assert contents(path.parent) == own
    sweep_temporaries(path.parent / "missing")
