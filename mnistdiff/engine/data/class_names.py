"""Names of classes as people type them."""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType

DIGITS = tuple("0123456789")
"""The class names of MNIST."""
CLASSES_FILE = "classes.txt"
"""Beside IDX files: the names of their labels, a line for each."""
_MOST_NAMES = 12
_RESERVED = '<>:"/\\|?*~'
_LONGEST_STEM = 60
"""Characters, of at most four bytes each: a file name has 255 bytes."""


def find_label(
    text: str, names: Sequence[str], aliases: Mapping[str, str] = MappingProxyType({}), *, title: str
) -> int:
    """The label of the class that a text names.

    A name is matched exactly, then without regard to case, then as an alias. Last, a number is the label itself, unless
    a class name is a number.

    Args:
        text: what was typed.
        names: of the labels 0, 1, 2, ...
        aliases: other names, and the names that they stand for.
        title: of the data set, for the error.

    Raises:
        ValueError: if no class, or more than one, is meant; the message suggests names.
    """
    if text in names:
        return names.index(text)
    typed = _plain(text)
    alike = [label for label, name in enumerate(names) if _plain(name) == typed]
    if len(alike) > 1:
        raise ValueError(f"{text!r} may be the class {' or '.join(names[label] for label in alike)} of {title}")
    if alike:
        return alike[0]
    for alias, name in aliases.items():
        if _plain(alias) == typed:
            return names.index(name)
    if re.fullmatch("[0-9]{1,3}", typed) and int(typed) < len(names) and not any(map(str.isdecimal, names)):
        return int(typed)
    raise ValueError(f"{text!r} is no class of {title}: {_suggestions(typed, names, aliases)}")


def _plain(name: str) -> str:
    """A name without case, with one kind of separator, and each accented letter as one character."""
    import unicodedata

    return re.sub(r"[\s_-]+", "-", unicodedata.normalize("NFC", name).strip().casefold())


def _suggestions(typed: str, names: Sequence[str], aliases: Mapping[str, str]) -> str:
    """The names most similar to a text; else all of them, or the first and the last of many."""
    import difflib  # takes time, and only an error needs it

    known = {_plain(name): name for name in (*aliases, *names)}
    close = difflib.get_close_matches(typed, known, n=3)
    if close and len(typed) > 2:
        return f"did you mean {' or '.join(known[each] for each in close)}?"
    if len(names) <= _MOST_NAMES and names != DIGITS:
        return ", ".join(names)
    return " to ".join(dict.fromkeys((names[0], names[-1])))


@lru_cache(maxsize=8)
def file_stems(names: tuple[str, ...]) -> tuple[str, ...]:
    """For each class a part of a file name that every file system has, and that no other class has.

    Letters of all languages stay. Where other characters are replaced, or names differ in case alone, the label follows
    after ``~``.
    """
    import unicodedata

    stems = []
    for name in names:
        composed = unicodedata.normalize("NFC", name)
        plain = "".join("-" if each in _RESERVED or not each.isprintable() else each for each in composed)
        stems.append(re.sub(r"[\s-]+", "-", plain).strip("-.")[:_LONGEST_STEM])
    folded = [stem.casefold() for stem in stems]
    return tuple(
        stem if stem == name and folded.count(stem.casefold()) == 1 else f"{stem}~{label}"
        for label, (name, stem) in enumerate(zip(names, stems, strict=True))
    )
