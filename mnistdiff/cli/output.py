"""Where pictures go: a folder, a file, or a pipe."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mnistdiff.cli import console
from mnistdiff.engine.runs.links import require_inside_the_run
from mnistdiff.errors import MnistDiffError, SettingsError, StorageError

DEFAULT_FOLDER = "inference_samples/"


def file_name(digit: int, seed: int) -> str:
    """What the picture of a digit is called in a folder."""
    return f"digit_{digit}_{seed}.png"


@dataclass(frozen=True)
class Output:
    """What ``-o`` names: a folder for many files, one file, or with neither a pipe on stdout."""

    folder: Path | None = None
    file: Path | None = None

    @classmethod
    def parse(cls, text: str, *, as_json: bool = False) -> "Output":
        """Read the value of ``-o``: ``-``, a name ending in ``.png``, or a folder.

        Raises:
            SettingsError: for another kind of file, or a pipe that is a terminal or already carries JSON.
        """
        if text == "-":
            return _pipe("a PNG", as_json=as_json)
        path = Path(text)
        if text.endswith(("/", os.sep)) or path.is_dir() or not path.suffix:
            return cls(folder=path)
        if path.suffix.lower() != ".png":
            raise SettingsError(f"-o {text}: pictures are written as PNG", "Use a name that ends in .png, or a folder.")
        return cls(file=path)

    @classmethod
    def one_file(cls, text: str | Path, kinds: Sequence[str], *, what: str, as_json: bool = False) -> "Output":
        """Read the value of an option that names one file of certain kinds; ``-`` is a pipe.

        Args:
            text: the value.
            kinds: the endings that its name may have.
            what: it is, as in "a page".
            as_json: whether stdout already carries JSON.

        Raises:
            SettingsError: for another kind of file, or a pipe that is a terminal or already carries JSON.
        """
        if str(text) == "-":
            return _pipe(what, as_json=as_json)
        path = Path(text)
        if path.suffix.lower() not in kinds or path.is_dir():
            raise SettingsError(f"{text}: {what} is written as {' or '.join(kinds)}", "Use a name that ends so, or -.")
        return cls(file=path)

    @property
    def kind(self) -> str:
        """The ending of the file's name, without its dot; empty for a pipe."""
        return self.file.suffix[1:].lower() if self.file is not None else ""

    def refuse_existing(self, names: Sequence[str], *, force: bool, remedy: str = "") -> None:
        """Refuse, before any work, to replace files, and to write where a run received from others leads.

        Args:
            names: the files that would go into the folder, each named by its seed.
            force: replace them all the same.
            remedy: what to do instead, if that is not --force or -o.

        Raises:
            SettingsError: naming the first that is there.
            StorageError: if the way there leaves a run folder by a link.
        """
        if self == PIPE:
            return
        require_inside_the_run(self.folder / "any" if self.folder is not None else self.file or Path())
        paths = [self.folder / name for name in names] if self.folder is not None else [self.file]
        for path in paths:
            if path is not None and path.exists() and not path.is_file():  # a pipe or a device, say
                raise SettingsError(f"{path} is already there, and is not a file", "Give another name.")
        if force:
            return
        usual = "another -o, or other seeds" if self.folder is not None else "or another -o"
        for path in paths:
            if path is not None and path.exists():
                raise SettingsError(f"{path} is already there", remedy or f"Use --force to replace it, {usual}.")

    def path_of(self, name: str) -> Path | None:
        """Where a file of this name goes; None for a pipe."""
        return self.folder / name if self.folder is not None else self.file

    def write(self, name: str, content: bytes) -> str:
        """Write one picture and return its path, or ``-``.

        Raises:
            StorageError: if something that is not a folder is in the way.
            OSError: if the file system refuses.
            PipeClosedError: if nobody reads the pipe.
        """
        from mnistdiff.engine.storage import write_atomically

        path = self.path_of(name)
        if path is None:
            console.result_bytes(content)
            return "-"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            raise StorageError(f"{path.parent} is not a folder", "Choose another -o.") from error
        write_atomically(path, content, durable=False)
        return str(path)

    def finish(self, content: bytes, told: Mapping[str, Any], *, as_json: bool) -> None:
        """Write the one result of a command and tell its path; as JSON with what else there is to tell.

        Raises:
            StorageError, OSError, PipeClosedError: as ``write``.
        """
        name = self.write("", content)
        if as_json:
            console.result_json({"path": name, **told})
        elif self != PIPE:
            console.result(name)


@contextmanager
def undone_on_failure(*, force: bool) -> Iterator[list[Path | None]]:
    """Delete the files of a command that fails on its way, so that the same command works once the cause is gone.

    Args:
        force: they may have been there before, and stand in nobody's way.

    Yields:
        a list to which each is added before it is written.
    """
    written: list[Path | None] = []
    try:
        yield written
    except (OSError, MemoryError, MnistDiffError):
        for path in filter(None, written if not force else []):
            with suppress(OSError):
                path.unlink(missing_ok=True)
        raise


PIPE = Output()
"""Stdout."""


def _pipe(what: str, *, as_json: bool) -> Output:
    if as_json:
        raise SettingsError("-o - and --json both want stdout", "Choose one of them.")
    if console.stdout_is_terminal():
        raise SettingsError(f"{what} is not for the terminal", "Use -o FILE, or send it on: -o - > FILE")
    return PIPE
