"""Servers of the studio for its tests, and its page in a browser."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import pytest
import studios
from studios import Studio

if TYPE_CHECKING:
    from playwright.sync_api import Page


@pytest.fixture(scope="module")
def start_studio(
    environment: Callable[..., dict[str, str]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., Studio]]:
    """Start a server: ``start_studio(*arguments, cwd=, env=changes)``. All end with the module."""
    with ExitStack() as stack:

        def start(
            *arguments: object, cwd: Path | None = None, env: Mapping[str, str | None] = MappingProxyType({})
        ) -> Studio:
            studio = studios.start(arguments, cwd or tmp_path_factory.mktemp("studio"), environment(**env))
            stack.callback(studio.end)
            return studio

        yield start


@pytest.fixture(scope="module")
def studio(start_studio: Callable[..., Studio]) -> Studio:
    """A server of the bundled model that the tests of a module share."""
    return start_studio("--checkpoint", "bundled")


@pytest.fixture
def page(open_page: Callable[..., "Page"], studio: Studio) -> "Page":
    """The page of the studio in Chromium, 1280 pixels wide, light."""
    return open_page(studio.url)
