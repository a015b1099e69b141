"""A training recorded for TensorBoard, read back by TensorBoard."""

import sys

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from trainings import SETTINGS as WITHOUT_PREVIEWS

from mnistdiff.engine import pipeline
from mnistdiff.engine.libraries import require
from mnistdiff.engine.runs.run_dir import RunDir
from mnistdiff.engine.runs.tensorboard import recorded
from mnistdiff.errors import MissingLibraryError
from mnistdiff.machine_settings import MachineSettings

SETTINGS = WITHOUT_PREVIEWS.model_copy(update={"sample_every": 1})
pytestmark = pytest.mark.usefixtures("small_data_and_quick_pictures")


def read(run):
    accumulator = EventAccumulator(str(run.tensorboard), purge_orphaned_data=True)
    accumulator.Reload()
    return accumulator


def scalars(run, name):
    return [(event.step, event.value) for event in read(run).Scalars(name)]


def test_the_records_are_those_of_the_metrics(tmp_path):
    machine = MachineSettings(device="cpu", run_dir=tmp_path / "run")
    plain = list(pipeline.train(SETTINGS, machine.model_copy(update={"run_dir": tmp_path / "plain"})))
    events = list(recorded(pipeline.train(SETTINGS, machine)))
    assert list(map(type, events)) == list(map(type, plain))
    run = RunDir(tmp_path / "run")
    assert run.latest.read_bytes() == RunDir(tmp_path / "plain").latest.read_bytes()
    metrics = run.read_metrics()
    steps = [record for record in metrics if record["kind"] == "step"]
    epochs = [record for record in metrics if record["kind"] == "epoch"]
    assert steps
    assert epochs
    for name in ("loss", "lr"):
        expected = [(record["step"], np.float32(record[name])) for record in steps]
        assert scalars(run, name) == expected
    assert scalars(run, "epoch_loss") == [(record["step"], np.float32(record["loss"])) for record in epochs]
    images = read(run).Images("previews")
    assert [image.step for image in images] == [record["step"] for record in epochs]


def test_held_out_losses_are_recorded(tmp_path):
    settings = SETTINGS.model_copy(update={"holdout": 0.25, "batch_size": 1024, "repeats": 100, "log_every": 1})
    list(recorded(pipeline.train(settings, MachineSettings(device="cpu", run_dir=tmp_path / "run"))))
    run = RunDir(tmp_path / "run")
    metrics = [(r["step"], np.float32(r["held_out_loss"])) for r in run.read_metrics() if "held_out_loss" in r]
    assert scalars(run, "held_out_loss") == metrics != []


def test_a_resumed_run_replaces_the_records_of_steps_that_it_trains_again(tmp_path):
    machine = MachineSettings(device="cpu", run_dir=tmp_path / "run")
    run = RunDir(tmp_path / "run")
    steps = iter(range(10**6))
    list(recorded(pipeline.train(SETTINGS, machine, stop=lambda: next(steps) >= 5)))
    before = scalars(run, "loss")
    list(recorded(pipeline.resume(run, MachineSettings(device="cpu"))))
    metrics = [(r["step"], np.float32(r["loss"])) for r in run.read_metrics() if r["kind"] == "step"]
    assert len(list(run.tensorboard.iterdir())) == 2
    assert 0 < len(before) < len(metrics)
    assert scalars(run, "loss") == metrics
    list(recorded(pipeline.train(SETTINGS, machine, force=True)))
    assert len(list(run.tensorboard.iterdir())) == 1  # ``force`` deletes the earlier run with its curves


def test_without_the_package_nothing_is_trained(monkeypatch):
    require("tensorboard")
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(MissingLibraryError, match="TensorBoard is not installed"):
        require("tensorboard")
