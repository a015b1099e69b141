"""``mnistdiff doctor``."""

from dataclasses import asdict
from typing import TYPE_CHECKING

from mnistdiff.cli import console, options

if TYPE_CHECKING:
    from mnistdiff.engine.doctor import Diagnosis

EXAMPLES = """
mnistdiff doctor
mnistdiff doctor --json
"""


def doctor_command(data_dir: options.DataDir = None, json: options.Json = False) -> None:
    """Check the installation: libraries, devices, data, and whether each backend samples.

    Its output belongs into a bug report. It opens no network connection.
    """
    from mnistdiff.engine.doctor import diagnose

    diagnosis = diagnose(data_dir)
    if json:
        console.result_json(asdict(diagnosis))
    else:
        console.result_table("", _rows(diagnosis))


def _rows(d: "Diagnosis") -> list[tuple[str, str]]:
    return [
        ("version", d.version),
        ("python", d.python),
        ("system", d.system),
        *((name, version or "not installed") for name, version in d.libraries.items()),
        ("devices", ", ".join(d.devices)),
        ("threads", str(d.threads)),
        ("threads_limit", d.threads_limit),
        ("processes", str(d.processes)),
        ("bf16", ", ".join(d.bf16) or "no instructions known"),
        ("compiler", d.compiler or "none"),
        *d.variables.items(),
        ("data", d.data),
        ("cache", d.cache),
        *((f"one image by {backend}", f"{seconds:.2f} s") for backend, seconds in d.sampling_seconds.items()),
        *(("problem", problem) for problem in d.problems),
    ]
