"""The command line reference: ``python tests/reference.py`` writes the options of every command into it.

What stands above the mark is written by hand; test_docs compares all of it with the program.
"""

from pathlib import Path

import typer
from typer.core import TyperCommand, TyperGroup

from mnistdiff.cli.registry import COMMANDS, load

PAGE = Path(__file__).parents[1] / ".github" / "docs" / "cli.md"
MARK = "<!-- Written by tests/reference.py from here to the end. -->\n"


def reference() -> str:
    """The page: what is written by hand, and the options from the program itself."""
    shown = {name: entry for name, entry in COMMANDS.items() if not entry.hidden}
    contents = [f"- [`{name}`](#mnistdiff-{name}): {entry.summary}\n" for name, entry in shown.items()]
    sections = [_section(name, load(name)) for name in shown]
    above = PAGE.read_text(encoding="utf-8").partition(MARK)[0]
    return "\n".join([above + MARK, "## Commands\n", "".join(contents), *sections])


def _section(name: str, command: TyperCommand) -> str:
    """A command: what it does, its arguments and options, its examples."""
    group = typer.Context(TyperGroup(name="mnistdiff"), info_name="mnistdiff")
    context = typer.Context(command, info_name=name, parent=group)
    rows = {"argument": [], "option": []}
    for parameter in command.get_params(context):
        if "--help" not in parameter.opts:
            flags, text = parameter.get_help_record(context)
            rows[parameter.param_type_name].append(f"- `{flags}`: {text}\n")
    usage = " ".join(["mnistdiff", name, *command.collect_usage_pieces(context)])
    examples = "".join(f"{line}\n" for line in command.epilog.splitlines() if line.startswith("mnistdiff "))
    parts = [
        f"## `mnistdiff {name}`\n",
        f"{command.help}\n",
        f"Usage: `{usage}`\n",
        *(f"{kind.capitalize()}s:\n\n{''.join(lines)}" for kind, lines in rows.items() if lines),
        f"Examples:\n\n```sh\n{examples}```\n",
    ]
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(reference(), encoding="utf-8")
