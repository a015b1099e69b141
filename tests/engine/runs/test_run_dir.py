import json
import os
import signal
import subprocess
import sys
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mnistdiff.engine.runs import metrics
from mnistdiff.engine.runs.run_dir import RunDir
from mnistdiff.engine.storage import TEMPORARY_SUFFIX
from mnistdiff.errors import RunInUseError, SettingsError, StorageError
from mnistdiff.settings import TrainSettings
from mnistdiff.settings_file import read_settings_file

JSON_OF_EVERY_KIND = [
    *(b'"x"', b"null", b"[1]", b"{}", b"true", b"NaN", b"1e400", b"-1" + b"0" * 4000, b"1" + b"0" * 5000, b'"\\ud800"')
]
HOLDER = """
import sys, time
from pathlib import Path
from mnistdiff.engine.runs.run_dir import RunDir
with RunDir(Path(sys.argv[1])).locked():
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def run(tmp_path):
    run = RunDir(tmp_path / "run")
    with run.locked():
        pass
    return run


def files(folder):
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())


def fill(run):
    """Write every file of a run."""
    run.write_settings(TrainSettings())
    states = (run.latest, run.previous, run.epoch_checkpoint(10))
    written = (run.metrics_file, run.loss_plot, run.weights, run.epoch_samples(1), *states)
    for file in written:
        file.touch()


def step(number, kind="step"):
    return {"kind": kind, "step": number, "loss": 1 / (number + 1)}


def test_the_files_have_the_names_of_the_original_script(run):
    fill(run)
    assert [name for name in files(run.path) if name != ".lock"] == [
        "checkpoints/diffusion_checkpoint_epoch_0010.safetensors",
        "conditional_diffusion_mnist.safetensors",
        "diffusion_checkpoint.safetensors",
        "diffusion_checkpoint_previous.safetensors",
        "loss.png",
        "metrics.jsonl",
        "samples/epoch_0001.png",
        "settings.json",
    ]


def test_new_runs_take_the_next_number_even_beside_folders_of_other_names(tmp_path):
    runs = tmp_path / "deep" / "runs"
    assert RunDir.allocate("base", runs).path == runs / "001-base"
    assert RunDir.allocate("tiny", runs).path == runs / "002-tiny"
    for other in ("041-mine", "notes", "-7-x", "99x-y", "²-z", ".hidden"):
        (runs / other).mkdir()
    (runs / "050").touch()
    assert RunDir.allocate("tiny", runs).path == runs / "051-tiny"
    (runs / "1000-tiny").mkdir()
    assert RunDir.allocate("tiny", runs).path == runs / "1001-tiny"


def test_runs_that_start_at_the_same_time_get_a_folder_each(tmp_path):
    with ThreadPoolExecutor(16) as pool:
        runs = list(pool.map(lambda _: RunDir.allocate("tiny", tmp_path / "runs").path, range(64)))
    assert len(set(runs)) == 64
    assert all(path.is_dir() for path in runs)


def test_a_checkpoint_belongs_to_the_run_that_contains_it(run, tmp_path):
    run.write_settings(TrainSettings())
    assert RunDir.of(run.latest) == RunDir.of(run.weights) == RunDir.of(run.epoch_checkpoint(3)) == run
    assert RunDir.of(tmp_path / "elsewhere.safetensors") is None
    assert RunDir.of(run.path / "a" / "b" / "too-deep.safetensors") is None


@pytest.mark.parametrize(
    ("here", "checkpoint", "inside"),
    [
        (".", "run/diffusion_checkpoint.safetensors", True),
        (".", "run/checkpoints/x.safetensors", True),
        ("run", "diffusion_checkpoint.safetensors", True),
        ("run", "checkpoints/x.safetensors", True),
        ("run/checkpoints", "x.safetensors", True),
        ("run/checkpoints", "../diffusion_checkpoint.safetensors", True),
        ("run", "../x.safetensors", False),
        ("run", "../other/x.safetensors", False),
        ("run", "../../x.safetensors", False),
        ("run/checkpoints", "../../x.safetensors", False),
        (".", "x.safetensors", False),
    ],
)
def test_a_checkpoint_belongs_to_its_run_from_wherever_it_is_named(run, monkeypatch, here, checkpoint, inside):
    run.write_settings(TrainSettings())
    monkeypatch.chdir(run.path.parent / here)
    found = RunDir.of(Path(checkpoint))
    assert (found and found.path.resolve()) == (run.path if inside else None)


def test_the_newest_run_is_the_one_written_to_last(tmp_path):
    runs = [RunDir(tmp_path / name) for name in ("runs/002-tiny", "here", ".", "runs/001-base")]
    assert RunDir.newest(tmp_path) is None
    for seconds, run in enumerate(runs):
        run.path.mkdir(parents=True, exist_ok=True)
        run.latest.touch()
        os.utime(run.latest, (0, seconds))
        assert RunDir.newest(tmp_path) == run


def test_a_run_without_a_state_or_elsewhere_is_not_the_newest(run, tmp_path):
    fill(run)
    run.latest.unlink()
    RunDir(tmp_path / "too" / "deep").path.mkdir(parents=True)
    RunDir(tmp_path / "too" / "deep").latest.touch()
    assert RunDir.newest(tmp_path) is None


def test_a_folder_is_empty_until_it_holds_a_file_besides_the_lock(run, tmp_path):
    assert RunDir(tmp_path / "missing").is_empty()
    assert run.is_empty()
    (run.path / "samples" / "deep").mkdir()
    assert run.is_empty()
    (run.path / "samples" / "deep" / "mine.txt").touch()
    assert not run.is_empty()


def test_a_run_that_holds_something_is_not_free_unless_it_may_be_replaced(run):
    run.require_free(force=False)
    run.metrics_file.touch()
    run.require_free(force=True)
    with pytest.raises(SettingsError, match=r"run is not empty") as refused:
        run.require_free(force=False)
    assert "resume" not in refused.value.hint  # there is no state to resume
    run.latest.touch()
    with pytest.raises(SettingsError) as refused:
        run.require_free(force=False)
    assert f"mnistdiff resume {run.path}" in refused.value.hint


def test_clearing_deletes_what_a_training_wrote_and_nothing_else(run):
    mine = ["notes.txt", "samples/mine.png", "checkpoints/mine.safetensors", "model/settings.json"]
    for name in mine:
        (run.path / name).parent.mkdir(exist_ok=True)
        (run.path / name).touch()
    fill(run)
    run.clear()
    assert files(run.path) == sorted([".lock", *mine])
    run.clear()


def test_a_run_is_locked_while_it_is_written_and_free_again_afterwards(run):
    with run.locked(), pytest.raises(RunInUseError, match="another training is writing to"), run.locked():
        pass
    with pytest.raises(ZeroDivisionError), run.locked():
        raise ZeroDivisionError
    with run.locked():
        pass


def test_the_kernel_frees_the_run_of_a_training_that_was_killed(run):
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, run.path], stdout=subprocess.PIPE, text=True)
    with holder:
        try:
            assert holder.stdout.readline() == "held\n"
            with pytest.raises(RunInUseError), run.locked():
                pass
        finally:
            holder.send_signal(signal.SIGKILL)
    with run.locked():
        pass


def test_locking_creates_the_folders_and_deletes_temporary_files_of_a_killed_training(tmp_path):
    run = RunDir(tmp_path / "new" / "run")
    with run.locked():
        assert (run.path / "samples").is_dir()
        assert (run.path / "checkpoints").is_dir()
    for folder in (run.path, run.path / "samples", run.path / "checkpoints"):
        (folder / f".x.0123abcd{TEMPORARY_SUFFIX}").touch()
    with run.locked():
        assert files(run.path) == [".lock"]


@pytest.mark.parametrize("below", ["", "below"])
def test_a_file_where_the_run_should_be_is_refused(tmp_path, below):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="is not a folder"), RunDir(tmp_path / "file" / below).locked():
        pass


def test_the_settings_of_a_run_are_read_back_as_they_were(run):
    settings = TrainSettings(channels=(8, 12), lr=1 / 3, max_steps=7, prediction="v_prediction")
    run.write_settings(settings)
    assert TrainSettings(**read_settings_file(run.settings_file)) == settings


def test_metrics_are_read_as_they_were_written(run):
    assert run.read_metrics() == []
    records = [step(10), step(20), {**step(20, "epoch"), "note": "ε \u2028"}]
    for record in records:
        run.append_metrics(record)
    assert run.read_metrics() == records


@pytest.mark.parametrize(
    "line",
    [
        b'{"kind": "step", "step": 2, "lo',
        b"",
        b"\xff\xfe\x00",
        b"[1, 2]",
        b"7",
        b'{"step": 2, "loss": 1}',
        b"[" * 100_000,
        b'{"kind": "step", "step": "two", "loss": 1.0}',
        b'{"kind": "step", "step": null, "loss": 1.0}',
        b'{"kind": "step", "step": 2, "loss": "low"}',
        b'{"kind": "step", "step": 2, "loss": NaN}',
        *(
            b'{"kind": "step", "step": 2, "loss": 1.0, "lr": 1.0}'.replace(before, before[:-3] + value)
            for before in (b'"step": 2, ', b'"loss": 1.0', b'"lr": 1.0')
            for value in (*JSON_OF_EVERY_KIND, b"-1" if before == b'"step": 2, ' else b"Infinity")
        ),
        b'{"kind": "\\ud800", "step": 2, "loss": 1.0}',
        b'{"kind": "step", "step": 2, "loss": 1.0, "x": "' + b"x" * 10_000 + b'"}',
    ],
    ids=lambda line: line[:50].decode(errors="replace"),
)
def test_a_line_that_is_cut_off_or_foreign_is_left_out(run, line):
    run.metrics_file.write_bytes(json.dumps(step(10)).encode() + b"\n" + line + b"\n" + json.dumps(step(20)).encode())
    assert run.read_metrics() == [step(10), step(20)]
    run.rewind_metrics(100, log_every=10)
    assert run.read_metrics() == [step(10), step(20)]


def test_rewinding_leaves_the_records_of_an_unbroken_run(run):
    never_stopped = [step(10), step(20), step(25, "epoch"), step(30)]
    end_of_a_shorter_run = step(28)
    for record in [*never_stopped[:3], end_of_a_shorter_run, step(30), step(40), step(50), step(50, "epoch")]:
        run.append_metrics(record)
    run.rewind_metrics(30, log_every=10)
    assert run.read_metrics() == never_stopped
    run.append_metrics(step(40))
    assert run.read_metrics() == [*never_stopped, step(40)]
    run.rewind_metrics(0, log_every=10)
    assert run.read_metrics() == []


def test_a_long_run_is_read_in_part_from_its_first_record_on(run, monkeypatch):
    monkeypatch.setattr(metrics, "_MOST_RECORDS", 10)
    for number in range(100):
        run.append_metrics(step(number))
    for number in range(0, 100, 33):
        run.append_metrics(step(number, "epoch"))
    read = run.read_metrics()
    steps = [record["step"] for record in read if record["kind"] == "step"]
    assert steps == [*range(0, 100, 16)]
    assert [record["step"] for record in read if record["kind"] == "epoch"] == [0, 33, 66, 99]
    before = run.metrics_file.read_bytes()
    run.rewind_metrics(1000, log_every=1)
    assert run.metrics_file.read_bytes() == before  # nothing is lost by resuming


@pytest.mark.parametrize("kind", ["pipe", "folder", "device", "too large"])
def test_metrics_that_are_not_a_regular_file_or_too_large_are_refused(run, kind):
    path = run.metrics_file
    match kind:
        case "pipe":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
        case "device":
            path.symlink_to("/dev/zero")
        case "too large":
            path.touch()
            os.truncate(path, 2**40)  # of nothing
    with pytest.raises(StorageError, match="metrics.jsonl") as refused:
        run.read_metrics()
    assert "\n" not in refused.value.message


def test_many_records_take_little_memory(run, monkeypatch):
    monkeypatch.setattr(metrics, "_MOST_RECORDS", 1_000)
    line = json.dumps({**step(7), "epoch": 1, "images_seen": 5, "lr": 0.001, "images_per_second": 9.0}) + "\n"
    run.metrics_file.write_text(line * 20_000)
    tracemalloc.start()
    try:
        assert 500 <= len(run.read_metrics()) <= 1_000
        assert tracemalloc.get_traced_memory()[1] < 4 * 2**20
    finally:
        tracemalloc.stop()
