"""What may go wrong under a save: a shim over the operations of ``mnistdiff.engine.storage``, and a power cut.

``Faults`` stands in for the module ``os`` there. It counts the operations that change files, and at one of them kills
the process (as an exception that nothing catches), fails, or leaves it out. What it records,
``states_after_power_loss`` turns into every folder that a disk may hold after the power has gone: what was not flushed
may be there, in part, as zeros, or not at all.
"""

import itertools
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

OPERATIONS = ("open", "write", "fsync", "close", "link", "replace", "unlink")


class Killed(BaseException):
    """The process is gone: nothing after this runs, not even what tidies up."""


@dataclass(frozen=True)
class Operation:
    """One call, as it was made.

    Attributes:
        name: of the function of ``os``.
        path: what it worked on; of a rename or a link, the source.
        target: of a rename or a link.
        data: that was written.
        folder: whether ``path`` is a folder.
    """

    name: str
    path: str
    target: str = ""
    data: bytes = b""
    folder: bool = False

    def __str__(self) -> str:
        return f"{self.name} {'folder' if self.folder else 'file'}"


@dataclass
class Faults:
    """``os`` for a writer, with one fault.

    Args:
        at: the number of the operation, from 1, that goes wrong; 0 lets all pass.
        happens: what happens instead of the operation; it may do part of it.
        leave_out: operations that silently do nothing: a writer with a bug.
    """

    at: int = 0
    happens: Callable[[Callable[[], Any], Operation], Any] = lambda perform, operation: perform()
    leave_out: Callable[[Operation], bool] = lambda operation: False
    log: list[Operation] = field(default_factory=list)
    dead: bool = False
    _open: dict[int, tuple[str, bool]] = field(default_factory=dict)

    def __getattr__(self, name: str) -> Any:
        real = getattr(os, name)
        if name not in OPERATIONS:
            return real

        def call(*arguments: Any, **options: Any) -> Any:
            if self.dead:
                raise Killed
            operation = self._describe(name, *arguments)
            if self.leave_out(operation):
                return None
            self.log.append(operation)

            def perform() -> Any:
                result = real(*arguments, **options)
                if name == "open":
                    self._open[result] = (os.fspath(arguments[0]), os.path.isdir(arguments[0]))
                return result

            if len(self.log) != self.at:
                return perform()
            try:
                return self.happens(perform, operation)
            except Killed:
                self.dead = True
                raise

        return call

    def _describe(self, name: str, *arguments: Any) -> Operation:
        first = arguments[0]
        if name == "open":
            return Operation(name, os.fspath(first), folder=os.path.isdir(first))
        if isinstance(first, int):
            path, folder = self._open[first]
            data = bytes(arguments[1]) if name == "write" else b""
            return Operation(name, path, data=data, folder=folder)
        target = os.fspath(arguments[1]) if name in ("link", "replace") else ""
        return Operation(name, os.fspath(first), target)


def killed_before(perform: Callable[[], Any], operation: Operation) -> Any:
    """The process dies and the operation was not made."""
    raise Killed


def killed_after(perform: Callable[[], Any], operation: Operation) -> Any:
    """The process dies when the operation is made."""
    perform()
    raise Killed


def fails_with(number: int) -> Callable[[Callable[[], Any], Operation], Any]:
    """The operation fails as the operating system has it."""

    def fail(perform: Callable[[], Any], operation: Operation) -> Any:
        if operation.name == "close":
            perform()  # a close that fails has closed all the same
        raise OSError(number, os.strerror(number), operation.path)

    return fail


@dataclass(eq=False)
class _File:
    """What of a file is on the disk for sure, and what has been written since."""

    safe: bytes = b""
    chunks: list[bytes] = field(default_factory=list)

    @property
    def written(self) -> bytes:
        """What the process believes to be in the file."""
        return self.safe + b"".join(self.chunks)

    def possible(self) -> list[bytes]:
        """What the disk may hold: some of the chunks, and for the others nothing or zeros."""
        whole = self.written
        ends = [len(self.safe), *itertools.accumulate(map(len, self.chunks), initial=len(self.safe))]
        torn = [part for end in ends for part in (whole[:end], whole[:end].ljust(len(whole), b"\0"))]
        return list(dict.fromkeys(torn))


def states_after_power_loss(before: dict[str, bytes], log: list[Operation]) -> Iterator[tuple[int, dict[str, bytes]]]:
    """Every folder that a disk may hold if the power goes between two operations.

    Names that were made, moved or deleted since the folder was last flushed may each have got to the disk or not.

    Args:
        before: the files that are safely there, by name.
        log: what a writer did in that one folder.

    Yields:
        how many operations were made, and the files by name.
    """
    safe_names = {name: _File(content) for name, content in before.items()}
    names, changes = dict(safe_names), list[dict[str, _File | None]]()
    yield 0, before
    for made, operation in enumerate(log, start=1):
        name, target = Path(operation.path).name, Path(operation.target).name
        match str(operation):
            case "open file":
                changes.append({name: _File()})
            case "write file":
                names[name].chunks.append(operation.data)
            case "fsync file":
                names[name].safe, names[name].chunks = names[name].written, []
            case "link file":
                changes.append({target: names[name]})
            case "replace file":
                changes.append({target: names[name], name: None})
            case "unlink file":
                changes.append({name: None})
        names = _after(safe_names, changes)
        if str(operation) == "fsync folder":
            safe_names, changes = names, []
        for count in range(len(changes) + 1):
            for kept in itertools.combinations(changes, count):
                on_disk = _after(safe_names, kept)
                files = list(dict.fromkeys(on_disk.values()))
                for contents in itertools.product(*(file.possible() for file in files)):
                    held = dict(zip(files, contents, strict=True))
                    yield made, {name: held[file] for name, file in on_disk.items()}


def _after(names: dict[str, _File], changes: Iterable[dict[str, _File | None]]) -> dict[str, _File]:
    """A folder's table of names once changes were made to it."""
    changed: dict[str, _File | None] = dict(names)
    for change in changes:
        changed |= change
    return {name: file for name, file in changed.items() if file is not None}
