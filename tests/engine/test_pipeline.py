"""Stopping, killing and resuming: the files of a finished run are the same, to the bit, as those of an unbroken one."""

import os
import time
from itertools import chain, count, islice
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from trainings import (
    SETTINGS,
    STEPS,
    STEPS_PER_EPOCH,
    assert_same_run,
    content,
    finish,
    machine,
    resume,
    train,
    unbroken,
    until,
)

from mnistdiff.engine import pipeline
from mnistdiff.engine.checkpoint.file import read_checkpoint
from mnistdiff.engine.data.load import TrainingImages
from mnistdiff.engine.runs.events import EpochDone, Finished, Logged, Saved, Started
from mnistdiff.engine.runs.run_dir import RunDir
from mnistdiff.engine.training.loop import TrainStep
from mnistdiff.engine.training.objective import DiffusionLoss
from mnistdiff.errors import CheckpointError, DataError, DivergedError, RunInUseError, SettingsError
from mnistdiff.machine_settings import MachineSettings
from mnistdiff.settings import TrainSettings

pytestmark = pytest.mark.usefixtures("small_data_and_quick_pictures")

RARE_SAVES = {"save_every": 100}
PREVIEWS = {"sample_every": 1}
MUON = {"optimizer": "muon", "lr_schedule": "linear", "warmup_steps": 2, "prediction": "v_prediction"}
MATRIX = [
    (1, {}),
    (1, PREVIEWS | RARE_SAVES),
    (2, {"grad_clip": 0.0}),
    (2, PREVIEWS | {"ema_decay": 0.0}),
    (3, {}),
    (3, PREVIEWS | RARE_SAVES),
    (3, PREVIEWS | {"label_dropout": 1.0, "checkpoint_every": 0}),
    (4, {"label_dropout": 0.0, "weight_decay": 0.0}),
    (4, PREVIEWS | {"prediction": "v_prediction", "grad_clip": 0.01}),
    (5, RARE_SAVES | {"seed": 7}),
    (6, PREVIEWS | {"sample_every": 2, "save_every": 1}),
    (7, {"ema_decay": 0.0, "label_dropout": 0.5, "grad_clip": 0.0}),
    (8, PREVIEWS),
    (4, PREVIEWS | {"augment": ("shift", "rotate", "flip")}),
    (5, {"holdout": 0.25, "log_every": 1, "batch_size": 1024, "repeats": 200, "max_steps": 8}),
    (1, MUON),
    (2, MUON | {"lr_schedule": "cosine", "grad_clip": 0.01}),
    (5, MUON | RARE_SAVES | {"warmup_steps": 6}),
    (7, PREVIEWS | {"lr_schedule": "cosine", "warmup_steps": 3}),
]


ALL_SETTINGS = [changes for number, (_, changes) in enumerate(MATRIX) if changes not in [c for _, c in MATRIX[:number]]]
EVERY_STOP = [
    pytest.param(step, changes, marks=pytest.mark.soak) for step in range(1, STEPS + 1) for changes in ALL_SETTINGS
]


@pytest.mark.parametrize(("stop_at", "changes"), [*MATRIX, *EVERY_STOP])
def test_a_stopped_and_resumed_run_is_the_unbroken_run(tmp_path, stop_at, changes, whole):
    settings = TrainSettings(**{**SETTINGS.model_dump(), **changes})
    until(stop_at, lambda stop: train(tmp_path / "stopped", settings, stop=stop))
    finish(resume(tmp_path / "stopped"))
    assert_same_run(tmp_path / "stopped", whole(settings))


def test_a_run_stopped_after_every_single_step_is_the_unbroken_run(tmp_path, whole):
    settings = SETTINGS.model_copy(update=PREVIEWS | RARE_SAVES)
    until(1, lambda stop: train(tmp_path / "stopped", settings, stop=stop))
    for step in range(2, STEPS + 1):
        until(step, lambda stop: resume(tmp_path / "stopped", stop=stop))
    assert_same_run(tmp_path / "stopped", whole(settings))


def test_a_run_stopped_during_a_preview_samples_it_when_resumed(tmp_path, whole):
    settings = SETTINGS.model_copy(update=PREVIEWS)
    calls = SimpleNamespace(left=None)

    def stop():
        if calls.left is not None:
            calls.left -= 1
        return calls.left is not None and calls.left < 0

    for event in train(tmp_path / "stopped", settings, stop=stop):
        if isinstance(event, EpochDone):
            calls.left = 1  # asked before the preview; then after its first evaluation, of two
    assert event.step == STEPS_PER_EPOCH
    assert not any((tmp_path / "stopped" / "samples").iterdir())
    finish(resume(tmp_path / "stopped"))
    assert_same_run(tmp_path / "stopped", whole(settings))


@pytest.mark.parametrize("end", [1, 2, 3, 4, 6])
def test_a_run_extended_with_more_steps_is_the_longer_run(tmp_path, end, whole):
    # A kept checkpoint holds the settings of its time, with the earlier end.
    longer = SETTINGS.model_copy(update=PREVIEWS | {"checkpoint_every": 0})
    unbroken(tmp_path / "extended", longer.model_copy(update={"max_steps": end}))
    finish(resume(tmp_path / "extended", max_steps=STEPS))
    assert_same_run(tmp_path / "extended", whole(longer))


def test_a_run_extended_with_more_epochs_is_the_longer_run(tmp_path, whole):
    longer = SETTINGS.model_copy(update={"max_steps": None, "epochs": 4, "checkpoint_every": 0})
    unbroken(tmp_path / "extended", longer.model_copy(update={"epochs": 2}))
    finish(resume(tmp_path / "extended", epochs=4))
    assert_same_run(tmp_path / "extended", whole(longer))


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine"])
def test_a_new_end_is_warned_of_if_it_changes_the_learning_rate_schedule(tmp_path, schedule):
    settings = SETTINGS.model_copy(update={"lr_schedule": schedule})
    until(2, lambda stop: train(tmp_path / "run", settings, stop=stop))
    for end, warned in ((STEPS, False), (STEPS + 1, schedule != "constant")):
        started = next(iter(resume(tmp_path / "run", max_steps=end)))
        assert any("was planned for" in notice for notice in started.notices) == warned


def test_a_time_budget_becomes_a_number_of_steps_that_resuming_keeps(tmp_path, monkeypatch, whole):
    asked = []
    monkeypatch.setattr(pipeline, "steps_within", lambda minutes, *_: asked.append(minutes) or STEPS)
    settings = SETTINGS.model_copy(update=MUON | {"max_steps": None})
    here = MachineSettings(device="cpu", run_dir=tmp_path / "timed", max_minutes=2.5)
    until(3, lambda stop: pipeline.train(settings, here, stop=stop))
    finish(resume(tmp_path / "timed"))
    assert asked == [2.5]
    assert_same_run(tmp_path / "timed", whole(settings.model_copy(update={"max_steps": STEPS})))


def continue_after_a_crash(folder, settings):
    """Resume, or start again if nothing was saved yet, as a user does."""
    if RunDir(folder).latest.exists():
        finish(resume(folder))
    else:
        finish(train(folder, settings, force=True))


def test_a_run_killed_at_any_event_resumes_to_the_same_bits(tmp_path, whole):
    settings = SETTINGS.model_copy(update=PREVIEWS | {"max_steps": STEPS_PER_EPOCH + 1})
    reference = whole(settings)
    number_of_events = sum(1 for _ in train(tmp_path / "again", settings))
    for number in range(1, number_of_events):
        folder = tmp_path / f"killed_{number}"
        events = train(folder, settings)
        for _ in islice(events, number):
            pass
        events.close()  # releases the lock and writes nothing more, as the kernel does
        continue_after_a_crash(folder, settings)
        assert_same_run(folder, reference)


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_run_killed_at_any_rename_resumes_to_the_same_bits(tmp_path, monkeypatch, moment, whole):
    class Killed(BaseException):
        pass

    settings = SETTINGS.model_copy(update=PREVIEWS | {"max_steps": STEPS_PER_EPOCH + 1})
    reference = whole(settings)
    replace = os.replace

    for number in count(1):
        renames = count(1)

        def dies(source, target, renames=renames, number=number):
            now = next(renames) == number
            if not (now and moment == "before"):
                replace(source, target)
            if now:
                raise Killed

        folder = tmp_path / f"killed_{number}"
        with monkeypatch.context() as patch:
            patch.setattr(os, "replace", dies)
            try:
                finish(train(folder, settings))
            except Killed:
                pass
            else:
                break
        continue_after_a_crash(folder, settings)
        assert_same_run(folder, reference)
    assert number > 10


def test_previews_do_not_change_the_training(tmp_path):
    with_previews = unbroken(tmp_path / "with", SETTINGS.model_copy(update=PREVIEWS))
    without = unbroken(tmp_path / "without")
    drawn = sorted(path.name for path in (with_previews / "samples").iterdir())
    assert drawn == ["epoch_0001.png", "epoch_0002.png"]
    assert not any((without / "samples").iterdir())
    tensors = [read_checkpoint(RunDir(folder).latest).tensors for folder in (with_previews, without)]
    assert tensors[0].keys() == tensors[1].keys()
    for name in tensors[0]:
        np.testing.assert_array_equal(tensors[0][name], tensors[1][name])
    assert content(with_previews)["metrics.jsonl"] == content(without)["metrics.jsonl"]


def test_neither_the_clock_nor_the_time_zone_changes_a_run(tmp_path, monkeypatch, whole):
    """The clock goes back a day at every call, in a time zone of its own."""
    days = count()
    monkeypatch.setattr(time, "time", lambda: 10**9 - 86_400 * next(days))
    monkeypatch.setenv("TZ", "Pacific/Chatham")
    time.tzset()
    until(4, lambda stop: train(tmp_path / "run", stop=stop))
    monkeypatch.delenv("TZ")
    time.tzset()
    finish(resume(tmp_path / "run"))
    assert_same_run(tmp_path / "run", whole())


class AbsoluteError(DiffusionLoss):
    def loss(self, model, x_0, labels, draws):
        return (model(self.q_sample(x_0, draws), draws.t, labels) - self.target(x_0, draws)).abs().mean()


def test_another_objective_is_trained_and_resumed_to_the_same_bits(tmp_path, whole):
    options = {"make_objective": AbsoluteError}
    finish(train(tmp_path / "unbroken", **options))
    until(4, lambda stop: train(tmp_path / "stopped", stop=stop, **options))
    finish(resume(tmp_path / "stopped", **options))
    assert_same_run(tmp_path / "stopped", tmp_path / "unbroken")
    assert RunDir(tmp_path / "stopped").weights.read_bytes() != RunDir(whole()).weights.read_bytes()


def test_another_seed_is_another_run(tmp_path, whole):
    """Or all the comparisons above would compare constants."""
    folders = [whole(SETTINGS.model_copy(update={"seed": seed})) for seed in (0, 7)]
    assert RunDir(folders[0]).weights.read_bytes() != RunDir(folders[1]).weights.read_bytes()
    assert content(folders[0])["metrics.jsonl"] != content(folders[1])["metrics.jsonl"]


def test_the_files_of_an_event_are_written_when_it_is_yielded(tmp_path):
    run = RunDir(tmp_path / "run")
    events = []
    for event in train(run.path, SETTINGS.model_copy(update=PREVIEWS)):
        events.append(type(event))
        if isinstance(event, Saved):
            assert event.path.stat().st_size > 0
        if isinstance(event, Logged):
            assert run.read_metrics()[-1]["step"] == event.step
        if isinstance(event, Finished):
            assert read_checkpoint(run.latest).metadata.step == event.step
            assert read_checkpoint(run.weights).metadata.kind == "weights"
    assert events.count(TrainStep) == STEPS
    assert events.count(EpochDone) == 2
    assert (events[0], events[-1]) == (Started, Finished)


def test_the_epoch_loss_is_the_mean_over_its_steps_even_if_resumed_inside_it(tmp_path):
    losses, epochs = {}, {}
    settings = SETTINGS.model_copy(update={"max_steps": 2})
    for event in chain(train(tmp_path / "run", settings), resume(tmp_path / "run", max_steps=STEPS)):
        if isinstance(event, TrainStep):
            losses[event.step] = event.loss
        if isinstance(event, EpochDone):
            epochs[event.step] = event.loss
    assert list(losses) == [*range(1, STEPS + 1)]
    expected = {end: sum(losses[step] for step in range(end - 2, end + 1)) / 3 for end in (3, 6)}
    assert epochs == pytest.approx(expected, rel=1e-12)


def test_a_run_is_never_overwritten_without_force(tmp_path):
    folder = unbroken(tmp_path / "run")
    before = content(folder)
    with pytest.raises(SettingsError, match="is not empty") as refusal:
        finish(train(folder))
    assert f"mnistdiff resume {folder}" in refusal.value.hint
    assert content(folder) == before
    other = SETTINGS.model_copy(update={"max_steps": 2})
    finish(train(folder, other, force=True))
    assert_same_run(folder, unbroken(tmp_path / "other", other))


def test_two_trainings_do_not_share_a_folder(tmp_path, whole):
    first = train(tmp_path / "run")
    next(first)
    for second in (train(tmp_path / "run", force=True), resume(tmp_path / "run")):
        with pytest.raises(RunInUseError, match="another training"):
            finish(second)
    finish(first)
    assert_same_run(tmp_path / "run", whole())


def test_a_finished_run_resumed_stays_as_it_is(tmp_path):
    folder = unbroken(tmp_path / "run")
    before = content(folder)
    last = finish(resume(folder))
    assert (last.step, last.complete) == (STEPS, True)
    assert content(folder) == before


def test_final_weights_are_removed_once_the_run_continues(tmp_path):
    run = RunDir(unbroken(tmp_path / "run"))
    assert run.best() == run.weights
    until(STEPS + 1, lambda stop: resume(run.path, max_steps=STEPS + 5, stop=stop))
    assert run.best() == run.latest
    assert read_checkpoint(run.best()).metadata.step == STEPS + 1


@pytest.mark.parametrize("end", [{"max_steps": STEPS - 1}, {"epochs": 2}])
def test_an_end_before_what_is_done_is_refused_and_changes_nothing(tmp_path, end):
    folder = unbroken(tmp_path / "run")
    before = content(folder)
    with pytest.raises(SettingsError, match=f"lies before step {STEPS}"):
        finish(resume(folder, **end))
    assert content(folder) == before


def test_an_earlier_checkpoint_is_resumed_in_a_new_folder_or_with_force(tmp_path, whole):
    run = RunDir(unbroken(tmp_path / "run"))
    earlier, here = run.epoch_checkpoint(1), MachineSettings(device="cpu")
    before = content(run.path)
    with pytest.raises(SettingsError, match=f"at step {STEPS_PER_EPOCH}, and its run has got to step {STEPS}"):
        finish(pipeline.resume(earlier, here))
    finish(pipeline.resume(earlier, machine(tmp_path / "elsewhere")))
    assert content(run.path) == before
    assert read_checkpoint(tmp_path / "elsewhere" / run.latest.name).sha256 == read_checkpoint(run.latest).sha256
    finish(pipeline.resume(earlier, here, force=True))
    assert_same_run(run.path, whole())


def test_a_run_replaced_with_force_leaves_no_files(tmp_path):
    run, other = RunDir(unbroken(tmp_path / "run")), RunDir(unbroken(tmp_path / "other"))
    stale = other.epoch_checkpoint(77)
    stale.write_bytes(b"of the run that was here")
    finish(pipeline.resume(run.epoch_checkpoint(1), machine(other.path), force=True))
    assert not stale.exists()
    assert read_checkpoint(other.latest).sha256 == read_checkpoint(run.latest).sha256


@pytest.mark.parametrize("inside", ["checkpoints", "samples", "."])
def test_a_checkpoint_named_from_inside_its_run_is_resumed_in_its_run(tmp_path, monkeypatch, inside, whole):
    run = RunDir(tmp_path / "run")
    until(STEPS_PER_EPOCH, lambda stop: train(run.path, stop=stop))
    monkeypatch.chdir(run.path / inside)
    name = os.path.relpath(run.epoch_checkpoint(1))
    finish(pipeline.resume(Path(name), MachineSettings(device="cpu")))
    assert_same_run(run.path, whole())


def test_the_final_weights_cannot_be_trained_on(tmp_path):
    run = RunDir(unbroken(tmp_path / "run"))
    with pytest.raises(CheckpointError, match="averaged weights alone"):
        finish(pipeline.resume(run.weights, MachineSettings(device="cpu")))


def test_a_checkpoint_of_other_data_is_not_trained_on(tmp_path, monkeypatch):
    folder = unbroken(tmp_path / "run")
    few = TrainingImages(np.zeros((5, 28, 28), np.uint8), np.zeros(5, np.uint8), "mnist-5k")
    monkeypatch.setattr(pipeline, "load_training_images", lambda settings, **_: few)
    with pytest.raises(CheckpointError, match="trained on 20 images"):
        finish(resume(folder))


def test_resuming_under_other_conditions_warns_that_it_is_not_bit_exact(tmp_path, monkeypatch):
    until(2, lambda stop: train(tmp_path / "run", stop=stop))
    conditions = pipeline.execution_fingerprint
    monkeypatch.setattr(pipeline, "execution_fingerprint", lambda device: conditions(device) | {"threads": "77"})
    started = next(resume(tmp_path / "run"))
    assert any("not be bit-exact" in notice and "is 77" in notice for notice in started.notices)


@pytest.mark.parametrize("folder", [None, Path("run")])
def test_without_data_nothing_is_written(tmp_path, monkeypatch, folder):
    def missing(name, **_):
        raise DataError("no images")

    monkeypatch.chdir(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(pipeline, "load_training_images", missing)
        with pytest.raises(DataError):
            finish(train(folder))
    assert list(tmp_path.iterdir()) == []
    assert finish(train(folder)).complete


def test_without_data_force_does_not_cost_the_earlier_run(tmp_path, monkeypatch):
    def missing(name, **_):
        raise DataError("no images")

    before = content(unbroken(tmp_path / "run"))
    monkeypatch.setattr(pipeline, "load_training_images", missing)
    with pytest.raises(DataError):
        finish(train(tmp_path / "run", force=True))
    assert content(tmp_path / "run") == before


def test_a_run_that_diverges_keeps_its_last_good_state(tmp_path):
    run = RunDir(tmp_path / "run")
    with pytest.raises(DivergedError, match="step"):
        finish(train(run.path, SETTINGS.model_copy(update={"lr": 1e9, "save_every": 1, "max_steps": 50})))
    kept = read_checkpoint(run.latest)
    assert kept.metadata.step >= 1
    assert all(np.isfinite(array).all() for array in kept.tensors.values())


def test_betas_that_leave_much_of_the_image_are_warned_of(tmp_path):
    settings = SETTINGS.model_copy(update={"beta_schedule": "linear", "timesteps": 20, "max_steps": 1})
    assert any("x_T still holds" in notice for notice in next(train(tmp_path / "run", settings)).notices)
    assert next(train(tmp_path / "fine", SETTINGS)).notices == ()
