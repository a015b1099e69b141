"""The HTML report of a run: settings, training curves, previews, evaluation."""

import base64
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined

from mnistdiff import __version__
from mnistdiff.engine.checkpoint.describe import Description, describe
from mnistdiff.engine.evaluation.report import EvaluationReport
from mnistdiff.engine.libraries import require
from mnistdiff.engine.outputs.png import encode_png
from mnistdiff.engine.runs.metrics import Record, held_out_losses
from mnistdiff.engine.runs.preview_animation import evenly, preview
from mnistdiff.engine.runs.run_dir import RunDir
from mnistdiff.errors import CheckpointError
from mnistdiff.preset_table import PRESETS
from mnistdiff.settings import TrainSettings
from mnistdiff.shell import class_option, quoted

_MOST_PREVIEWS = 24
"""Shown of a long run, evenly spaced: the page stays small enough to be sent."""


class Preview(NamedTuple):
    """The preview grid of an epoch, as a data URI."""

    epoch: int
    uri: str


class Setting(NamedTuple):
    """A setting of the run, and whether it differs from the preset."""

    name: str
    value: str
    changed: bool


def report(run: RunDir, evaluation: Path | None = None) -> bytes:
    """Build one self-contained HTML page: no scripts, fonts or images from elsewhere.

    Args:
        run: with at least one checkpoint.
        evaluation: file of an evaluation report; default: ``evaluation.json`` of the run, if there is one.

    Raises:
        CheckpointError: if the run has no checkpoint, or that cannot be read.
        StorageError: if a preview or the evaluation cannot be read.
    """
    checkpoint = run.best()
    if not checkpoint.is_file():
        raise CheckpointError(f"{run.path} holds no checkpoint to report on", "Name the folder of a run.")
    description = describe(checkpoint)
    settings = TrainSettings.model_validate(description.settings)
    records = run.read_metrics()
    steps = [record for record in records if record["kind"] == "step"]
    speeds = [record["images_per_second"] for record in steps if record.get("images_per_second")]
    file = evaluation or (run.evaluation if run.evaluation.is_file() else None)
    evaluated = EvaluationReport.read(file) if file else None
    page = _pages().get_template("report.html")
    text = page.render(
        version=__version__,
        name=run.path.resolve().name,
        run=str(run.path),
        checkpoint=description,
        complete=description.step >= description.total_steps,
        images_per_second=statistics.median(speeds) if speeds else None,
        curves=_curves(steps, settings, description),
        previews=_previews(run),
        evaluation=evaluated,
        evaluated_here=evaluated is not None and evaluated.model.sha256 == description.sha256,
        settings=_settings(settings, description.settings),
        class_option=class_option(settings.spec),
    )
    return text.encode(errors="backslashreplace")  # for file names that are not UTF-8


def _pages() -> Environment:
    environment = Environment(
        loader=PackageLoader("mnistdiff", "assets"),
        autoescape=True,  # a run folder may come from an untrusted source
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["quoted"] = quoted
    return environment


def _curves(steps: Sequence[Record], settings: TrainSettings, description: Description) -> dict[str, str]:
    """The training curves for light and dark mode, as data URIs; none before the first record."""
    if not steps:
        return {}
    require("matplotlib")
    from mnistdiff.engine.outputs.figures import DARK, LIGHT
    from mnistdiff.engine.outputs.loss_plot import training_curves

    return {
        name: _uri(
            "image/svg+xml",
            training_curves(
                [record["step"] for record in steps],
                [record["loss"] for record in steps],
                [float(record.get("lr", 0.0)) for record in steps],
                steps_per_epoch=settings.steps_per_epoch(description.num_train_images),
                palette=palette,
                held_out=held_out_losses(steps),
            ),
        )
        for name, palette in (("light", LIGHT), ("dark", DARK))
    }


def _previews(run: RunDir) -> list[Preview]:
    chosen = evenly(list(run.previews().items()), _MOST_PREVIEWS)
    # Decoded and encoded again, since a file of that name may hold anything.
    return [Preview(epoch, _uri("image/png", encode_png(preview(path)))) for epoch, path in chosen]


def _settings(settings: TrainSettings, names: Iterable[str]) -> list[Setting]:
    preset = TrainSettings.model_validate({"preset": settings.preset, **PRESETS[settings.preset]})
    return [
        Setting(
            name, ", ".join(map(str, value)) if isinstance(value, tuple) else str(value), usual not in (value, "auto")
        )
        for name, value, usual in ((name, getattr(settings, name), getattr(preset, name)) for name in names)
    ]


def _uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"
