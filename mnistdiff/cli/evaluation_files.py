"""What ``evaluate`` writes beside its result on stdout: the report, a plot, the closest pairs."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mnistdiff.cli import console
from mnistdiff.cli.option_groups import Sweep
from mnistdiff.cli.output import Output, refuse_existing, undone_on_failure
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
    def of(
        cls,
        *,
        report: Path | None,
        plot: Path | None,
        pairs: Path | None,
        by: Sweep | None,
        memorization: bool,
        force: bool,
    ) -> "EvaluationFiles":
        """From the options of ``evaluate``.

        Raises:
            SettingsError: for a file with another suffix, one that exists, or one that would be empty.
        """
        if plot is not None and by is None:
            raise SettingsError("--plot shows what --by compares", "Add for example --by guidance=1,1.5,2.")
        if pairs is not None and not memorization:
            raise SettingsError("--pairs shows what --memorization finds", "Add --memorization.")
        if pairs is None and memorization:
            pairs = Path(_DEFAULT_PAIRS)
        return cls(
            report=_new_file("--output", report, ".json", force=force),
            plot=_new_file("--plot", plot, ".png", force=force),
            pairs=_new_file("--pairs", pairs, ".png", force=force),
            force=force,
        )

    def write(
        self, reports: "Sequence[EvaluationReport]", content: dict[str, Any], compared: Sweep | None, *, quiet: bool
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
    refuse_existing(path, force=force, hint=f"Use --force to replace it, or {flag} with another name.")
    return Output(file=path)
