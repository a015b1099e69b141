"""Resolving a file, a folder or nothing to a checkpoint."""

from pathlib import Path

import pytest

from mnistdiff.engine.checkpoint.pretrained import PRETRAINED
from mnistdiff.engine.runs.lookup import checkpoint_to_inspect, checkpoint_to_resume, checkpoint_to_sample
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
