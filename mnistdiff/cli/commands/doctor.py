"""``mnistdiff doctor``."""

from typing import Any

from mnistdiff.cli import console, options

EXAMPLES = """Examples:

mnistdiff doctor

mnistdiff doctor --json"""


def doctor_command(data_dir: options.DataDir = None, json: options.Json = False) -> None:
    """Say what this machine offers, and draw a digit to see that all works: what a bug report needs.

    Opens no connection.
    """
    from mnistdiff.engine.doctor import examine

    health = examine(data_dir)
    if json:
        console.result_json(health.to_dict())
        return
    rows: list[tuple[str, str]] = []
    for name, value in health.to_dict().items():
        rows += _rows(name, value)
    console.result_table("", rows)


def _rows(name: str, value: Any) -> list[tuple[str, str]]:
    if name == "drew":
        return [(f"one digit by {backend}", f"{seconds:.2f} s") for backend, seconds in value.items()]
    if name == "problems":
        return [("problem", sentence) for sentence in value]
    if isinstance(value, dict):
        return [(inner, str(content or "not installed")) for inner, content in value.items()]
    return [(name, ", ".join(value) if isinstance(value, (list, tuple)) else str(value))]
