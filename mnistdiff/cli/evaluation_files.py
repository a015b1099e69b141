"""What ``evaluate`` writes beside its result on stdout: the report, a plot, the closest pairs."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mnistdiff.cli import console
from mnistdiff.cli.options import By
from mnistdiff.cli.output import Output, undone_on_failure
from mnistdiff.engine.runs.links import require_inside_the_run
from mnistdiff.errors import SettingsError

if TYPE_CHECKING:
    from mnistdiff.engine.evaluation.report import EvaluationReport

_DEFAULT_PAIRS = "memorization_pairs.png"
PlotFile = Annotated[
    Path | None, typer.Option("--plot", metavar="FILE", help="With --by: also draw the comparison, as PNG.")
]
PairsFile = Annotated[
    Path | None,
    typer.Option(
        "--pairs", metavar="FILE", help=f"With --memorization: where to draw them (default {_DEFAULT_PAIRS})."
    ),
]
ReportFile = Annotated[
    Path | None, typer.Option("-o", "--output", metavar="FILE", help="Also write the report there, as JSON.")
]


@dataclass(frozen=True)
class EvaluationFiles:
    """What is written beside the result on stdout."""

    report: Output | None
    plot: Output | None
    pairs: Output | None
    force: bool

    @classmethod
    def parse(cls, values: dict[str, Any]) -> "EvaluationFiles":
        """From the command's parameters.

        Raises:
            SettingsError: for a file of another kind, one that is there, or one that has nothing to hold.
        """
        if values["plot"] is not None and values["by"] is None:
            raise SettingsError("--plot draws what --by compares", "Add for example --by guidance=1,1.5,2.")
        if values["pairs"] is not None and not values["memorization"]:
            raise SettingsError("--pairs draws what --memorization finds", "Add --memorization.")
        # Not by ``in``, to which 0 is False.
        for_one = ("memorization", "min_accuracy", "max_fcd")
        alone = [name for name in for_one if values[name] is not None and values[name] is not False]
        if values["by"] is not None and alone:
            flag = f"--{alone[0].replace('_', '-')}"
            raise SettingsError(f"{flag} is for one evaluation, and --by makes several", "Leave out one of them.")
        pairs = values["pairs"] or (Path(_DEFAULT_PAIRS) if values["memorization"] else None)
        force = values["force"]
        return cls(
            report=_new_file("--output", values["output"], ".json", force=force),
            plot=_new_file("--plot", values["plot"], ".png", force=force),
            pairs=_new_file("--pairs", pairs, ".png", force=force),
            force=force,
        )

    def write(
        self, reports: "Sequence[EvaluationReport]", content: dict[str, Any], compared: By | None, *, quiet: bool
    ) -> None:
        """Write what was asked for, and say where on stderr.

        Raises:
            StorageError: if something that is not a folder is in the way.
            OSError: if the file system refuses.
        """
        with undone_on_failure(force=self.force) as written:
            written += [file.file for file in (self.report, self.pairs, self.plot) if file is not None]
            if self.report is not None:
                _write(self.report, (json.dumps(content, indent=2, allow_nan=False) + "\n").encode(), quiet=quiet)
            if self.pairs is not None and reports[0].memorization is not None:
                _write(self.pairs, reports[0].memorization.sheet, quiet=quiet)
            if self.plot is not None and compared is not None:
                from mnistdiff.engine.outputs.sweep_plot import sweep_plot

                _write(self.plot, sweep_plot(compared.name, compared.values, reports), quiet=quiet)


def _write(file: Output, content: bytes, *, quiet: bool) -> None:
    console.note(f"saved {file.write('', content)}", quiet=quiet)


def _new_file(flag: str, path: Path | None, suffix: str, *, force: bool) -> Output | None:
    if path is None:
        return None
    if path.suffix.lower() != suffix:
        raise SettingsError(f"{flag} {path}: not a name that ends in {suffix}", f"Use for example {path.stem}{suffix}.")
    require_inside_the_run(path)
    if path.exists() and not path.is_file():
        raise SettingsError(f"{path} is already there, and is not a file", f"Use {flag} with another name.")
    if path.exists() and not force:
        raise SettingsError(f"{path} is already there", f"Use --force to replace it, or {flag} with another name.")
    return Output(file=path)
