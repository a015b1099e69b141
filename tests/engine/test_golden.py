"""Checkpoints of every format version that was ever released: they are read and gone on with for good.

``checkpoint_v1.safetensors`` was made by ``make_golden`` below, with the first version that had format 1.
"""

import shutil
from pathlib import Path

import pytest
from checkpoints import altered
from trainings import SETTINGS, finish, train, until

from mnistdiff.engine import pipeline
from mnistdiff.engine.checkpoint.describe import describe
from mnistdiff.engine.checkpoint.file import read_checkpoint
from mnistdiff.engine.checkpoint.metadata import FORMAT_VERSION
from mnistdiff.engine.runs.run_dir import RunDir
from mnistdiff.errors import CheckpointError
from mnistdiff.machine_settings import MachineSettings
from mnistdiff.settings import TrainSettings

pytestmark = pytest.mark.usefixtures("small_data_and_quick_pictures")

DATA = Path(__file__).parent.parent / "data"
GOLDEN = sorted(DATA.glob("checkpoint_v*.safetensors"))
MUON = {"optimizer": "muon", "lr_schedule": "linear", "prediction": "v_prediction", "mode_scale": 1.0}


def make_golden(folder):
    """A state in the middle of an epoch, with the moments of both optimizers."""
    until(5, lambda stop: train(folder, TrainSettings(**{**SETTINGS.model_dump(), **MUON}), stop=stop))
    return RunDir(folder).latest


def test_there_is_one_of_each_format_and_it_is_small():
    assert [path.name for path in GOLDEN] == [f"checkpoint_v{n}.safetensors" for n in range(1, FORMAT_VERSION + 1)]
    assert all(path.stat().st_size <= 100_000 for path in GOLDEN)


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda path: path.stem)
def test_an_old_checkpoint_is_read_and_resumed(tmp_path, golden):
    file = shutil.copyfile(golden, tmp_path / golden.name)
    described = describe(file)
    assert (described.step, described.epoch, described.kind, described.digest_valid) == (5, 1, "training", True)
    home = MachineSettings(device="cpu", run_dir=tmp_path / "run")
    assert finish(pipeline.resume(file, home)).step == SETTINGS.max_steps
    state = read_checkpoint(RunDir(tmp_path / "run").latest)
    assert state.metadata.step == SETTINGS.max_steps
    assert state.tensors.keys() == read_checkpoint(golden).tensors.keys()


def test_what_is_written_now_has_the_form_of_the_old_checkpoint(tmp_path):
    """Or the format has changed, and needs a new version and a new file here."""
    now, then = (read_checkpoint(path) for path in (make_golden(tmp_path / "run"), GOLDEN[-1]))
    assert {name: array.shape for name, array in now.tensors.items()} == {
        name: array.shape for name, array in then.tensors.items()
    }
    fields = [path.metadata.model_dump(mode="json") for path in (now, then)]
    assert fields[0].keys() == fields[1].keys()
    assert fields[0]["settings"] == fields[1]["settings"]


@pytest.mark.parametrize("version", [FORMAT_VERSION + 1, 999])
def test_a_checkpoint_of_a_later_version_asks_for_an_upgrade(tmp_path, version):
    file = tmp_path / "later.safetensors"
    file.write_bytes(altered(GOLDEN[-1].read_bytes(), lambda values: values.update(format_version=version)))
    with pytest.raises(CheckpointError, match=f"has format version {version}") as refused:
        next(iter(pipeline.resume(file, MachineSettings(device="cpu", run_dir=tmp_path / "run"))))
    assert "upgrade mnistdiff" in refused.value.hint
