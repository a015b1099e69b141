"""A training that fails before its first step leaves nothing behind, so that the next attempt succeeds."""

import errno

import pytest
from trainings import SETTINGS, assert_same_run, finish, resume, train, until

from mnistdiff.engine import pipeline
from mnistdiff.engine.runs import recorder
from mnistdiff.engine.runs.run_dir import RunDir
from mnistdiff.engine.storage import write_atomically
from mnistdiff.errors import DataError, DivergedError, OutOfMemoryError

pytestmark = pytest.mark.usefixtures("small_data_and_quick_pictures")

FAILURES = {
    "no data": ("pipeline.load_training_images", DataError("no data")),
    "no memory for the images": ("pipeline.load_training_images", MemoryError()),
    "no memory for the model": ("pipeline.TrainState.initial", OutOfMemoryError("no memory")),
    "no room for the first state": ("runs.recorder.Recorder._save", OSError(errno.ENOSPC, "No space left on device")),
    "no memory for the first step": ("training.loop.batch_gradient", OutOfMemoryError("no memory")),
    "diverged at once": ("training.loop.batch_gradient", DivergedError("nan")),
    "interrupted while loading": ("pipeline.load_training_images", KeyboardInterrupt()),
}


def failing(error):
    def fail(*arguments, **options):
        raise error

    return fail


def attempt(monkeypatch, kind, start):
    """Start and fail."""
    name, error = FAILURES[kind]
    with monkeypatch.context() as patch:
        patch.setattr(f"mnistdiff.engine.{name}", failing(error))
        with pytest.raises(type(error)):
            finish(start())


@pytest.mark.parametrize("kind", FAILURES)
@pytest.mark.parametrize("was_there", [False, True])
def test_a_new_run(tmp_path, monkeypatch, whole, kind, was_there):
    folder = tmp_path / "run"
    if was_there:
        folder.mkdir()
    attempt(monkeypatch, kind, lambda: train(folder))
    assert [*folder.rglob("*")] == []
    assert folder.is_dir() == was_there
    finish(train(folder))
    assert_same_run(folder, whole())


@pytest.mark.parametrize("kind", FAILURES)
def test_a_run_in_the_next_free_folder(tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)
    attempt(monkeypatch, kind, lambda: train(None))
    assert list((tmp_path / "runs").glob("*")) == []


@pytest.mark.parametrize("kind", [kind for kind in FAILURES if FAILURES[kind][0] != "pipeline.TrainState.initial"])
def test_a_run_that_is_resumed_elsewhere(tmp_path, monkeypatch, kind):
    until(5, lambda stop: train(tmp_path / "run", stop=stop))
    machine = pipeline.MachineSettings(device="cpu", run_dir=tmp_path / "new")
    source = RunDir(tmp_path / "run")
    attempt(monkeypatch, kind, lambda: pipeline.resume(source, machine))
    if FAILURES[kind][0] == "training.loop.batch_gradient":
        assert RunDir(tmp_path / "new").states()  # at step 5, to be resumed
        finish(resume(tmp_path / "new"))
    else:
        assert not (tmp_path / "new").exists()
        finish(pipeline.resume(source, machine))


@pytest.mark.parametrize("kind", ["no data", "no memory for the images", "no memory for the model"])
def test_a_run_that_was_to_be_replaced_is_kept(tmp_path, monkeypatch, whole, kind):
    finish(train(tmp_path / "run"))
    attempt(monkeypatch, kind, lambda: train(tmp_path / "run", SETTINGS.model_copy(update={"seed": 5}), force=True))
    assert_same_run(tmp_path / "run", whole())


def test_a_training_killed_before_its_first_state_is_no_run_yet(tmp_path, whole):
    run = RunDir(tmp_path / "run")
    for folder in (run.path, run.path / "samples", run.path / "checkpoints"):
        folder.mkdir()
        (folder / ".diffusion_checkpoint.safetensors.0123abcd.mnistdiff-tmp").write_bytes(b"torn")
    (run.path / ".lock").write_text("123456\nthis\n")
    finish(train(run.path))
    assert_same_run(run.path, whole())


def test_a_state_is_written_before_the_settings(tmp_path, monkeypatch):
    """A run killed in between is either resumable or no run."""
    seen = []

    def write(path, content, **options):
        seen.append((path.name, (tmp_path / "run" / "settings.json").exists()))
        write_atomically(path, content, **options)

    monkeypatch.setattr(recorder, "write_atomically", write)
    finish(train(tmp_path / "run"))
    latest = RunDir(tmp_path / "run").latest.name
    assert [written for name, written in seen if name == latest][:2] == [False, True]
