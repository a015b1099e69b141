"""What is read as a settings file: encodings, pipes, and files made to exhaust whoever reads them."""

import codecs
import os
import threading
import time
from pathlib import Path

import pytest

from mnistdiff import settings_file
from mnistdiff.errors import SettingsError
from mnistdiff.settings_file import read_settings_file

TOML = '# größe\r\npreset = "tiny"\r\nepochs = 7\r\nrun_dir = "läufe"\r\n'
JSON = '{"preset": "tiny",\r\n"epochs": 7, "run_dir": "läufe"}'
EXPECTED = {"preset": "tiny", "epochs": 7, "run_dir": "läufe"}
ENCODED = {
    "utf-8": (b"", "utf-8"),
    "utf-8 with a mark": (codecs.BOM_UTF8, "utf-8"),
    "utf-16 little": (codecs.BOM_UTF16_LE, "utf-16-le"),
    "utf-16 big": (codecs.BOM_UTF16_BE, "utf-16-be"),
    "utf-32 little": (codecs.BOM_UTF32_LE, "utf-32-le"),
    "utf-32 big": (codecs.BOM_UTF32_BE, "utf-32-be"),
}


@pytest.mark.parametrize("encoding", ENCODED)
@pytest.mark.parametrize(("name", "text"), [("a.toml", TOML), ("a.TOML", TOML), ("a.json", JSON), ("no-ending", JSON)])
@pytest.mark.parametrize("line", ["\r\n", "\n", "\r"])
def test_a_file_is_read_as_an_editor_on_any_system_saves_it(tmp_path, encoding, name, text, line):
    mark, codec = ENCODED[encoding]
    (tmp_path / name).write_bytes(mark + text.replace("\r\n", line).encode(codec))
    assert read_settings_file(tmp_path / name) == EXPECTED


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be", "utf-32-le", "latin-1", "cp437"])
def test_another_encoding_is_told_as_such(tmp_path, codec):
    (tmp_path / "a.toml").write_bytes(TOML.encode(codec))
    with pytest.raises(SettingsError, match=r"a.toml is not valid: .*UTF-8"):
        read_settings_file(tmp_path / "a.toml")


@pytest.mark.parametrize(
    "content",
    [
        b"k" + b".a" * 20_000 + b" = 1",
        b"[k" + b".a" * 20_000 + b"]",
        b"k = {a" + b".a" * 20_000 + b" = 1}",
        b"[" + b"k." * 199 + b"k]\n" + b"".join(b"%d" % n + b".c" * 199 + b" = 1\n" for n in range(148)),
        b"x = " + b"[" * 60_000,
        b"x = " + b"{a = " * 12_000,
        b"#" * 65_537,
        b"x = " + b"9" * 6_000,
        b"epochs = 1\n" * 2,
    ],
    ids=["dots", "table", "inline", "many-tables", "lists", "inlines", "long", "digits", "twice"],
)
def test_a_file_made_to_exhaust_is_read_or_refused_at_once(tmp_path, content):
    (tmp_path / "a.toml").write_bytes(content)
    began = time.monotonic()
    message = ""
    try:
        read_settings_file(tmp_path / "a.toml")
    except SettingsError as error:
        message = error.message
    assert len(message) < 400
    assert "set_int_max_str_digits" not in message
    assert time.monotonic() - began < 10


def test_a_name_that_stands_twice_in_json_is_refused_as_in_toml(tmp_path):
    (tmp_path / "a.json").write_text('{"epochs": 1, "lr": 1, "epochs": 2}')
    with pytest.raises(SettingsError, match="'epochs' occurs twice"):
        read_settings_file(tmp_path / "a.json")


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/null", "/dev"])
def test_only_files_and_pipes_are_read(path):
    with pytest.raises(SettingsError, match=f"cannot read the settings file {path}: it is "):
        read_settings_file(Path(path))


def test_a_pipe_is_read_to_its_end(tmp_path):
    os.mkfifo(tmp_path / "pipe")

    def write():
        with open(tmp_path / "pipe", "w") as pipe:
            for line in TOML.splitlines(keepends=True):
                pipe.write(line)
                pipe.flush()
                time.sleep(0.01)

    holder = os.open(tmp_path / "pipe", os.O_RDWR)  # so that the writer need not wait for the reader
    writer = threading.Thread(target=write)
    writer.start()
    threading.Timer(0.3, os.close, [holder]).start()
    assert read_settings_file(tmp_path / "pipe") == EXPECTED
    writer.join()


def test_a_pipe_that_nobody_writes_to_is_not_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(settings_file, "_PIPE_SECONDS", 0.1)
    os.mkfifo(tmp_path / "pipe")
    held = None
    for _ in range(2):
        with pytest.raises(SettingsError, match="cannot read the settings file .*pipe: the pipe did not end within"):
            read_settings_file(tmp_path / "pipe")
        held = held or os.open(tmp_path / "pipe", os.O_RDWR)  # now there is a writer, who is silent
    os.close(held)


def test_an_empty_pipe_is_told_as_such():
    reader, writer = os.pipe()
    os.close(writer)
    with pytest.raises(SettingsError, match="empty pipe"):
        read_settings_file(Path(f"/dev/fd/{reader}"))
    os.close(reader)


def test_a_pipe_without_end_is_left(tmp_path):
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    stop = threading.Event()

    def pour():
        while not stop.is_set():
            try:
                os.write(writer, b"# again and again\n" * 1000)
            except BlockingIOError:
                time.sleep(0.001)

    thread = threading.Thread(target=pour)
    thread.start()
    with pytest.raises(SettingsError, match="holds more than 64 kB"):
        read_settings_file(Path(f"/dev/fd/{reader}"))
    stop.set()
    thread.join()
    os.close(reader)
    os.close(writer)
