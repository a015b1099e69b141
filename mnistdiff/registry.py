"""Registries: extensible tables of samplers, prediction types, noise schedules, networks, data sets.

A setting accepts the names of its table. The names that the package brings are listed beside the settings, so that help
and usage errors load no library; the entries are registered by the module that defines them, which is imported at the
first look-up. A program that uses the package registers its own entries likewise.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from importlib import import_module
from typing import Any, TypeVar

from mnistdiff.errors import CheckpointError

T = TypeVar("T")

_ACCEPTS_UNREGISTERED = ContextVar("accepts_unregistered", default=False)


@contextmanager
def unregistered_accepted() -> Iterator[None]:
    """While this is open, ``require`` accepts names of no entry: those in files that another program wrote."""
    token = _ACCEPTS_UNREGISTERED.set(True)
    try:
        yield
    finally:
        _ACCEPTS_UNREGISTERED.reset(token)


class Registry(Mapping[str, T]):
    """An extensible table of named entries.

    Args:
        kind: what the entries are, for errors: ``sampler``.
        names: of the entries that ``module`` registers.
        module: imported at the first look-up; ``{}`` in it is the name of the entry, for a module for each.
        reserved: a name that settings accept, and that has no entry.
    """

    def __init__(self, kind: str, names: Sequence[str], module: str, *, reserved: str | None = None) -> None:
        self.kind, self._reserved = kind, reserved
        self._names, self._builtin = list(names), frozenset(names)
        self._module = module
        self._entries: dict[str, T] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """All names, without importing the entries."""
        return tuple(self._names)

    def is_builtin(self, name: str) -> bool:
        """Whether the package itself brings the entry."""
        return name in self._builtin

    def register(self, name: str) -> Callable[[T], T]:
        """Decorate a function or a class to be the entry ``name``; ``add`` is the same for a value.

        Raises:
            ValueError: if the name is taken.
        """

        def decorate(entry: T) -> T:
            self.add(name, entry)
            return entry

        return decorate

    def add(self, name: str, entry: T) -> None:
        """Add an entry.

        Raises:
            ValueError: if the name is taken.
        """
        if name in (*self._entries, self._reserved):
            raise ValueError(f"{self.kind} {name!r} is already registered")
        if name not in self._names:
            self._names.append(name)
        self._entries[name] = entry

    def require(self, name: str) -> str:
        """Validate a name without importing its entry, as a Pydantic validator does.

        Raises:
            ValueError: naming all known names.
        """
        if _ACCEPTS_UNREGISTERED.get() and re.fullmatch(r"[A-Za-z0-9_.-]{1,60}", name):
            return name
        if name not in (*self._names, self._reserved):
            *first, last = map(repr, self._names)
            raise ValueError(f"should be {', '.join(first)} or {last}" if first else f"should be {last}")
        return name

    def require_entry(self, name: str, *, source: str) -> None:
        """Raise CheckpointError if ``source``, a checkpoint, needs an entry that is not registered here."""
        if name not in (*self._names, self._reserved):
            raise CheckpointError(
                f"{source} needs the {self.kind} {name!r}, which is not registered here",
                "Import the Python module that registers it first.",
            )

    def __getitem__(self, name: str) -> T:
        if name not in self._entries and name in self._builtin:
            import_module(self._module.format(name))
        try:
            return self._entries[name]
        except KeyError:
            raise KeyError(f"unknown {self.kind} {name!r}; known: {', '.join(self._names)}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def table_of(rules: Sequence[object]) -> Registry[Any] | None:
    """The table whose ``require`` is among the validators of a setting."""
    tables = [getattr(getattr(rule, "func", None), "__self__", None) for rule in rules]
    return next((table for table in tables if isinstance(table, Registry)), None)
