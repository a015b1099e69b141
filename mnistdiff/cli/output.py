"""Where pictures go: a folder, a file, or a pipe."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mnistdiff.cli import console
from mnistdiff.errors import SettingsError, StorageError

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
            if as_json:
                raise SettingsError("-o - and --json both want stdout", "Choose one of them.")
            if console.stdout_is_terminal():
                raise SettingsError("a PNG is not for the terminal", "Use -o FILE, or send it on: -o - > digit.png")
            return cls()
        path = Path(text)
        if text.endswith("/") or path.is_dir() or not path.suffix:
            return cls(folder=path)
        if path.suffix.lower() != ".png":
            raise SettingsError(f"-o {text}: pictures are written as PNG", "Use a name that ends in .png, or a folder.")
        return cls(file=path)

    def refuse_existing(self, names: Sequence[str], *, force: bool) -> None:
        """Refuse, before any work, to replace files.

        Args:
            names: the files that would go into the folder.
            force: replace them all the same.

        Raises:
            SettingsError: naming the first that is there.
        """
        if force or self == PIPE:
            return
        paths = [self.folder / name for name in names] if self.folder is not None else [self.file]
        for path in paths:
            if path is not None and path.exists():
                raise SettingsError(
                    f"{path} is already there", "Use --force to replace it, another -o, or another --seed."
                )

    def write(self, name: str, content: bytes) -> str:
        """Write one picture and return its path, or ``-``.

        Raises:
            StorageError: if something that is not a folder is in the way.
            OSError: if the file system refuses.
            PipeClosedError: if nobody reads the pipe.
        """
        from mnistdiff.engine.storage import write_atomically

        path = self.folder / name if self.folder is not None else self.file
        if path is None:
            console.result_bytes(content)
            return "-"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            raise StorageError(f"{path.parent} is not a folder", "Choose another -o.") from error
        write_atomically(path, content, durable=False)
        return str(path)


PIPE = Output()
"""Stdout."""
