"""Views of run folders: what a listing says of each run, and what it leaves alone."""

import json
import os
import shutil
import signal
import socket
import time

import pytest
from forks import kill_all

import mnistdiff
from mnistdiff.engine.checkpoint.pretrained import PRETRAINED
from mnistdiff.engine.evaluation.model_card import model_card
from mnistdiff.engine.runs import metrics
from mnistdiff.engine.runs.run_dir import RunDir
from mnistdiff.errors import CheckpointError, StorageError

ENDLESS = ["--batch-size", "8", "--max-steps", "1000000", "--save-every", "10", "--log-every", "1"]


def only(folder):
    """The one run of a folder."""
    [run] = mnistdiff.list_runs(folder)
    return run


def content(folder):
    """All files and folders with their content and times."""
    paths = [folder, *sorted(folder.rglob("*"))]
    return {path: (path.lstat().st_mtime_ns, path.is_file() and path.read_bytes()) for path in paths}


def until(condition):
    give_up = time.monotonic() + 60
    while not (value := condition()):
        assert time.monotonic() < give_up, "it does not happen"
        time.sleep(0.02)
    return value


def test_a_finished_run_is_described_and_left_unchanged(tiny_run):
    before = content(tiny_run.parent)
    run, described = only(tiny_run.parent), mnistdiff.inspect(tiny_run)
    assert content(tiny_run.parent) == before
    assert (run.name, run.path, run.state, run.problem) == ("run", tiny_run, "finished", "")
    assert (run.step, run.total_steps, run.epoch, run.num_train_images) == (45, 45, 1, 5000)
    assert run.settings.model_dump(mode="json") == described.settings
    assert "5,000" in run.dataset
    assert [*run.previews] == [1]
    assert [path.relative_to(tiny_run).as_posix() for path in run.checkpoints] == [
        "conditional_diffusion_mnist.safetensors",
        "diffusion_checkpoint.safetensors",
        "diffusion_checkpoint_previous.safetensors",
        "checkpoints/diffusion_checkpoint_epoch_0001.safetensors",
    ]
    assert all(mnistdiff.inspect(path).digest_valid for path in run.checkpoints)
    assert [record["step"] for record in run.records()] == [45]
    assert run.last == run.records()[-1]
    assert run.records(after=44) == run.records()
    assert (run.records(after=45), run.seconds_left, run.evaluation()) == ([], None, None)
    assert run.started <= run.written <= time.time() + 1


def test_a_run_is_training_until_its_process_is_killed(forks, tiny_toml, tmp_path):
    fork = forks.start("train", "--config", tiny_toml, *ENDLESS, "--run-dir", "runs/mine", cwd=tmp_path)
    try:
        until(lambda: any(run.step > 20 for run in mnistdiff.list_runs(tmp_path / "runs")))
        run, later = only(tmp_path / "runs"), until(lambda: only(tmp_path / "runs").records(after=25))
        assert run.state == only(tmp_path / "runs").state == "training"
        assert (run.total_steps, run.problem, later[0]["step"]) == (1_000_000, "", 26)
        images = run.settings.batch_size * (run.total_steps - run.step)
        assert run.seconds_left == pytest.approx(images / run.last["images_per_second"], rel=0.9)
    finally:
        kill_all([fork])
    killed = only(tmp_path / "runs")
    assert (killed.state, killed.seconds_left, killed.step % 10) == ("stopped", None, 0)
    assert killed.step <= killed.last["step"]
    assert fork.code == -signal.SIGKILL  # and did not end because its lock was taken


@pytest.mark.parametrize(
    ("content", "state"),
    [
        ("{pid}\n{host}\n", "finished"),  # lives, but has not locked the file
        ("999999999\n{host}\n", "finished"),
        ("123\nelsewhere\n", "training"),
        ("", "finished"),
        ("no process", "finished"),
    ],
)
def test_a_lock_file_counts_while_its_process_may_hold_it(run_copy, content, state):
    (run_copy / ".lock").write_text(content.format(pid=os.getpid(), host=socket.gethostname()))
    assert only(run_copy.parent).state == state


def test_a_training_that_has_saved_nothing_is_listed_and_an_empty_folder_is_not(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    assert mnistdiff.list_runs(tmp_path) == mnistdiff.list_runs(tmp_path / "missing") == ()
    with RunDir(tmp_path / "new").locked():
        run = only(tmp_path)
        assert (run.state, run.settings, run.total_steps, run.step) == ("training", None, None, 0)
        assert (run.records(), run.dataset, run.epoch, run.problem) == ([], "", 0, "")
    assert mnistdiff.list_runs(tmp_path) == ()
    with pytest.raises(OSError, match="file"):
        mnistdiff.list_runs(tmp_path / "file")


def cut_off(run):
    run.weights.unlink()
    os.truncate(run.latest, run.latest.stat().st_size - 1)


def no_checkpoint(run):
    run.weights.unlink()
    run.latest.unlink()


def elsewhere(run):
    """Every file and folder of the run becomes a link to what it was."""
    moved = shutil.move(run.path, run.path.parents[1] / "moved")
    run.path.mkdir()
    for path in moved.iterdir():
        (run.path / path.name).symlink_to(path)


def pipes(run):
    for file in (run.weights, run.metrics_file, run.evaluation):
        file.unlink(missing_ok=True)
        os.mkfifo(file)


def folders(run):
    for file in (run.weights, run.metrics_file, run.evaluation):
        file.unlink(missing_ok=True)
        file.mkdir()


@pytest.mark.parametrize("harm", [cut_off, no_checkpoint, elsewhere, pipes, folders])
def test_a_damaged_run_says_what_is_wrong(run_copy, tmp_path, harm):
    runs = tmp_path / "runs"
    runs.mkdir()
    harm(RunDir(shutil.move(run_copy, runs / "run")))
    run = only(runs)
    assert (run.state, run.settings, run.total_steps) == ("damaged", None, None)
    assert str(run.path) in run.problem
    assert run.evaluation() is None
    if harm is elsewhere:
        assert (run.previews, run.checkpoints, run.last) == ({}, (), None)
    if harm not in (cut_off, no_checkpoint):
        with pytest.raises(StorageError, match="metrics"):
            run.records()


def test_links_to_runs_are_left_out(tiny_run, tmp_path):
    (tmp_path / "link").symlink_to(tiny_run)
    assert mnistdiff.list_runs(tmp_path) == ()
    assert len(mnistdiff.list_runs(tiny_run.parent)) == 1


def test_a_stopped_run_shows_the_step_that_it_resumes_from(run_copy):
    RunDir(run_copy).weights.unlink()
    metrics.append(RunDir(run_copy).metrics_file, {"kind": "step", "step": 100, "loss": 0.5})
    run = only(run_copy.parent)
    assert (run.state, run.step, run.last["step"]) == ("stopped", 45, 100)


def test_records_of_later_steps_are_read_from_the_end_of_the_file(tmp_path, monkeypatch):
    file = tmp_path / "metrics.jsonl"
    lines = [json.dumps({"kind": "step", "step": step, "loss": 1.0, "epoch": 1, "lr": 0.1}) for step in range(9000)]
    lines[4000:4000] = ["{", '{"kind": "step", "step": "x", "loss": 1}', '{"kind": "' + "x" * 90_000]
    file.write_text("\n".join(lines) + '\n{"kind": "step", "step": 9000, "lo')
    whole = [record["step"] for record in metrics.read(file)]
    assert whole == [*range(9000)]
    for after in (-1, 0, 1, 3998, 3999, 4000, 8700, 8999, 10_000):
        assert [record["step"] for record in metrics.read_after(file, after)] == [*range(max(after + 1, 0), 9000)]
    opened, read = [], metrics.read
    monkeypatch.setattr(metrics, "read", lambda path, **how: opened.append(how) or read(path, **how))
    metrics.read_after(file, 8990)
    assert opened == [{"tail": 2**14}]


def test_an_evaluation_saved_in_the_folder_is_read(run_copy):
    report = model_card(PRETRAINED).evaluation
    (run_copy / "evaluation.json").write_text(report.model_dump_json())
    assert only(run_copy.parent).evaluation() == report
    (run_copy / "evaluation.json").write_text("{}")
    with pytest.raises(StorageError, match=r"evaluation\.json"):
        only(run_copy.parent).evaluation()


def test_inspect_describes_a_wrong_digest_and_refuses_what_is_no_checkpoint(run_copy, tmp_path):
    file = run_copy / "diffusion_checkpoint.safetensors"
    changed = bytearray(file.read_bytes())
    changed[-100] ^= 1
    file.write_bytes(changed)
    assert not mnistdiff.inspect(run_copy).digest_valid
    with pytest.raises(CheckpointError):
        mnistdiff.inspect(run_copy / "settings.json")
    with pytest.raises(CheckpointError):
        mnistdiff.inspect(tmp_path / "missing")
