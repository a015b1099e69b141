"""Output files of commands: a folder, one file, or stdout; refused before any work if something is in the way."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mnistdiff.cli import console
from mnistdiff.engine.runs.claim import require_inside_the_run
from mnistdiff.engine.storage import make_folder, write_atomically
from mnistdiff.errors import MnistDiffError, SettingsError

DEFAULT_FOLDER = "inference_samples/"
_HINT = "Use --force to replace it, or another -o."


def refuse_existing(path: Path, *, force: bool, hint: str = _HINT) -> None:
    """Refuse, before any work, to write to a path where something is.

    Args:
        path: of a file that is to be written.
        force: replace a file all the same.
        hint: what to do instead, if it is a file.

    Raises:
        SettingsError: if it exists; with ``force``, if it is not a file but a pipe or device.
        StorageError: if the path leaves a run folder by a link.
    """
    require_inside_the_run(path)
    if path.exists() and not path.is_file():
        raise SettingsError(f"{path} is already there, and is not a file", "Give another name.")
    if path.exists() and not force:
        raise SettingsError(f"{path} is already there", hint)


@dataclass(frozen=True)
class Output:
    """Where results go: to a folder for many files, to one file, or with neither to stdout."""

    folder: Path | None = None
    file: Path | None = None

    @classmethod
    def parse(cls, text: str, *, as_json: bool = False) -> "Output":
        """Read the value of ``-o`` for images: ``-``, a name ending in ``.png``, or a folder.

        Raises:
            SettingsError: for another kind of file, or for stdout if it is a terminal or carries JSON.
        """
        if text == "-":
            return _stdout("a PNG", as_json=as_json)
        path = Path(text)
        if text.endswith(("/", os.sep)) or path.is_dir() or not path.suffix:
            return cls(folder=path)
        if path.suffix.lower() != ".png":
            raise SettingsError(f"-o {text}: images are written as PNG", "Use a name that ends in .png, or a folder.")
        return cls(file=path)

    @classmethod
    def one_file(cls, text: str | Path, kinds: Sequence[str], *, what: str, as_json: bool = False) -> "Output":
        """Read the value of an option that names one file; ``-`` is stdout.

        Args:
            text: the value.
            kinds: the suffixes that its name may have.
            what: it holds, such as "a page".
            as_json: whether stdout carries JSON.

        Raises:
            SettingsError: for another kind of file, or for stdout if it is a terminal or carries JSON.
        """
        if str(text) == "-":
            return _stdout(what, as_json=as_json)
        path = Path(text)
        if path.suffix.lower() not in kinds or path.is_dir():
            raise SettingsError(f"{text}: {what} is written as {' or '.join(kinds)}", "Use a name that ends so, or -.")
        return cls(file=path)

    def refuse_existing(self, *, force: bool, hint: str = _HINT) -> None:
        """Refuse, before any work, to replace the one file: as the function ``refuse_existing``."""
        if self.file is not None:
            refuse_existing(self.file, force=force, hint=hint)

    def path_of(self, name: str) -> Path | None:
        """The path of a file with this name; None on stdout."""
        return self.folder / name if self.folder is not None else self.file

    def write(self, name: str, content: bytes) -> str:
        """Write one file, to ``name`` if this is a folder.

        Returns:
            its path, or ``-``.

        Raises:
            StorageError: if something else is where its folder should be.
            OSError: if the file system refuses.
            PipeClosedError: if the reader of stdout has closed it.
        """
        path = self.path_of(name)
        if path is None:
            console.result_bytes(content)
            return "-"
        make_folder(path.parent)
        write_atomically(path, content, durable=False)
        return str(path)

    def finish(
        self,
        content: bytes,
        values: Mapping[str, Any],
        *,
        as_json: bool,
        name: str = "",
        tell: Callable[[str], object] = console.result,
    ) -> None:
        """Write one file, to ``name`` if this is a folder, and print its path; as JSON, with these values.

        Args:
            content: of the file.
            values: for JSON, after its path.
            as_json: print JSON.
            name: of the file in the folder.
            tell: prints the path otherwise.

        Raises:
            StorageError, OSError, PipeClosedError: as ``write``.
        """
        path = self.write(name, content)
        if as_json:
            console.result_json({"path": path, **values})
        elif self != STDOUT:
            tell(path)


@contextmanager
def undone_on_failure(*, force: bool) -> Iterator[list[Path | None]]:
    """Delete the files of a command that fails, so that the same command works once the cause is removed.

    Args:
        force: delete nothing, since the files may be older than the command.

    Yields:
        a list to which each path is added before it is written.
    """
    written: list[Path | None] = []
    try:
        yield written
    except (OSError, MemoryError, MnistDiffError):
        for path in filter(None, written if not force else []):
            with suppress(OSError):
                path.unlink(missing_ok=True)
        raise


STDOUT = Output()


def _stdout(what: str, *, as_json: bool) -> Output:
    if as_json:
        raise SettingsError("-o - and --json both write to stdout", "Choose one of them.")
    if console.stdout_is_terminal():
        raise SettingsError(f"{what} is not for the terminal", "Use -o FILE, or send it on: -o - > FILE")
    return STDOUT
