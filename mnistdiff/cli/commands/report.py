"""``mnistdiff report``."""

from pathlib import Path
from typing import Annotated

import typer

from mnistdiff.cli import console, options
from mnistdiff.cli.model_input import about, warn_of
from mnistdiff.cli.output import Output

EXAMPLES = """
mnistdiff report runs/001-fast -o report.html
mnistdiff evaluate runs/001-fast -o runs/001-fast/evaluation.json
mnistdiff report runs/001-fast -o - > report.html
"""


_Run = Annotated[
    Path | None,
    typer.Argument(metavar="RUN", readable=False, help="A run folder; default: the newest run.", show_default=False),
]
_Output = Annotated[str, typer.Option("-o", "--output", metavar="FILE|-", help="The HTML file; - is stdout.")]
_Evaluation = Annotated[
    Path | None,
    options.file("--evaluation", help="A report of evaluate -o; default: evaluation.json in the run, if it exists."),
]


def report_command(
    run: _Run = None,
    output: _Output = "report.html",
    evaluation: _Evaluation = None,
    force: options.Force = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Write an HTML report of a run: loss curves, previews, evaluation, settings.

    The report is a single file, images included, that any browser shows.
    """
    target = Output.one_file(output, (".html", ".htm"), what="a page", as_json=json)
    target.refuse_existing(force=force)

    from mnistdiff.engine.checkpoint.model_info import ModelInfo
    from mnistdiff.engine.runs.html_report import report
    from mnistdiff.engine.runs.lookup import run_to_show

    chosen = run_to_show(run)
    console.note(f"reporting on {chosen}", quiet=quiet or json)
    content = report(chosen, evaluation)
    model = ModelInfo.read(chosen.best())
    warn_of(model)
    target.finish(content, {"bytes": len(content), "run": str(chosen), **about(model)}, as_json=json)
