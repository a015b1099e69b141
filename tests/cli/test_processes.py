"""Processes that train together, over a real network: the same files for any number, and one way to end."""

import json
import random
import shutil
import signal
import time

import pytest
from forks import same_content

from mnistdiff import api
from mnistdiff.cli.commands.resume import _count as count_to_resume
from mnistdiff.engine.checkpoint.describe import describe
from mnistdiff.engine.checkpoint.file import read_checkpoint
from mnistdiff.errors import SettingsError
from mnistdiff.machine_settings import MachineSettings

LATEST = "diffusion_checkpoint.safetensors"
PATIENCE_SECONDS = 120
# Seven steps an epoch, of which the last is of 4 images.
LINE = ["--batch-size", "16", "--shards", "8", "--max-steps", "10", "--save-every", "2", "--sample-every", "0"]
LONG = ["--batch-size", "16", "--shards", "8", "--save-every", "5", "--log-every", "1", "--sample-every", "0"]
ENDLESS = [*LONG, "--max-steps", "1000000"]
SMALL = """
images = _images()
small = type(images)(images.images[:100], images.labels[:100], images.name)
divided = lambda settings, **_: type(images).of(small, settings, name=images.name)
pipeline.load_training_images = follow.load_training_images = divided
"""
FAULTS = {
    "no patience": """
from datetime import timedelta
from mnistdiff.engine.training import group
group._JOIN_TIMEOUT = timedelta(seconds=1)
""",
    "a tensor differs": """
from mnistdiff.engine.training.state import TrainState
digests = TrainState.digests
TrainState.digests = lambda self: digests(self) | ({"model.head.bias": 0} if self.step >= 4 else {})
""",
    "memory": """
from mnistdiff.engine.training.objective import DiffusionLoss
DiffusionLoss.real, DiffusionLoss.calls = DiffusionLoss.loss, 0
def loss(self, *arguments):
    DiffusionLoss.calls += 1
    if DiffusionLoss.calls > 4 * 5:  # of eight shards this process has four
        raise MemoryError
    return self.real(*arguments)
DiffusionLoss.loss = loss
""",
}


def together(forks, size, *arguments, cwd, faults=None, **env):
    """Start processes that train together on a hundred images, some of them with a fault."""
    before = {rank: SMALL + (faults or {}).get(rank, "") for rank in range(size)}
    return forks.group(size, *arguments, cwd=cwd, before=before, **env)


def wait_until(condition):
    give_up = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < give_up, "it does not happen"
        time.sleep(0.005)


def records(run):
    file = run / "metrics.jsonl"
    return file.read_bytes().count(b'"kind": "step"') if file.exists() else 0


def codes_of(group):
    return [process.wait() for process in group]


def talk_of(group):
    return "".join(process.err.decode() for process in group if process.talk.with_suffix(".err").exists())


def errors_of(group):
    return [line for line in talk_of(group).splitlines() if line.startswith("error")]


@pytest.fixture(scope="module")
def train(tiny_toml):
    return ["train", "--config", tiny_toml]


@pytest.fixture(scope="module")
def whole(forks, train, tmp_path_factory):
    """The content of an unbroken run of one process."""
    folder = tmp_path_factory.mktemp("whole")
    group = together(forks, 1, *train, *LINE, "--run-dir", "run", "--quiet", cwd=folder)
    assert codes_of(group) == [0], talk_of(group)
    return same_content(folder / "run")


@pytest.mark.parametrize("size", [2, 4, 8])
def test_a_run_has_the_same_files_from_any_number_of_processes(forks, train, whole, tmp_path, size):
    """And the first of them alone speaks."""
    group = together(forks, size, *train, *LINE, "--run-dir", "run", "--json", cwd=tmp_path)
    assert codes_of(group) == [0] * size, talk_of(group)
    assert json.loads(group[0].out)["complete"]
    assert [process.out + process.err for process in group[1:]] == [b""] * (size - 1)
    assert same_content(tmp_path / "run") == whole


def test_bf16_has_the_same_files_from_any_number_of_processes_and_stays_exact_when_resumed(forks, train, tmp_path):
    line = [*train, *LINE, "--precision", "bf16", "--quiet"]
    for size in (1, 2):
        group = together(forks, size, *line, "--run-dir", f"of_{size}", cwd=tmp_path)
        assert codes_of(group) == [0] * size, talk_of(group)
    group = together(forks, 2, *line, "--max-steps", 3, "--run-dir", "stopped", cwd=tmp_path)
    assert codes_of(group) == [0, 0], talk_of(group)
    group = together(forks, 1, "resume", "stopped", "--max-steps", 10, "--quiet", cwd=tmp_path)
    assert codes_of(group) == [0], talk_of(group)
    one, two, resumed = (same_content(tmp_path / name) for name in ("of_1", "of_2", "stopped"))
    assert one == two == resumed
    tensors = read_checkpoint(tmp_path / "of_1" / LATEST).tensors
    assert {array.dtype.name for array in tensors.values()} == {"float32"}


def test_augmentation_and_held_out_losses_are_the_same_from_any_number_of_processes(forks, train, tmp_path):
    line = [*train, "--augment", "shift,rotate", "--holdout", 0.2, "--batch-size", 1024, "--shards", 8]
    line += ["--log-every", 1, "--sample-every", 0, "--checkpoint-every", 0, "--quiet"]
    for size in (1, 2):
        group = together(forks, size, *line, "--max-steps", 6, "--run-dir", f"of_{size}", cwd=tmp_path)
        assert codes_of(group) == [0] * size, talk_of(group)
    group = together(forks, 2, *line, "--max-steps", 3, "--run-dir", "stopped", cwd=tmp_path)
    assert codes_of(group) == [0, 0], talk_of(group)
    group = together(forks, 1, "resume", "stopped", "--max-steps", 6, "--quiet", cwd=tmp_path)
    assert codes_of(group) == [0], talk_of(group)
    one, two, resumed = (same_content(tmp_path / name) for name in ("of_1", "of_2", "stopped"))
    assert one == two == resumed
    assert describe(tmp_path / "of_1" / LATEST).held_out["step"] == 6


def test_a_run_is_resumed_by_another_number_of_processes(forks, train, whole, tmp_path):
    group = together(forks, 2, *train, *LINE, "--max-steps", 3, "--run-dir", "run", "--quiet", cwd=tmp_path)
    assert codes_of(group) == [0, 0], talk_of(group)
    for size, end in ((1, 5), (4, 10)):
        group = together(forks, size, "resume", "run", "--max-steps", end, "--quiet", cwd=tmp_path)
        assert codes_of(group) == [0] * size, talk_of(group)
        assert "bit-exact" not in talk_of(group)
    assert same_content(tmp_path / "run") == whole


def test_a_time_budget_is_planned_once(forks, train, tmp_path):
    line = [*train, *LINE[:4], "--sample-every", 0, "--max-minutes", 0.02, "--run-dir", "run", "--json"]
    group = together(forks, 2, *line, cwd=tmp_path)
    assert codes_of(group) == [0, 0], talk_of(group)
    description = describe(tmp_path / "run" / LATEST)
    assert description.step == description.settings["max_steps"] == json.loads(group[0].out)["step"]


def test_a_failure_of_one_process_ends_all_and_a_restart_by_the_launcher_resumes_the_run(forks, train, whole, tmp_path):
    line = [*train, *LINE, "--run-dir", "run", "--quiet"]
    group = together(forks, 2, *line, cwd=tmp_path, faults={1: FAULTS["memory"]})
    assert codes_of(group) == [10, 8], talk_of(group)
    assert describe(tmp_path / "run" / LATEST).step == 4
    group = together(forks, 2, *line, cwd=tmp_path)
    assert codes_of(group)[0] == 2, talk_of(group)  # the folder is not empty
    group = together(forks, 2, *line, cwd=tmp_path, TORCHELASTIC_RESTART_COUNT="1")
    assert codes_of(group) == [0, 0], talk_of(group)
    assert same_content(tmp_path / "run") == whole


def test_a_tensor_that_differs_in_one_process_is_an_error_of_all(forks, train, tmp_path):
    line = [*train, *LINE, "--run-dir", "run", "--quiet"]
    group = together(forks, 4, *line, cwd=tmp_path, faults={2: FAULTS["a tensor differs"]})
    assert codes_of(group) == [6] * 4
    [message] = errors_of(group[:1])
    assert "model.head.bias" in message
    assert "process 2" in message
    assert describe(tmp_path / "run" / LATEST).step == 2  # nothing that differs was saved


@pytest.mark.parametrize("rank", [0, 1])
def test_a_signal_to_one_process_saves_and_ends_all(forks, train, tmp_path, rank):
    line = [*train, *ENDLESS, "--run-dir", "run"]
    group = together(forks, 2, *line, cwd=tmp_path)
    wait_until(lambda: records(tmp_path / "run") >= 3)
    if rank == 0:
        others = together(forks, 2, *line, "--force", cwd=tmp_path)
        assert codes_of(others) == [7, 10], talk_of(others)  # the folder is in use
    group[rank].send(signal.SIGTERM)
    codes = codes_of(group)
    assert codes[rank] == 143, talk_of(group)
    assert codes[1 - rank] == 0, talk_of(group)
    assert describe(tmp_path / "run" / LATEST).step == records(tmp_path / "run")


@pytest.mark.parametrize("rank", [0, 1])
def test_a_kill_of_one_process_ends_the_other(forks, train, tmp_path, rank):
    group = together(forks, 2, *train, *ENDLESS, "--run-dir", "run", "--quiet", cwd=tmp_path)
    wait_until(lambda: records(tmp_path / "run") >= 3)
    group[rank].send(signal.SIGKILL)
    sent = time.monotonic()
    codes = codes_of(group)
    assert time.monotonic() - sent < 10
    assert (codes[rank], codes[1 - rank]) == (-signal.SIGKILL, 10)
    assert len(errors_of(group)) == 1


def test_a_process_that_never_comes_is_waited_for_and_then_named(forks, train, tmp_path):
    faults = {0: FAULTS["no patience"], 1: "os._exit(0)"}
    first, _ = group = together(forks, 2, *train, *LINE, "--run-dir", "run", cwd=tmp_path, faults=faults)
    assert codes_of(group)[0] == 10
    [message] = errors_of(group)
    assert "process 0 of 2" in message
    assert first.out == b""
    assert not (tmp_path / "run").exists()


def test_a_process_that_waits_for_another_one_ends_on_a_signal(forks, train, tmp_path):
    first, _ = group = together(forks, 2, *train, *LINE, cwd=tmp_path, faults={1: "os._exit(0)"})
    wait_until(lambda: "loading" in talk_of(group))
    first.send(signal.SIGTERM)
    sent = time.monotonic()
    assert codes_of(group)[0] == 143
    assert time.monotonic() - sent < 10
    assert errors_of(group) == []


def sized(few, many):
    """The trials of every push, and those of the soak."""
    return pytest.mark.parametrize("trials", [few, pytest.param(many, marks=pytest.mark.soak)])


@sized(3, 100)
def test_a_run_whose_processes_are_killed_at_random_moments_ends_in_the_bits_of_an_unbroken_run(
    forks, train, tmp_path, trials, record_property
):
    """One is killed; the others end by themselves, or by the SIGTERM that a launcher sends soon after."""
    chance, kills = random.Random(trials), 0
    line = [*train, *LONG, "--max-steps", 20, "--quiet"]
    began = time.monotonic()
    assert codes_of(together(forks, 2, *line, "--run-dir", "whole", cwd=tmp_path)) == [0, 0]
    seconds = time.monotonic() - began
    reference = same_content(tmp_path / "whole")
    for trial in range(trials):
        run = tmp_path / f"killed_{trial}"
        for attempt in range(9):
            saved = (run / LATEST).exists()
            words = ["resume", run, "--quiet"] if saved else [*line, "--run-dir", run, "--force"]
            size = chance.choice([2, 2, 2, 4])
            group = together(forks, size, *words, cwd=tmp_path)
            if attempt < 1 + trial % 3:
                time.sleep(chance.uniform(0, seconds))
                chance.choice(group).send(signal.SIGKILL)
                sent = time.monotonic()
                time.sleep(chance.uniform(0, 0.3))
                for process in group:
                    process.send(signal.SIGTERM)
                codes = codes_of(group)
                assert time.monotonic() - sent < 10
                assert set(codes) <= {0, 10, 143, -signal.SIGKILL}, talk_of(group)
                kills += -signal.SIGKILL in codes
            elif set(codes_of(group)) == {0}:
                break
        assert same_content(run) == reference
    record_property("kills", kills)  # in the report of pytest --junitxml: a figure of reliability.md
    assert kills > trials / 2


@pytest.mark.parametrize(
    ("arguments", "variables", "named"),
    [
        (("--processes", 3), {}, "--processes 3"),
        (("--processes", 8, "--shards", 4), {}, "4 shards"),
        (("--processes", 0), {}, "0"),
        (("--processes", "two"), {}, "two"),
        ((), {"MNISTDIFF_PROCESSES": "3"}, "--processes 3"),
        (("--config", "three.toml"), {}, "--processes 3"),
        (("--batch-size", 6, "--shards", 4), {}, "shards 4"),
        ((), {"WORLD_SIZE": "3", "RANK": "0"}, "3 processes"),
        ((), {"WORLD_SIZE": "2", "RANK": "2"}, "rank 2"),
        ((), {"WORLD_SIZE": "two", "RANK": "0"}, "WORLD_SIZE is 'two'"),
        ((), {"WORLD_SIZE": "2", "RANK": "-1"}, "rank -1"),
    ],
)
def test_a_wrong_number_of_processes_is_a_usage_error(invoke, tmp_path, monkeypatch, arguments, variables, named):
    (tmp_path / "three.toml").write_text("processes = 3\n")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    done = invoke("train", *arguments, "--run-dir", "run")
    assert (done.returncode, done.stdout) == (2, b"")
    assert named in done.stderr.decode()
    assert not (tmp_path / "run").exists()


def test_a_run_of_whole_batches_is_for_one_process(invoke, tiny_run, monkeypatch):
    for options, variables in ((("--processes", 2), {}), ((), {"MNISTDIFF_PROCESSES": "2"})):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        done = invoke("resume", tiny_run, "--max-steps", 50, *options)
        assert done.returncode == 2
        assert "--processes 2" in done.stderr.decode()
        assert "1 shards" in done.stderr.decode()


def test_where_processes_are_set_is_shown_and_nothing_is_started(invoke, tmp_path, monkeypatch):
    (tmp_path / "two.toml").write_text("processes = 2\n")
    monkeypatch.setenv("MNISTDIFF_PROCESSES", "4")
    for options, expected in (
        ((), {"value": 4, "origin": "MNISTDIFF_PROCESSES"}),
        (("--config", "two.toml"), {"value": 4, "origin": "MNISTDIFF_PROCESSES"}),
        (("--processes", "auto"), {"value": "auto", "origin": "command line"}),
    ):
        done = invoke("train", *options, "--dry-run", "--json")
        assert json.loads(done.stdout)["processes"] == expected
    monkeypatch.delenv("MNISTDIFF_PROCESSES")
    done = invoke("train", "--config", "two.toml", "--dry-run", "--json")
    assert json.loads(done.stdout)["processes"] == {"value": 2, "origin": "two.toml"}


def test_the_python_api_starts_no_processes(tmp_path):
    events = api.train(preset="tiny", dataset="mnist-5k", max_steps=1, run_dir=tmp_path / "run", processes=2)
    with pytest.raises(SettingsError, match="`processes` 2"):
        next(events)
    assert not (tmp_path / "run").exists()


def test_a_run_whose_latest_state_is_damaged_is_resumed_by_the_number_of_processes_asked_for(tiny_run, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run)
    (run / LATEST).write_bytes(b"torn")
    asked = [MachineSettings(processes=processes) for processes in ("auto", 2)]
    assert [count_to_resume(run, machine, None, None) for machine in asked] == [1, 2]
