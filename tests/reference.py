"""The commands and their options on one page. ``python tests/reference.py`` writes it; a test compares."""

from pathlib import Path

import typer
from typer.cli import get_docs_for_click
from typer.core import TyperGroup

from mnistdiff.cli.registry import COMMANDS, load

PAGE = Path(__file__).parents[1] / ".github" / "COMMANDS.md"


def reference() -> str:
    """The page, from the program itself."""
    group = TyperGroup(name="mnistdiff")
    parts = [
        "# Commands\n\nWhat `mnistdiff COMMAND --help` says, on one page; written by `python tests/reference.py`.\n",
        "\n".join(f"- [`{name}`](#mnistdiff-{name}): {e.summary}" for name, e in COMMANDS.items() if not e.hidden),
        "\n",
    ]
    for name, entry in COMMANDS.items():
        if not entry.hidden:
            group.add_command(load(name))
            context = typer.Context(group, info_name="mnistdiff")
            parts.append(
                get_docs_for_click(obj=group.commands[name], ctx=context, indent=1, name=name, call_prefix="mnistdiff")
            )
    return "\n".join(part.rstrip() + "\n" for part in parts)


if __name__ == "__main__":
    PAGE.write_text(reference())
