"""Chromium for tests: what a page must not do, and the accessibility checks of axe-core."""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

NAMES = ("chromium", "chromium-browser", "google-chrome")
TIME_OUT_MS = 20_000


def find_chromium() -> str | None:
    """The path of Chromium; None where it is not installed."""
    return next(filter(None, map(shutil.which, NAMES)), None)


@contextmanager
def chromium() -> Iterator["Browser"]:
    """Chromium without a window. It does not outlive the block."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=find_chromium(),
            args=["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--no-first-run"],
        )
        try:
            yield browser
        finally:
            browser.close()


class Watch:
    """Collects what a page must not do: errors, violations of its security policy, requests to other addresses.

    Args:
        own: beginning of the addresses that the page may ask.
        expected: pattern of messages of the console that the test provokes.
    """

    def __init__(self, own: str, expected: str = "") -> None:
        self.faults: list[str] = []
        self._own, self._expected = own, expected

    def follow(self, page: "Page") -> None:
        """Watch a page from now on."""
        page.on("console", lambda message: self._console(message.type, message.text))
        page.on("pageerror", lambda error: self.faults.append(f"error: {error}"))
        page.on("request", lambda request: self._request(request.url))
        page.on("websocket", lambda socket: self.faults.append(f"web socket: {socket.url}"))

    def _console(self, kind: str, text: str) -> None:
        is_expected = self._expected and re.search(self._expected, text)
        if kind == "error" and not is_expected:  # a violation of the policy is such an error, too
            self.faults.append(f"console: {text}")

    def _request(self, url: str) -> None:
        if not url.startswith((self._own, "blob:", "data:")):
            self.faults.append(f"request: {url}")


def axe_faults(page: "Page") -> list[str]:
    """What axe-core finds serious or critical, as ``rule: element``."""
    import axe_playwright_python

    script = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
    page.evaluate(script)  # as a debugger, to which the page's policy does not apply
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{fault['id']}: {node['html'][:200]} {node['failureSummary'][:300]}"
        for fault in found["violations"]
        if fault["impact"] in ("serious", "critical")
        for node in fault["nodes"]
    ]
