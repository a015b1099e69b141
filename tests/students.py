"""Checkpoints of distilled models, for tests of what is done with them: the weights are the teacher's."""

from pathlib import Path

import pytest

from mnistdiff.distillation import Distillation
from mnistdiff.engine.checkpoint import pretrained
from mnistdiff.engine.checkpoint.file import encode_checkpoint, read_checkpoint
from mnistdiff.engine.checkpoint.header import read_checkpoint_file
from mnistdiff.engine.checkpoint.pretrained import PRETRAINED
from mnistdiff.sample_settings import SampleSettings


def write_student(path: Path, steps: int, **record: object) -> Path:
    """A model distilled from the bundled teacher, with its weights; other values of the record by name."""
    read = read_checkpoint(PRETRAINED)
    of_teacher = SampleSettings(sampler="ddim", steps=4 * steps, guidance=2)
    of_student = {"teacher": read.sha256, "prediction": "v_prediction", "sampling": of_teacher, "steps": steps}
    distillation = Distillation(**{**of_student, **record})
    settings = read.metadata.settings.model_copy(update={"distillation": distillation})
    path.write_bytes(encode_checkpoint(read.metadata.model_copy(update={"settings": settings}), read.tensors))
    assert read_checkpoint_file(path).settings.distillation == distillation
    return path


def bundle_student(monkeypatch: pytest.MonkeyPatch, folder: Path, steps: int) -> Path:
    """Make a student of the bundled teacher, with its model card, a bundled model that ``bundled`` samples with."""
    card = PRETRAINED.with_suffix(".json").read_text()
    (folder / f"pretrained-{steps}.json").write_text(card)
    monkeypatch.setattr(pretrained, "_ASSETS", folder)
    monkeypatch.setattr(pretrained, "_STUDENTS", (steps,))
    return write_student(folder / f"pretrained-{steps}.safetensors", steps)
