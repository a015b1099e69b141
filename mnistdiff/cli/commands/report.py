"""``mnistdiff report``."""

from pathlib import Path
from typing import Annotated

import typer

from mnistdiff.cli import console, options
from mnistdiff.cli.drawing import about, warn_of
from mnistdiff.cli.output import Output

EXAMPLES = """Examples:

mnistdiff report runs/001-fast -o report.html

mnistdiff evaluate runs/001-fast -o runs/001-fast/evaluation.json

mnistdiff report runs/001-fast -o - > report.html"""


def report_command(
    run: Annotated[
        Path | None,
        typer.Argument(metavar="RUN", readable=False, help="A run folder; default: the newest.", show_default=False),
    ] = None,
    output: Annotated[str, typer.Option("-o", "--output", metavar="FILE|-", help="The page; - is stdout.")] = (
        "report.html"
    ),
    evaluation: Annotated[
        Path | None,
        typer.Option(
            "--evaluation",
            metavar="FILE",
            readable=False,
            help="What evaluate -o wrote; default: evaluation.json of the run, if it is there.",
            show_default=False,
        ),
    ] = None,
    force: options.Force = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Make one HTML page of a run: its curves, its digits through time, its evaluation, its settings.

    The page needs nothing beside it and no network: send it, or open it in a browser.
    """
    target = Output.one_file(output, (".html", ".htm"), what="a page", as_json=json)
    target.refuse_existing([], force=force)

    from mnistdiff.engine.checkpoint.model_info import ModelInfo
    from mnistdiff.engine.runs.html_report import report
    from mnistdiff.engine.runs.lookup import run_to_show

    chosen = run_to_show(run)
    console.note(f"reporting on {chosen}", quiet=quiet or json)
    content = report(chosen, evaluation)
    subject = ModelInfo.read(chosen.best())
    warn_of(subject)
    target.finish(content, {"bytes": len(content), "run": str(chosen), **about(subject)}, as_json=json)
