"""Fetching data sets from a server of https, and ``datasets``, which lists and fetches them."""

import hashlib
import io
import json
import shutil
import ssl
import subprocess
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from idx_files import small, store

from mnistdiff.cli import app
from mnistdiff.engine.data import download
from mnistdiff.engine.data.mnist_family import EMNIST_BALANCED, EMNIST_DIGITS, EMNIST_LETTERS, KMNIST
from mnistdiff.setting_types import DATASETS

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate")


@dataclass
class Server:
    """Answers by path: bytes, or None to close the connection half-way; and the paths that it was asked for."""

    address: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    breaks: int = 0
    asked: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tls")
    key, file = folder / "key.pem", folder / "certificate.pem"
    line = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=localhost"
    subprocess.run(
        [*line.split(), "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", file],
        check=True,
        capture_output=True,
    )
    return file, key


@pytest.fixture
def server(certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server that this process trusts."""
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.asked.append(self.path)
            if self.path.startswith("/moved"):
                self.send_response(302)
                self.send_header("Location", "http://127.0.0.1:1/plain")
                self.end_headers()
                return
            content = state.files.get(self.path)
            self.send_response(404 if content is None else 200)
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            state.breaks -= 1
            self.wfile.write((content or b"")[: None if state.breaks < 0 else 5])

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as https:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        https.socket = context.wrap_socket(https.socket, server_side=True)
        thread = Thread(target=https.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        state.address = f"https://127.0.0.1:{https.server_port}/"
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
        monkeypatch.setenv("no_proxy", "*")
        monkeypatch.delenv("MNISTDIFF_OFFLINE", raising=False)
        monkeypatch.setattr(download, "_PAUSE_SECONDS", 0)
        yield state
        https.shutdown()
        thread.join()


@pytest.fixture
def kmnist(server: Server, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """A small KMNIST at the server: its ``.gz`` files."""
    images = np.arange(3 * 784, dtype=np.uint16).astype(np.uint8).reshape(3, 28, 28)
    arrays = {file.name: images if "images" in file.name else np.arange(3, dtype=np.uint8) for file in KMNIST.idx_files}
    changes = {"class_names": KMNIST.class_names[:3], "class_counts": (1,) * 3, "class_aliases": {}}
    spec, packed = small(KMNIST, arrays, mirrors=(f"{server.address}k/",), **changes)
    monkeypatch.setitem(DATASETS._entries, "kmnist", spec)
    server.files = {f"/k/{name}.gz": content for name, content in packed.items()}
    return packed


@pytest.fixture
def emnist(server: Server, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """Small sets of EMNIST in one archive at the server: its members."""
    members = {}
    for number, spec in enumerate((EMNIST_LETTERS, EMNIST_BALANCED, EMNIST_DIGITS)):
        labels = np.full(1, spec.first_label, np.uint8)
        images = np.full((1, 28, 28), number, np.uint8)
        arrays = {file.name: images if "images" in file.name else labels for file in spec.idx_files}
        changes = {"class_names": ("a",), "class_counts": (1,)}
        spec, packed = small(spec, arrays, **changes)
        monkeypatch.setitem(DATASETS._entries, spec.name, spec)
        members |= {f"{name}.gz": content for name, content in packed.items()}
    offer(server, monkeypatch, members)
    return members


def offer(server: Server, monkeypatch: pytest.MonkeyPatch, members: dict[str, bytes]) -> None:
    """Put an archive at the server, of which the program knows the digest."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        for name, content in members.items():
            file.writestr(f"gzip/{name}", content)
    server.files["/gzip.zip"] = archive.getvalue()
    known = replace(
        EMNIST_LETTERS.archive,
        address=f"{server.address}gzip.zip",
        size=len(archive.getvalue()),
        sha256=hashlib.sha256(archive.getvalue()).hexdigest(),
    )
    for name in ("emnist-letters", "emnist-balanced", "emnist-digits"):
        monkeypatch.setitem(DATASETS._entries, name, replace(DATASETS[name], archive=known))


def command(capfd, *words: str) -> tuple[int, list[dict], str]:
    capfd.readouterr()
    code = app.run([*words, "--json"])
    out, err = capfd.readouterr()
    return code, [json.loads(line) for line in out.splitlines()], err


def test_a_data_set_is_fetched_once_and_stored_as_it_was_verified(kmnist, server, tmp_path, capfd):
    listed = {each["name"]: each for each in command(capfd, "datasets", "--data-dir", str(tmp_path))[1]}
    assert (listed["kmnist"]["state"], listed["kmnist"]["verified_by"]) == ("missing", [])
    code, [got], _ = command(capfd, "datasets", "get", "kmnist", "--data-dir", str(tmp_path))
    folder = tmp_path / "KMNIST" / "raw"
    assert code == 0
    assert (got["state"], got["folder"], got["verified_by"]) == ("present", str(folder), ["SHA-256"])
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == {f"{k}.gz": v for k, v in kmnist.items()}
    asked = [*server.asked]
    assert sorted(asked) == sorted(server.files)
    assert command(capfd, "datasets", "get", "kmnist", "--data-dir", str(tmp_path))[0] == 0
    assert server.asked == asked
    listed = {each["name"]: each for each in command(capfd, "datasets", "--data-dir", str(tmp_path))[1]}
    assert listed["kmnist"] == got
    (folder / next(iter(kmnist))).with_suffix(".gz").write_bytes(b"no gzip")
    listed = {each["name"]: each for each in command(capfd, "datasets", "--data-dir", str(tmp_path))[1]}
    assert listed["kmnist"]["state"] == "damaged"
    assert str(folder) in listed["kmnist"]["problem"]


def test_a_connection_that_breaks_is_tried_again(kmnist, server, tmp_path, capfd):
    server.breaks = 2
    assert command(capfd, "datasets", "get", "kmnist", "--data-dir", str(tmp_path))[0] == 0
    assert len(server.asked) == len(kmnist) + 2


@pytest.mark.parametrize("how", ["other content", "not there", "moved to http", "MNISTDIFF_OFFLINE"])
def test_what_cannot_be_fetched_is_an_error_of_data_and_leaves_nothing(
    kmnist, server, tmp_path, capfd, monkeypatch, how
):
    last = f"/k/{[*kmnist][-1]}.gz"
    if how == "other content":
        server.files[last] = kmnist[[*kmnist][0]]
    elif how == "not there":
        del server.files[last]
    elif how == "moved to http":
        moved = replace(DATASETS["kmnist"], mirrors=(f"{server.address}moved/",))
        monkeypatch.setitem(DATASETS._entries, "kmnist", moved)
    else:
        monkeypatch.setenv("MNISTDIFF_OFFLINE", "1")
    code, out, err = command(capfd, "datasets", "get", "kmnist", "--data-dir", str(tmp_path))
    assert (code, out) == (4, [])
    assert all(name in err for name in kmnist)
    assert [*tmp_path.rglob("*ubyte*")] == []


def test_an_archive_is_fetched_once_for_all_its_data_sets(emnist, server, tmp_path, capfd):
    code, [got], _ = command(capfd, "datasets", "get", "emnist-letters", "--data-dir", str(tmp_path))
    assert (code, got["state"], got["verified_by"]) == (0, "present", ["SHA-256"])
    assert {file.name: file.read_bytes() for file in Path(got["folder"]).iterdir()} == emnist
    for name in ("emnist-balanced", "emnist-digits"):
        assert command(capfd, "datasets", "get", name, "--data-dir", str(tmp_path))[0] == 0
    assert server.asked == ["/gzip.zip"]


@pytest.mark.parametrize("how", ["another archive", "a longer one", "a file is missing", "a file is another"])
def test_an_archive_that_is_not_what_it_should_be_leaves_nothing(emnist, server, tmp_path, capfd, monkeypatch, how):
    first, second, *_ = emnist
    if how == "another archive":
        server.files["/gzip.zip"] = server.files["/gzip.zip"][:-1] + b"x"
    elif how == "a longer one":
        server.files["/gzip.zip"] += b"x"
    elif how == "a file is missing":
        offer(server, monkeypatch, {name: content for name, content in emnist.items() if name != second})
    else:
        offer(server, monkeypatch, emnist | {second: emnist[first]})
    code, _, err = command(capfd, "datasets", "get", "emnist-digits", "--data-dir", str(tmp_path))
    assert code == 4
    assert "gzip.zip" in err
    assert [*tmp_path.rglob("*ubyte*")] == []


def test_training_fetches_what_it_lacks(kmnist, server, tmp_path, capfd, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store(tmp_path / "data" / "KMNIST" / "raw", {name: kmnist[name] for name in [*kmnist][:2]}, unpacked=True)
    line = "train --dataset kmnist --data-dir data --preset tiny --max-steps 1 --processes 1 --run-dir run"
    assert command(capfd, *line.split())[0] == 0
    assert server.asked == []  # a training needs no test images
    shutil.rmtree("data")
    assert command(capfd, *line.split(), "--force")[0] == 0
    assert len(server.asked) == len(kmnist)


@pytest.mark.parametrize("words", ["get", "get nothing", "get kmnist mnist", "put kmnist", "get pictures"])
def test_other_words_are_errors_of_usage(capfd, words):
    assert command(capfd, "datasets", *words.split())[0] == 2
