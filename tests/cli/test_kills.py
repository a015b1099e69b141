"""A run that is killed, stopped, started twice or kept running loses nothing: many trials, a process each."""

import json
import random
import re
import signal
import time
from pathlib import Path

import pytest
from forks import kill_all, same_content
from PIL import Image

from mnistdiff.engine.checkpoint.describe import describe
from mnistdiff.engine.checkpoint.file import read_checkpoint

LATEST = "diffusion_checkpoint.safetensors"
PATIENCE_SECONDS = 120
# 40 steps, 8 saves, 4 kept; a fifth of a second of training in all.
SHORT = ["--batch-size", "8", "--max-steps", "40", "--save-every", "5", "--log-every", "4", "--sample-every", "0"]
ENDLESS = ["--batch-size", "8", "--max-steps", "1000000", "--save-every", "1000", "--log-every", "1"]


def sized(few, many):
    """The trials of every push, and those of the soak."""
    return pytest.mark.parametrize("trials", [few, pytest.param(many, marks=pytest.mark.soak)])


def wait_until(condition):
    give_up = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < give_up, "it does not happen"
        time.sleep(0.002)


def records(folder):
    file = folder / "metrics.jsonl"
    return file.read_bytes().count(b"\n") if file.exists() else 0


def recorded_steps(folder):
    return [json.loads(line)["step"] for line in (folder / "metrics.jsonl").read_text().splitlines()]


@sized(8, 500)
def test_a_run_killed_at_random_moments_ends_in_the_bits_of_an_unbroken_run(
    forks, tiny_toml, tmp_path, trials, record_property
):
    train = ["train", "--config", tiny_toml, *SHORT, "--quiet"]
    code, whole = forks.run(*train, "--run-dir", "whole", cwd=tmp_path)
    seconds = time.monotonic() - whole.began
    assert code == 0, whole.err
    reference, chance, kills = same_content(tmp_path / "whole"), random.Random(trials), 0
    for trial in range(trials):
        run = tmp_path / f"killed_{trial}"
        for _ in range(chance.randint(1, 5)):
            # What a user does: resume, or start again where nothing was saved yet.
            saved = (run / LATEST).exists()
            line = ["resume", run, "--quiet"] if saved else [*train, "--run-dir", run, "--force"]
            fork = forks.start(*line, cwd=tmp_path)
            time.sleep(chance.uniform(0, seconds))
            fork.send(signal.SIGKILL)
            code = fork.wait()
            assert code in (-signal.SIGKILL, 0), fork.err
            kills += code != 0
        line = ["resume", run, "--quiet"] if (run / LATEST).exists() else [*train, "--run-dir", run, "--force"]
        code, fork = forks.run(*line, cwd=tmp_path)
        assert code == 0, fork.err
        assert same_content(run) == reference
    record_property("kills", kills)  # in the report of pytest --junitxml: a figure of reliability.md
    assert kills > trials


@sized(6, 100)
def test_a_signal_at_a_random_moment_saves_the_state_and_leaves(forks, tiny_toml, tmp_path, trials):
    chance = random.Random(trials)
    numbers = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
    for trial in range(trials):
        run, number = tmp_path / f"run_{trial}", numbers[trial % 3]
        fork = forks.start("train", "--config", tiny_toml, *ENDLESS, "--run-dir", run, cwd=tmp_path)
        wait_until(lambda run=run: records(run) >= 1)
        time.sleep(chance.uniform(0, 0.3))
        before = records(run)
        fork.send(number)
        sent = time.monotonic()
        code = fork.wait()
        assert time.monotonic() - sent < 5  # two seconds and a step, on a machine that others use too
        assert code == 128 + number, fork.err
        state = read_checkpoint(run / LATEST)
        assert state.metadata.step == recorded_steps(run)[-1] >= before
        assert b"Traceback" not in fork.err
        assert not list(run.rglob(".*mnistdiff-tmp"))


@sized(6, 100)
def test_a_signal_while_loading_or_drawing_leaves_nothing_half_done(forks, tiny_toml, tiny_run, tmp_path, trials):
    chance = random.Random(trials)
    numbers = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
    lines = [
        ["train", "--config", tiny_toml, "--batch-size", "8", "--max-steps", "3", "--run-dir", "out"],
        ["sample", "-c", tiny_run, "-n", "20", "--steps", "3", "-o", "out/"],
        ["grid", tiny_run, "--steps", "5", "-o", "out/grid.png"],
    ]
    seconds = []
    for trial in range(-len(lines), trials):
        folder, line = tmp_path / f"trial_{trial}", lines[trial % 3]
        (folder / "out").mkdir(parents=True)
        fork = forks.start(*line, cwd=folder)
        if trial < 0:  # how long it takes if nobody interferes
            assert fork.wait() == 0, fork.err
            seconds.append(time.monotonic() - fork.began)
            continue
        number = numbers[trial // 3 % 3]
        time.sleep(chance.uniform(0.02, seconds[trial % 3]))
        fork.send(number)
        assert fork.wait() in (128 + number, 0), fork.err
        assert b"Traceback" not in fork.err
        for path in (folder / "out").rglob("*"):
            assert "mnistdiff-tmp" not in path.name
            if path.suffix == ".safetensors":
                assert describe(path).digest_valid
            if path.suffix == ".png" and path.name != "loss.png":  # that of these trials is no picture
                with Image.open(path) as image:
                    image.load()


@sized(4, 100)
def test_two_signals_leave_at_once_and_the_last_save_is_whole(forks, tiny_toml, tmp_path, trials):
    chance = random.Random(trials)
    for trial in range(trials):
        run = tmp_path / f"run_{trial}"
        fork = forks.start("train", "--config", tiny_toml, *ENDLESS, "--run-dir", run, cwd=tmp_path)
        wait_until(lambda run=run: records(run) >= 1)
        time.sleep(chance.uniform(0, 0.1))
        fork.send(signal.SIGTERM)
        time.sleep(chance.uniform(0, 0.02))
        fork.send(signal.SIGINT)
        code = fork.wait()
        assert code in (143, 130), fork.err  # the first was quicker, or the second
        assert describe(run / LATEST).digest_valid


@sized(2, 50)
def test_of_eight_trainings_started_together_in_one_folder_one_proceeds(forks, tiny_toml, tmp_path, trials):
    for trial in range(trials):
        run = tmp_path / f"run_{trial}"
        line = ["train", "--config", tiny_toml, *ENDLESS, "--run-dir", run, "--quiet"]
        eight = [forks.start(*line, cwd=tmp_path) for _ in range(8)]
        wait_until(lambda eight=eight: sum(fork.ended() for fork in eight) >= 7)
        wait_until(lambda run=run: records(run) >= 1)
        [running] = [fork for fork in eight if not fork.ended()]
        codes = [fork.wait() for fork in eight if fork is not running]
        assert codes == [7] * 7
        kill_all([running])
        code, again = forks.run("resume", run, "--max-steps", describe(run / LATEST).step + 1, cwd=tmp_path)
        assert code == 0, again.err  # the kernel has freed the lock


@sized(100, 1000)
def test_reading_while_it_is_written_never_meets_a_torn_file(forks, tiny_toml, tmp_path, trials):
    run = tmp_path / "run"
    line = ["train", "--config", tiny_toml, *ENDLESS, "--save-every", "1", "--run-dir", run, "--quiet"]
    fork = forks.start(*line, cwd=tmp_path)
    wait_until((run / LATEST).exists)
    steps: list[int] = []
    give_up = time.monotonic() + PATIENCE_SECONDS
    while len(steps) < trials or len(set(steps)) <= 5:  # a reader may be much faster than the writer
        assert time.monotonic() < give_up
        found = describe(run / LATEST)
        assert found.digest_valid
        steps.append(found.step)
    kill_all([fork])
    assert steps == sorted(steps)


@sized(40, 200)
def test_memory_and_open_files_stay_as_they_are_through_many_saves(forks, tiny_toml, tmp_path, trials):
    """``trials`` saves, one every ten steps."""
    run = tmp_path / "run"
    line = ["train", "--config", tiny_toml, *ENDLESS, "--save-every", "10", "--sample-every", "0", "--quiet"]
    fork = forks.start(*line, "--checkpoint-every", "0", "--run-dir", run, cwd=tmp_path)

    def now():
        """Resident memory, and open files between two saves, while one may be just going on."""
        status = Path(f"/proc/{fork.pid}/status").read_text()
        counts = [len(list(Path(f"/proc/{fork.pid}/fd").iterdir())) for _ in range(50)]
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]), min(counts)

    wait_until(lambda: records(run) >= 150)  # warmed up
    memory, files = now()
    wait_until(lambda: records(run) >= 150 + 10 * trials)
    later, files_later = now()
    fork.send(signal.SIGTERM)  # kill -9 in the middle of a save would leave its temporary file
    assert fork.wait() == 143, fork.err
    assert later < 1.02 * memory
    assert files_later <= files
    names = {path.name for path in run.iterdir() if path.is_file()}
    assert names <= {".lock", "settings.json", "metrics.jsonl", "loss.png", LATEST, LATEST.replace(".", "_previous.")}
