"""The scripts of the page of ``export --html`` in Node, and the page in a browser."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from demo_pages import SCRIPTS


@pytest.fixture(scope="session")
def node() -> Callable[..., Any]:
    """Run a script with the page's modules: ``node(script, **given)`` returns what it gives to ``result``, as JSON."""
    program = shutil.which("node")
    if program is None:
        pytest.skip("there is no Node.js")

    def run(script: str, **given: Any) -> Any:
        text = f"const given = {json.dumps(given)};\nconst result = (value) => console.log(JSON.stringify(value));\n"
        text += re.sub(r"from '\./", f"from '{SCRIPTS.as_uri()}/", script)
        done = subprocess.run(
            [program, "--input-type=module", "-"], input=text.encode(), capture_output=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stderr.decode()
        return json.loads(done.stdout)

    return run


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """A browser."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if find_spec("playwright") is None or path is None:
        pytest.skip("there is no Chromium with Playwright")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def opened(chromium: Any, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Open a page from a file: ``opened(content, **context)``. Requests, errors and violations fail the test."""
    contexts, faults = [], []

    def start(content: bytes, **options: Any) -> Any:
        file = tmp_path / "page.html"
        file.write_bytes(content)
        context = chromium.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda r: faults.append(r.url) if r.url != file.as_uri() and r.url[:5] != "blob:" else None)
        page.on("console", lambda m: faults.append(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.goto(file.as_uri())
        return page

    yield start
    for context in contexts:
        context.close()
    assert faults == []
