"""Names of classes as sheets show them, and the fonts that have their characters."""

import importlib.util
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # a single image is written without Pillow
    from PIL import ImageFont

    Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

_LONGEST = 24
"""Characters."""
_HEPBURN = {"si": "shi", "ti": "chi", "tu": "tsu", "hu": "fu"}
"""Unicode names some kana otherwise than most romanisations."""
_DEJAVU = "mpl-data/fonts/ttf/DejaVuSans.ttf"
_NO_CHARACTER = "\U0010ffff"


def caption(name: str, label: int) -> str:
    """The name of a class in characters that a font has: as it is, else romanised, else by its label."""
    short = name if len(name) <= _LONGEST else f"{name[: _LONGEST - 3]}..."
    return short if _can_show(short) else _romanised(short) or f"class {label}"


def font_for(texts: Iterable[str], size: int) -> "Font":
    """A font for these texts: that of Pillow, which has ASCII alone, else DejaVu Sans, which matplotlib brings."""
    from PIL import ImageFont

    path = None if all(text.isascii() for text in texts) else _dejavu()
    return ImageFont.load_default(size) if path is None else ImageFont.truetype(path, size)


def _dejavu() -> Path | None:
    spec = importlib.util.find_spec("matplotlib")  # not imported, which takes long
    folders = (spec.submodule_search_locations if spec else None) or ()
    return next((path for path in (Path(folder, _DEJAVU) for folder in folders) if path.is_file()), None)


@lru_cache(maxsize=512)
def _can_show(text: str) -> bool:
    """Whether ``font_for`` has all characters of a text."""
    if text.isascii():
        return True
    font = font_for([text], 16)
    missing = bytes(font.getmask(_NO_CHARACTER))
    return all(bytes(font.getmask(character)) != missing for character in text)


def _romanised(text: str) -> str:
    """Letters and syllables of other scripts by their names in Unicode; empty if a character is none."""
    import unicodedata

    parts = []
    for character in text:
        name = unicodedata.name(character, "")
        if "LETTER" not in name and "SYLLABLE" not in name:
            return ""
        sound = name.rpartition(" ")[2].lower()
        parts.append(_HEPBURN.get(sound, sound))
    return "".join(parts)
