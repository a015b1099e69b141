"""Trainings of a few steps of a network of a few weights, in this process, to be stopped, killed and compared."""

import json
from types import SimpleNamespace

import numpy as np

from mnistdiff.engine import pipeline
from mnistdiff.engine.data.datasets import LabelledImages
from mnistdiff.engine.runs.events import Finished
from mnistdiff.engine.runs.run_dir import RunDir
from mnistdiff.engine.training.loop import TrainStep
from mnistdiff.machine_settings import MachineSettings
from mnistdiff.settings import TrainSettings

IMAGES, STEPS_PER_EPOCH, STEPS = 20, 3, 8
SETTINGS = TrainSettings(
    dataset="mnist-5k",
    epochs=9,
    max_steps=STEPS,
    batch_size=8,
    lr=1e-2,
    timesteps=2,
    beta_schedule="cosine",
    patch_size=4,
    channels=(4,),
    embedding=8,
    log_every=2,
    save_every=2,
    sample_every=0,
    checkpoint_every=1,
)


def few_images(split):
    """In place of ``load_mnist_5k``: 20 images of noise, two of each digit."""
    images = np.random.default_rng(0).integers(0, 255, (IMAGES, 28, 28), dtype=np.uint8)
    return LabelledImages(images, np.arange(IMAGES, dtype=np.uint8) % 10)


def machine(folder):
    return MachineSettings(device="cpu", run_dir=folder)


def train(folder, settings=SETTINGS, **options):
    return pipeline.train(settings, machine(folder), **options)


def resume(folder, **options):
    return pipeline.resume(RunDir(folder), MachineSettings(device="cpu"), **options)


def finish(events):
    *_, last = events
    assert isinstance(last, Finished)
    return last


def until(step, start):
    """Consume a training that is asked to stop after ``step``."""
    seen = SimpleNamespace(step=0)
    for event in start(stop=lambda: seen.step >= step):
        seen.step = event.step if isinstance(event, TrainStep) else seen.step
    assert event.step == step
    assert event.complete == (step >= event.total_steps)


def content(folder):
    """Every file of a run; of the metrics, all but the speed. Which state was the one before tells where it stopped."""
    files = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    files.pop(RunDir(folder).previous.name, None)
    files["metrics.jsonl"] = [
        {name: value for name, value in json.loads(line).items() if name != "images_per_second"}
        for line in files["metrics.jsonl"].splitlines()
    ]
    return files


def assert_same_run(folder, reference):
    here, there = content(folder), content(reference)
    assert here.keys() == there.keys()
    assert [name for name in here if here[name] != there[name]] == []


def unbroken(folder, settings=SETTINGS):
    finish(train(folder, settings))
    return folder
