"""The model cards of the bundled models."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from mnistdiff.engine.checkpoint.pretrained import bundled_models, name_of
from mnistdiff.engine.evaluation.report import EvaluationReport


class ModelCard(BaseModel):
    """A model card (Mitchell et al. 2019, arXiv 1810.03993).

    Attributes:
        command: that trained it.
        minutes: of training; hardware: that it ran on.
        intended_use, limits, license: in sentences.
        evaluation: its evaluation report.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    command: str
    minutes: float
    hardware: str
    intended_use: str
    limits: str
    license: str
    evaluation: EvaluationReport


def model_card(path: Path) -> ModelCard | None:
    """The card of a checkpoint: only the bundled models have one."""
    bundled = bundled_models().get(name_of(path))
    if bundled is None:
        return None
    return ModelCard.model_validate_json(bundled.with_suffix(".json").read_text(encoding="utf-8"))
