"""A run as one page: what was trained, how it went, what it draws, how good that is."""

import base64
import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mnistdiff import __version__
from mnistdiff.engine.checkpoint.describe import Description, describe
from mnistdiff.engine.libraries import require
from mnistdiff.engine.outputs.png import encode_png
from mnistdiff.engine.runs.preview_animation import evenly, preview
from mnistdiff.engine.runs.run_dir import RunDir
from mnistdiff.errors import CheckpointError, StorageError, explain
from mnistdiff.presets import PRESETS
from mnistdiff.settings import TrainSettings
from mnistdiff.settings_file import read_file_or_pipe
from mnistdiff.shell import quoted

_MOST_PREVIEWS = 24
"""Of a long run so many are shown, evenly from the first to the last: the page stays small enough to be sent."""


_MAX_EVALUATION_BYTES = 2**20
_Count = Annotated[int, Field(ge=0, le=10**12)]


class _Told(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class _Share(_Told):
    share: float = Field(ge=0, le=1)
    low: float = Field(ge=0, le=1)
    high: float = Field(ge=0, le=1)


class _Overlap(_Told):
    precision: float
    recall: float
    density: float
    coverage: float


class _Judge(_Told):
    accuracy: _Share
    accuracy_of_test_images: _Share
    accuracy_by_digit: dict[str, _Share]
    fcd: float
    fcd_floor: float | None
    fcd_ratio: float | None
    manifold: _Overlap | None


class _Usefulness(_Told):
    score: float
    score_of_real_images: float
    num_images: _Count


class _Subject(_Told):
    sha256: str
    step: _Count


class _Sampling(_Told):
    sampler: str
    steps: _Count
    guidance: float


class EvaluationSummary(_Told):
    """What a page shows of an evaluation: a part of what ``evaluate -o FILE`` writes."""

    model: _Subject
    sampling: _Sampling
    num_images: _Count
    judges: dict[str, _Judge] = Field(min_length=1)
    cas: _Usefulness | None

    @classmethod
    def read(cls, path: Path) -> "EvaluationSummary":
        """From the file.

        Raises:
            StorageError: if it cannot be read, or is something else.
        """
        try:
            content = read_file_or_pipe(path, max_bytes=_MAX_EVALUATION_BYTES)
            if len(content) > _MAX_EVALUATION_BYTES:
                raise _no_evaluation(path, f"it holds more than {_MAX_EVALUATION_BYTES // 2**20} MiB")
            values = json.loads(content)
            return cls.model_validate(values)
        except OSError as error:
            raise StorageError(f"cannot read {path}: {error.strerror}", "Check the path.") from error
        except ValidationError as error:
            raise _no_evaluation(path, explain(error)) from error
        except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
            raise _no_evaluation(path, "it is not JSON") from error
        except ValueError as error:  # neither a file nor a pipe; or a number of thousands of digits
            raise _no_evaluation(path, str(error)[:80]) from error


def _no_evaluation(path: Path, why: str) -> StorageError:
    return StorageError(
        f"{path} is not the evaluation of a model: {why}", "Write one: mnistdiff evaluate RUN -o RUN/evaluation.json"
    )


class Preview(NamedTuple):
    """Digits that a run drew after an epoch, as a data URI."""

    epoch: int
    uri: str


class Setting(NamedTuple):
    """A setting of the run, and whether its preset would have it otherwise."""

    name: str
    value: str
    changed: bool


def report(run: RunDir, evaluation: Path | None = None) -> bytes:
    """One HTML page that needs nothing beside it: no script of others, no font, no picture from elsewhere.

    Args:
        run: with at least a checkpoint.
        evaluation: what ``evaluate -o`` wrote; by default ``evaluation.json`` of the run, if it is there.

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
    judged = evaluation or (run.evaluation if run.evaluation.is_file() else None)
    summary = EvaluationSummary.read(judged) if judged else None
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
        evaluation=summary,
        evaluated_here=summary is not None and summary.model.sha256 == description.sha256,
        settings=_settings(settings),
    )
    return text.encode(errors="backslashreplace")  # a name of bytes that are not UTF-8


def _pages() -> Environment:
    environment = Environment(
        loader=PackageLoader("mnistdiff", "assets"),
        autoescape=True,  # a run folder may come from somebody else
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["quoted"] = quoted
    return environment


def _curves(steps: Sequence[dict[str, Any]], settings: TrainSettings, description: Description) -> dict[str, str]:
    """The curves of the training on light and on dark paper, as data URIs; none before the first record."""
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
            ),
        )
        for name, palette in (("light", LIGHT), ("dark", DARK))
    }


def _previews(run: RunDir) -> list[Preview]:
    chosen = evenly(list(run.previews().items()), _MOST_PREVIEWS)
    # Decoded and encoded again: a file of that name may hold anything.
    return [Preview(epoch, _uri("image/png", encode_png(preview(path)))) for epoch, path in chosen]


def _settings(settings: TrainSettings) -> list[Setting]:
    preset = TrainSettings.model_validate({"preset": settings.preset, **PRESETS[settings.preset]})
    return [
        Setting(name, ", ".join(map(str, value)) if isinstance(value, tuple) else str(value), value != usual)
        for name, value, usual in (
            (name, getattr(settings, name), getattr(preset, name)) for name in type(settings).model_fields
        )
    ]


def _uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"
