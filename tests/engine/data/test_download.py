"""What torchvision is asked for when MNIST is fetched."""

import errno
import socket
import sys
import urllib.request
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from mnistdiff.engine.data.download import download


def test_torchvision_is_quiet_and_keeps_to_https(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen = SimpleNamespace(roots=[], mirrors=[], names=[], timeouts=[], http_errors=[])

    class Original:
        mirrors = ("http://plain.example/", "https://safe.example/")

        def __init__(self, root: Path, *, download: bool) -> None:
            assert download
            seen.roots.append(root)
            seen.mirrors += self.mirrors
            seen.names.append(type(self).__name__)
            seen.timeouts.append(socket.getdefaulttimeout())
            print("Downloading")  # noqa: T201
            print("0%|     |", file=sys.stderr)  # noqa: T201
            # A closed port of this machine: a handler that tried would say "Connection refused".
            with pytest.raises(OSError, match="is not https"):
                urllib.request.urlopen("http://127.0.0.1:9/")
            try:
                raise OSError(errno.ENOSPC, "No space left on device")
            except OSError:
                urllib.request.urlopen("http://127.0.0.1:9/")

    torchvision = ModuleType("torchvision")
    torchvision.datasets = SimpleNamespace(MNIST=Original)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torchvision", torchvision)
    opener = urllib.request.build_opener()
    urllib.request.install_opener(opener)
    try:
        with pytest.raises(OSError, match="No space left"):
            download(tmp_path)
        assert urllib.request._opener is opener  # type: ignore[attr-defined]
    finally:
        urllib.request.install_opener(None)

    assert seen.roots == [tmp_path]
    assert seen.mirrors == ["https://safe.example/"]
    assert seen.names == ["MNIST"]
    assert 0 < seen.timeouts[0] <= 60
    assert socket.getdefaulttimeout() is None
    assert Original.mirrors == ("http://plain.example/", "https://safe.example/")
    assert capsys.readouterr() == ("", "")
