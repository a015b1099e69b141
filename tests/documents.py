"""The documents: their text, sections, tables and blocks of code."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
FILES = [ROOT / "README.md", *sorted((ROOT / ".github").rglob("*.md"))]
DOCS = ROOT / ".github" / "docs"


def text_of(name: str) -> str:
    """A document, by its path in the repository."""
    return (ROOT / name).read_text(encoding="utf-8")


def section(text: str, title: str) -> str:
    """What stands below a heading, up to the next of its level."""
    return re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE)[1]


def table(text: str) -> list[list[str]]:
    """The cells of the rows of a table, without its head."""
    rows = [re.split(r" *\| *", line[1:].rstrip("| ")) for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows[2:]]


def blocks(text: str, language: str) -> list[str]:
    """The blocks of code in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def shell_lines() -> list[str]:
    """Each line of shell that runs the program, of all documents, once and without comments."""
    lines = [
        re.sub(r"\s+# .*|\s+#$", "", line)
        for file in FILES
        for block in blocks(file.read_text(encoding="utf-8"), "sh")
        for line in block.replace("\\\n", "").splitlines()
    ]
    return list(dict.fromkeys(line for line in lines if line.startswith("mnistdiff ")))
