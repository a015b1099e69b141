"""Data for trainings in this process, and unbroken runs to compare with."""

import json
import os

import numpy as np
import pytest
from trainings import IMAGES, SETTINGS, unbroken

from mnistdiff.engine import pipeline
from mnistdiff.engine.data.datasets import LabelledImages
from mnistdiff.engine.data.load import TrainingImages
from mnistdiff.engine.outputs import loss_plot
from mnistdiff.engine.runs import recorder


@pytest.fixture
def small_data_and_quick_pictures(monkeypatch):
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (IMAGES, 28, 28), dtype=np.uint8)
    labels = random.integers(0, 10, IMAGES, dtype=np.uint8)
    data = LabelledImages(images, labels)
    monkeypatch.setattr(
        pipeline,
        "load_training_images",
        lambda settings, **_: TrainingImages.of(data, settings, name=settings.dataset),
    )
    # The data of a curve, instead of a plot, which takes a third of a second.
    monkeypatch.setattr(loss_plot, "loss_curve", lambda *what, **how: json.dumps([what, how]).encode())
    monkeypatch.setattr(recorder, "PREVIEW_COLUMNS", 1)
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # no power failure happens here


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """An unbroken run of the settings to compare with, trained once."""
    runs = {}

    def run(settings=SETTINGS):
        key = settings.model_dump_json()
        if key not in runs:
            runs[key] = unbroken(tmp_path_factory.mktemp("whole"), settings)
        return runs[key]

    return run
