"""Who imports the studio, and what it imports: the public Python API alone."""

import ast
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "mnistdiff"
STUDIO, COMMAND = PACKAGE / "studio", PACKAGE / "cli" / "commands" / "studio.py"


def imported(file: Path) -> Iterator[str]:
    """The modules that a file imports, at its head or anywhere else."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_the_studio_is_built_on_the_public_api():
    modules = {module for file in STUDIO.glob("**/*.py") for module in imported(file)}
    assert "mnistdiff.Model" in modules
    assert [each for each in modules if each.startswith(("mnistdiff.engine", "mnistdiff.cli"))] == []


def test_only_its_command_imports_the_studio_and_its_libraries():
    others = {file for file in PACKAGE.rglob("*.py") if not file.is_relative_to(STUDIO)}
    names = ("mnistdiff.studio", "starlette", "uvicorn")
    users = {file for file in others if any(module.startswith(names) for module in imported(file))}
    assert users == {COMMAND}
