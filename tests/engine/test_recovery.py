"""A run whose latest state is damaged is resumed from the furthest undamaged state, bit-exactly."""

import shutil
from types import SimpleNamespace

import pytest
from checkpoints import altered
from trainings import SETTINGS, STEPS, assert_same_run, finish, resume, train, until

from mnistdiff.engine import pipeline
from mnistdiff.engine.checkpoint.file import read_checkpoint
from mnistdiff.engine.runs import space
from mnistdiff.engine.runs.run_dir import RunDir
from mnistdiff.engine.training.loop import TrainStep
from mnistdiff.errors import CheckpointError, NewerFormatError
from mnistdiff.machine_settings import MachineSettings
from mnistdiff.settings import TrainSettings

pytestmark = pytest.mark.usefixtures("small_data_and_quick_pictures")

DAMAGE = {
    "altered": lambda content: content[:-10] + bytes([content[-10] ^ 1]) + content[-9:],
    "torn": lambda content: content[: len(content) // 2],
    "empty": lambda content: b"",
    "zeros": lambda content: bytes(len(content)),
    "foreign": lambda content: b"<html>404</html>",
}


@pytest.fixture
def run(tmp_path):
    """A run stopped at step 5: saved at 0, 2, 3 (the end of an epoch, kept), 4 and 5."""
    until(5, lambda stop: train(tmp_path / "run", stop=stop))
    return RunDir(tmp_path / "run")


def damage(file, kind):
    file.write_bytes(DAMAGE[kind](file.read_bytes()))


def started(run, **options):
    return next(iter(resume(run.path, **options)))


def test_the_state_before_the_latest_is_kept(run):
    steps = [read_checkpoint(path).metadata.step for path in run.states()]
    assert run.states() == [run.latest, run.previous, run.epoch_checkpoint(1)]
    assert steps == [5, 4, 3]
    finish(resume(run.path))
    assert [read_checkpoint(path).metadata.step for path in run.states()] == [STEPS, 6, 6, 3]


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_latest_state_is_skipped_with_a_notice(run, kind, whole):
    damage(run.latest, kind)
    first = started(run)
    [notice] = first.notices
    assert first.step == 4
    assert notice.startswith(str(run.latest))
    assert str(run.previous) in notice
    finish(resume(run.path))
    assert_same_run(run.path, whole())


def test_the_furthest_undamaged_state_is_taken_whatever_its_name(run, whole):
    kept = run.epoch_checkpoint(1).read_bytes()
    run.latest.unlink()
    shutil.move(run.previous, run.epoch_checkpoint(1))
    run.epoch_checkpoint(9).write_bytes(kept)
    assert [read_checkpoint(path).metadata.step for path in run.states()] == [3, 4]
    assert started(run).step == 4
    run.epoch_checkpoint(9).unlink()
    run.epoch_checkpoint(1).write_bytes(kept)
    assert started(run).step == 3
    finish(resume(run.path))
    assert_same_run(run.path, whole())


def test_the_first_save_after_a_fallback_does_not_make_the_damaged_state_the_one_before(run):
    damage(run.latest, "altered")
    stopped = SimpleNamespace(now=False)
    for event in resume(run.path, stop=lambda: stopped.now):
        stopped.now = isinstance(event, TrainStep)
    assert [read_checkpoint(path).metadata.step for path in run.states()] == [5, 4, 3]


def test_without_an_undamaged_state_the_error_is_that_of_the_latest_and_nothing_changes(run):
    for path in run.states():
        damage(path, "torn")
    before = {path: path.read_bytes() for path in run.states()}
    with pytest.raises(CheckpointError, match=r"diffusion_checkpoint\.safetensors is corrupt"):
        started(run)
    assert {path: path.read_bytes() for path in run.states()} == before


def test_a_damaged_file_that_was_named_is_refused(run):
    damage(run.latest, "altered")
    with pytest.raises(CheckpointError, match="is corrupt"):
        next(iter(pipeline.resume(run.latest, MachineSettings(device="cpu"))))


def test_a_latest_state_of_a_later_version_is_refused_rather_than_replaced(run):
    run.latest.write_bytes(altered(run.latest.read_bytes(), lambda values: values.update(format_version=2)))
    before = run.latest.read_bytes()
    with pytest.raises(NewerFormatError, match="has format version 2"):
        started(run)
    assert run.latest.read_bytes() == before


@pytest.mark.parametrize(
    ("changes", "states"), [({}, 3 + 2), ({"checkpoint_every": 0}, 3), ({"checkpoint_every": 2}, 3 + 1)]
)
def test_a_disk_too_small_for_the_run_is_warned_of_before_the_first_step(tmp_path, monkeypatch, changes, states):
    settings = TrainSettings(**{**SETTINGS.model_dump(), **changes})
    first = next(iter(train(tmp_path / "run", settings)))
    size = RunDir(tmp_path / "run").latest
    for event in train(tmp_path / "run", settings, force=True):
        del event
    state = sum(array.nbytes for array in read_checkpoint(size).tensors.values())
    assert first.notices == ()
    for free, warned in ((states * state, False), (states * state - 1, True)):
        monkeypatch.setattr(space.shutil, "disk_usage", lambda folder, free=free: SimpleNamespace(free=free))
        [*notices] = next(iter(train(tmp_path / "run", settings, force=True))).notices
        assert any("make room" in notice for notice in notices) == warned
