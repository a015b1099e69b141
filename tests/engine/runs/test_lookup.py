"""Resolving a file, a folder or nothing to a checkpoint."""

from pathlib import Path

import pytest
from trainings import SETTINGS, unbroken

from mnistdiff.engine.checkpoint.pretrained import PRETRAINED
from mnistdiff.engine.runs.lookup import (
    checkpoint_to_inspect,
    checkpoint_to_resume,
    checkpoint_to_sample,
    interrupted_run,
)
from mnistdiff.engine.runs.run_dir import RunDir
from mnistdiff.errors import CheckpointError


@pytest.fixture
def run(tmp_path):
    run = RunDir(tmp_path / "run")
    run.path.mkdir()
    run.settings_file.touch()
    return run


def test_without_a_run_the_bundled_model_is_sampled_and_nothing_is_resumed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert checkpoint_to_sample(None) == checkpoint_to_inspect(None) == PRETRAINED
    with pytest.raises(CheckpointError, match="no run"):
        checkpoint_to_resume(None)


def test_sampling_takes_the_final_weights_and_resuming_the_run(run, monkeypatch):
    monkeypatch.chdir(run.path.parent)
    for choose in (checkpoint_to_sample, checkpoint_to_resume):
        with pytest.raises(CheckpointError, match="no checkpoint"):
            choose(run.path)
    run.latest.touch()
    assert checkpoint_to_sample(run.path) == run.latest
    run.weights.touch()
    for source in (run.path, None):
        assert checkpoint_to_sample(source).resolve() == run.weights
        assert checkpoint_to_resume(source).path.resolve() == run.path
    named = Path("some/file")
    assert checkpoint_to_sample(named) == checkpoint_to_resume(named) == named


@pytest.mark.usefixtures("small_data_and_quick_pictures")
def test_a_restarted_command_goes_on_with_the_newest_run_of_its_settings(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    auto = dict.fromkeys(("shards", "precision", "compile"), "auto")
    asked = SETTINGS.model_copy(update={**auto, "dataset": "mnist", "max_steps": None})
    assert interrupted_run(asked, None) is None
    for name, seed in (("001-base", 0), ("002-base", 0), ("003-base", 1)):
        unbroken(tmp_path / "runs" / name, SETTINGS.model_copy(update={"seed": seed, "max_steps": 1}))

    def found(run_dir=None, **changes):
        run = interrupted_run(asked.model_copy(update=changes), run_dir)
        return None if run is None else run.path.name

    assert found() == "002-base"
    assert found(seed=1) == "003-base"
    assert found(lr=0.5) is found(shards=2) is found(precision="bf16") is None
    assert found(tmp_path / "runs" / "001-base") == "001-base"
    assert found(tmp_path / "runs" / "003-base") is found(tmp_path / "none") is None
    RunDir(tmp_path / "runs" / "002-base").latest.write_bytes(b"damaged")
    assert found() == "001-base"
