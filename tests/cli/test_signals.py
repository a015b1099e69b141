"""Stopping a real process: by Ctrl-C, by a scheduler, by kill -9."""

import json
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from forks import kill_all, same_content

LATEST = "diffusion_checkpoint.safetensors"
PATIENCE_SECONDS = 60
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
# Whoever runs these tests in the background ignores SIGINT, and a child inherits that.
NOT_IGNORED = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
ENDLESS = ["--batch-size", "4", "--log-every", "1", "--max-steps", "1000000", "--run-dir", "run"]


def wait_for(condition, ended):
    """Until the condition holds, while the process lives."""
    give_up = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert not ended(), "the program ended too early"
        assert time.monotonic() < give_up, "the program does not get there"
        time.sleep(0.01)


class Started:
    """A process with its talk in a file."""

    def __init__(self, words, folder, environment):
        self.folder = folder
        # A child inherits whether SIGINT is ignored; whoever runs these tests in the background ignores it.
        ours = signal.signal(signal.SIGINT, signal.SIG_DFL)
        try:
            with open(folder / "talk", "wb") as talk:
                self.process = subprocess.Popen(
                    words, cwd=folder, env=environment(), stdout=subprocess.PIPE, stderr=talk
                )
        finally:
            signal.signal(signal.SIGINT, ours)

    @property
    def talk(self):
        return (self.folder / "talk").read_text()

    def ended(self):
        return self.process.poll() is not None

    def wait_for_talk(self, text):
        wait_for(lambda: text in self.talk, self.ended)

    def end(self):
        stdout, _ = self.process.communicate(timeout=PATIENCE_SECONDS)
        return self.process.returncode, stdout.decode()


@pytest.fixture
def start(program, environment, tmp_path):
    @contextmanager
    def run(*arguments):
        started = Started([*program, *map(str, arguments)], tmp_path, environment)
        try:
            yield started
        finally:
            started.process.kill()
            started.process.communicate()

    return run


@pytest.fixture
def started_fork(forks, tmp_path):
    """Start the program in a process that has torch."""

    @contextmanager
    def run(*arguments, **options):
        fork = forks.start(*arguments, cwd=tmp_path, quick=False, **options)
        try:
            yield fork
        finally:
            kill_all([fork])

    return run


# Of forks in a process with threads, as pexpect makes them, Python warns from 3.12 on.
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_ctrl_c_in_a_terminal_saves_and_resuming_gives_the_bits_of_an_unbroken_run(
    program, environment, invoke, tiny_toml, tmp_path
):
    pexpect = pytest.importorskip("pexpect")
    training = pexpect.spawn(
        program[0],
        [*program[1:], "train", "--config", str(tiny_toml), *ENDLESS],
        cwd=tmp_path,
        env=environment(COLUMNS=None),
        dimensions=(24, 40),
        timeout=PATIENCE_SECONDS,
        encoding="utf-8",
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        training.expect(r"will take about .* Ctrl-C saves and stops")
        bars = [ESCAPES.sub("", text) for text in re.split(r"[\r\n]+", training.before) if "━" in text]
        training.sendcontrol("c")
        training.expect("repeat to stop")
        training.expect(pexpect.EOF)
    finally:
        training.close(force=True)
    assert training.exitstatus == 130
    assert 0 < max(map(len, bars)) <= 40
    talk = training.before
    assert "Traceback" not in talk
    assert f"run/{LATEST}\r\n" in talk
    assert "mnistdiff resume run\r\n" in talk
    assert talk.rfind("\x1b[?25h") > talk.rfind("\x1b[?25l")  # the cursor is back
    step = int(re.search(r"stopped, and saved at step (\d+) of \d+", talk)[1])
    shown = json.loads(invoke("inspect", "run", "--json").stdout)
    assert (shown["step"], shown["digest_valid"]) == (step, True)

    end = ["--max-steps", step + 3]
    assert invoke("resume", "run", *end).returncode == 0
    assert invoke("train", "--config", tiny_toml, *ENDLESS[:-2], *end, "--run-dir", "whole").returncode == 0
    assert same_content(tmp_path / "run") == same_content(tmp_path / "whole")


def test_a_background_job_ignores_ctrl_c_and_stops_on_sigterm(started_fork, invoke, tiny_toml, tmp_path):
    """And while it runs nobody else trains in its folder."""

    def records():
        file = tmp_path / "run" / "metrics.jsonl"
        return len(file.read_bytes().splitlines()) if file.exists() else 0

    line = ["train", "--config", tiny_toml, *ENDLESS]
    with started_fork(*line, "--json", ignored=[signal.SIGINT]) as training:
        wait_for(lambda: records() >= 1, training.ended)
        for second in (line, [*line, "--force"], ["resume", "run"]):
            refusal = invoke(*second, "--quiet")
            assert (refusal.returncode, refusal.stdout) == (7, b"")
            assert b"another training is writing to run" in refusal.stderr
        training.send(signal.SIGINT)
        count = records() + 5
        wait_for(lambda: records() >= count, training.ended)
        training.send(signal.SIGTERM)
        assert training.wait() == 143
    result = json.loads(training.out)
    assert (result["complete"], result["run"], result["checkpoint"]) == (False, "run", f"run/{LATEST}")
    assert b"Traceback" not in training.err
    steps = [json.loads(text)["step"] for text in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert steps == [*range(1, result["step"] + 1)]
    assert json.loads(invoke("inspect", "run", "--json").stdout)["step"] == result["step"]


def test_a_second_signal_leaves_at_once(start, tiny_toml):
    with start("train", "--config", tiny_toml, *ENDLESS) as training:
        training.wait_for_talk("loading PyTorch")
        training.process.send_signal(signal.SIGTERM)
        training.wait_for_talk("repeat to stop at once")
        training.process.send_signal(signal.SIGINT)
        code, stdout = training.end()
    assert (code, stdout) == (130, "")
    assert "stopped at once" in training.talk.splitlines()[-1]


def test_ctrl_c_when_all_is_done_is_no_traceback(environment):
    """While Python itself is leaving, which takes a while once it has torch."""
    last_moment = "import atexit, os; atexit.register(os.kill, os.getpid(), signal.SIGINT)\n"
    program = NOT_IGNORED + last_moment + "from mnistdiff.cli.app import main; main()"
    done = subprocess.run([sys.executable, "-c", program, "--version"], env=environment(), capture_output=True)
    assert (done.returncode, done.stderr) == (130, b"")


def test_ctrl_c_while_sampling_keeps_the_finished_images_and_leaves_no_torn_one(start, tmp_path):
    with start("sample", "-d", 1, "-n", 100000, "--seed", 0, "--steps", 3) as sampling:
        wait_for((tmp_path / "inference_samples" / "digit_1_0.png").exists, sampling.ended)
        sampling.process.send_signal(signal.SIGINT)
        code, stdout = sampling.end()
    assert code == 130
    assert "Traceback" not in sampling.talk
    there = {str(path.relative_to(tmp_path)) for path in Path(tmp_path, "inference_samples").iterdir()}
    assert set(stdout.splitlines()) <= there
    assert len(there) - len(stdout.splitlines()) <= 1  # written, and its path not yet printed
    assert all(name.endswith(".png") and "/digit_1_" in name for name in there)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_code_that_must_not_be_unwound_is_left_without_an_exception(environment, number):
    """As torch.export is, where C++ calls Python: an exception there aborts the process."""
    program = f"""{NOT_IGNORED}
import os
from mnistdiff.cli.signals import leaving_at_once
try:
    with leaving_at_once():
        os.kill(os.getpid(), {number})
        for _ in range(10**8): pass
finally:
    print("unwound")
"""
    done = subprocess.run([sys.executable, "-c", program], env=environment(), capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (128 + number, b"", b"")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize(
    "interrupted",
    [
        # As pydantic's core does: the exception becomes another one.
        "\n try: os.kill(os.getpid(), {number}); time.sleep(9)\n except BaseException: raise ValueError from None",
        # As Python does with what is raised by a finalizer.
        "\n class Dropped:\n  def __del__(self): os.kill(os.getpid(), {number}); time.sleep(9)\n Dropped()",
    ],
)
def test_a_signal_whose_exception_is_replaced_or_dropped_still_ends_the_program(environment, number, interrupted):
    program = (
        f"{NOT_IGNORED}import os, time\nsignal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup ignores it\n"
        f"from mnistdiff.cli import app\ndef command(*words, **options):{interrupted.format(number=int(number))}\n"
        "app.app = command\napp.main()"
    )
    done = subprocess.run([sys.executable, "-c", program], env=environment(), capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (128 + number, b"", b"")


def test_sigterm_while_exporting_is_143_and_leaves_no_file(started_fork, tmp_path):
    with started_fork("export", "-o", "model.onnx") as exporting:
        wait_for(lambda: b"exporting" in exporting.err, exporting.ended)
        time.sleep(2)  # into torch.export; at any other moment the answer is the same
        exporting.send(signal.SIGTERM)
        assert (exporting.wait(), exporting.out) == (143, b"")
    assert b"Traceback" not in exporting.err
    assert list(tmp_path.iterdir()) == []
