"""Trainings of several processes as a user starts them: by ``--processes``, and by torchrun."""

import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from forks import same_content

from mnistdiff.engine.checkpoint.describe import describe
from mnistdiff.engine.training.execution import compiler

LATEST = "diffusion_checkpoint.safetensors"
PATIENCE_SECONDS = 180
LINE = ["--batch-size", "16", "--shards", "4", "--precision", "fp32", "--sample-every", "0", "--run-dir", "run"]
SHORT = [*LINE, "--max-steps", "8", "--save-every", "3"]
ENDLESS = [*LINE, "--epochs", "1000000", "--log-every", "1"]
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node"]
# In process 1, at its sixth step, the first time that the launcher has started it.
FAULT = """
import os, signal
if os.environ.get("RANK") == "1" and os.environ["TORCHELASTIC_RESTART_COUNT"] == "0":
    from mnistdiff.engine.training.objective import DiffusionLoss
    DiffusionLoss.real, DiffusionLoss.calls = DiffusionLoss.loss, 0
    def loss(self, *arguments):
        DiffusionLoss.calls += 1
        if DiffusionLoss.calls > 2 * 5:
            {fault}
        return self.real(*arguments)
    DiffusionLoss.loss = loss
"""
KILLED = "os.kill(os.getpid(), signal.SIGKILL)"


def wait_until(condition):
    give_up = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < give_up, "it does not happen"
        time.sleep(0.02)


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class Started:
    """A launcher, with all the talk in one file."""

    def __init__(self, words, folder, environment):
        self.folder, self.talk_file = folder, folder.with_suffix(".talk")
        # A child inherits whether SIGINT is ignored; whoever runs these tests in the background ignores it.
        ours = signal.signal(signal.SIGINT, signal.SIG_DFL)
        try:
            with self.talk_file.open("wb") as talk:
                self.process = subprocess.Popen(
                    [*map(str, words)], cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=talk
                )
        finally:
            signal.signal(signal.SIGINT, ours)

    @property
    def talk(self):
        return self.talk_file.read_text()

    @property
    def steps(self):
        file = self.folder / "run" / "metrics.jsonl"
        return file.read_bytes().count(b'"kind": "step"') if file.exists() else 0

    @property
    def workers(self):
        """The process ids, by rank."""
        found = {}
        for child in Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split():
            rank = re.search(rb"\0RANK=(\d+)\0", Path(f"/proc/{child}/environ").read_bytes())
            if rank:
                found[int(rank[1])] = int(child)
        return [found[rank] for rank in sorted(found)]

    def wait_for_steps(self, count):
        def happened():
            assert self.process.poll() is None, self.talk
            return self.steps >= count

        wait_until(happened)

    def end(self):
        stdout, _ = self.process.communicate(timeout=PATIENCE_SECONDS)
        return self.process.returncode, stdout


@pytest.fixture
def start(environment, tmp_path):
    """Start a command line, by default the program's, in ``tmp_path / "work"``."""
    folder = tmp_path / "work"
    folder.mkdir()
    site = tmp_path / "site"
    site.mkdir()

    @contextmanager
    def run(*arguments, before=(sys.executable, "-m", "mnistdiff"), fault="", where=folder, **changes):
        where.mkdir(exist_ok=True)
        (site / "sitecustomize.py").write_text(FAULT.format(fault=fault) if fault else "")
        variables = environment(**{"PYTHONPATH": str(site), "GLOO_SOCKET_IFNAME": "lo", **changes})
        started = Started([*before, *arguments], where, variables)
        try:
            yield started
        finally:
            started.process.kill()
            started.process.communicate()

    return run


@pytest.fixture(scope="module")
def whole(forked, tiny_toml, tmp_path_factory):
    """The content of the unbroken run of SHORT by one process."""
    folder = tmp_path_factory.mktemp("whole")
    done = forked("train", "--config", tiny_toml, *SHORT, "--quiet", cwd=folder)
    assert done.returncode == 0, done.stderr
    return same_content(folder / "run")


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.soak)])
def test_a_signal_to_the_launcher_saves_and_ends_all(start, forked, tiny_toml, number):
    """With one result on stdout, and the bits of one process from there on."""
    with start("train", "--config", tiny_toml, *ENDLESS, "--processes", 2, "--json") as training:
        training.wait_for_steps(3)
        workers = training.workers
        training.process.send_signal(number)
        code, stdout = training.end()
    assert code == 128 + number, training.talk
    assert len(workers) == 2
    assert not any(map(is_alive, workers))
    told = json.loads(stdout)
    assert (told["complete"], told["step"]) == (False, training.steps)
    end = ["--max-steps", told["step"] + 2]
    done = forked("resume", "run", *end, cwd=training.folder)
    assert done.returncode == 0, done.stderr
    done = forked("train", "--config", tiny_toml, *ENDLESS, *end, "--run-dir", "whole", cwd=training.folder)
    assert done.returncode == 0, done.stderr
    assert same_content(training.folder / "run") == same_content(training.folder / "whole")


@pytest.mark.parametrize("rank", [0, pytest.param(1, marks=pytest.mark.soak)])
def test_a_kill_of_one_process_is_10_and_one_sentence(start, tiny_toml, rank):
    with start("train", "--config", tiny_toml, *ENDLESS, "--processes", 2, "--quiet") as training:
        training.wait_for_steps(3)
        workers = training.workers
        os.kill(workers[rank], signal.SIGKILL)
        sent = time.monotonic()
        code, stdout = training.end()
    assert time.monotonic() - sent < 10
    assert (code, stdout) == (10, b"")
    assert not any(map(is_alive, workers))
    assert f"process {rank} of 2 was killed by SIGKILL" in training.talk
    assert training.talk.count("error") == 1
    assert "Traceback" not in training.talk


def test_a_kill_of_the_launcher_ends_all_processes(start, tiny_toml):
    with start("train", "--config", tiny_toml, *ENDLESS, "--processes", 2, "--quiet") as training:
        training.wait_for_steps(3)
        workers = training.workers
        training.process.kill()
        sent = time.monotonic()
        wait_until(lambda: not any(map(is_alive, workers)))
    assert time.monotonic() - sent < 10
    assert describe(training.folder / "run" / LATEST).step == training.steps
    assert "error" not in training.talk


def test_torchrun_restarts_a_training_that_was_killed_and_it_ends_in_the_bits_of_an_unbroken_one(
    start, tiny_toml, whole
):
    words = [*TORCHRUN, 2, "--standalone", "--max-restarts", 1, "-m", "mnistdiff"]
    with start("train", "--config", tiny_toml, *SHORT, "--json", before=words, fault=KILLED) as training:
        code, stdout = training.end()
    assert code == 0, training.talk
    assert json.loads(stdout)["complete"]
    assert same_content(training.folder / "run") == whole


@pytest.mark.soak
def test_a_background_job_ignores_the_closing_of_the_terminal(start, tiny_toml):
    before = ["nohup", sys.executable, "-m", "mnistdiff"]
    line = ["train", "--config", tiny_toml, *ENDLESS, "--processes", 2, "--quiet"]
    with start(*line, before=before) as training:
        training.wait_for_steps(1)
        for pid in (training.process.pid, *training.workers):
            os.kill(pid, signal.SIGHUP)
        training.wait_for_steps(training.steps + 5)
        training.process.terminate()
        assert training.end()[0] == 143, training.talk


@pytest.mark.soak
@pytest.mark.parametrize(
    ("fault", "arguments", "code", "named"),
    [
        ("raise MemoryError", (), 8, "--batch-size 16"),
        ("", ("--lr", "1e9"), 6, "--lr"),
        ("", ("--device", "cuda"), 2, "--device cuda"),
        ("", ("--dataset", "mnist", "--data-dir", "none"), 4, "none"),
    ],
    ids=["memory of one process", "divergence", "no GPU", "no data"],
)
def test_a_failure_ends_all_with_its_exit_code_and_one_message(start, tiny_toml, fault, arguments, code, named):
    line = ["train", "--config", tiny_toml, *SHORT, *arguments, "--processes", 2, "--quiet"]
    with start(*line, fault=fault) as training:
        assert training.end() == (code, b""), training.talk
    assert named in training.talk
    assert training.talk.count("error") == 1
    assert "Traceback" not in training.talk


@pytest.mark.soak
def test_two_launchers_of_one_machine_train_together(start, tiny_toml, whole, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [*TORCHRUN, 2, "--nnodes", 2, "--rdzv-backend", "c10d", "--rdzv-id", "test", "--local-addr", "127.0.0.1"]
    words += ["--rdzv-endpoint", f"127.0.0.1:{port}", "-m", "mnistdiff"]
    line = ["train", "--config", tiny_toml, *SHORT, "--quiet"]
    with start(*line, before=words) as one, start(*line, before=words, where=tmp_path / "other") as two:
        assert [one.end()[0], two.end()[0]] == [0, 0], one.talk + two.talk
    [run] = [each.folder / "run" for each in (one, two) if (each.folder / "run").exists()]
    assert same_content(run) == whole


@pytest.mark.soak
def test_a_run_whose_processes_or_launcher_are_killed_at_random_moments_ends_in_the_bits_of_an_unbroken_one(
    start, forked, tiny_toml, whole, tmp_path
):
    chance = random.Random(0)
    for trial in range(12):
        folder = tmp_path / f"trial_{trial}"
        with start("train", "--config", tiny_toml, *SHORT, "--processes", 2, where=folder) as training:
            # Before that the launcher is not yet known to its processes, which then wait for each other for a minute.
            wait_until(lambda training=training: "loading" in training.talk and len(training.workers) == 2)
            workers = training.workers
            time.sleep(chance.uniform(0, 12))
            victim = chance.choice([training.process.pid, *workers])
            if is_alive(victim):
                os.kill(victim, signal.SIGKILL)
            sent = time.monotonic()
            wait_until(lambda workers=workers: not any(map(is_alive, workers)))
            assert time.monotonic() - sent < 10, (victim, training.talk)
            assert training.process.wait(PATIENCE_SECONDS) in (0, 10, -signal.SIGKILL), training.talk
        saved = (folder / "run" / LATEST).exists()
        line = ["resume", "run"] if saved else ["train", "--config", tiny_toml, *SHORT, "--force"]
        done = forked(*line, cwd=folder)
        assert done.returncode == 0, done.stderr
        assert same_content(folder / "run") == whole


@pytest.mark.soak
@pytest.mark.skipif(not compiler(), reason="there is no C++ compiler")
def test_a_compiled_training_has_the_same_files_from_any_number_of_processes_and_when_resumed(
    start, tiny_toml, tmp_path
):
    """Over the end of an epoch, whose last batch is smaller: a resumed run meets it first."""
    line = ["train", "--config", tiny_toml, *LINE, "--batch-size", 1600, "--compile", "on", "--quiet"]

    def run(*words, **changes):
        with start(*words, **changes) as training:
            training.process.communicate()  # for minutes
        assert training.process.returncode == 0, training.talk
        return training

    for size in (1, 2):
        run(*line, "--max-steps", 6, "--processes", size, "--run-dir", f"of_{size}")
    run(*line, "--max-steps", 3, "--processes", 2, "--run-dir", "stopped")
    run("resume", "stopped", "--max-steps", 6, "--processes", 1)
    one, two, resumed = (same_content(tmp_path / "work" / name) for name in ("of_1", "of_2", "stopped"))
    assert one == two == resumed
    training = run("resume", "stopped", "--max-steps", 7, PATH="")
    assert "no C++ compiler" in training.talk


@pytest.fixture
def namespaces(tmp_path):
    """Two network namespaces with an address each, joined by a wire: (name, interface, address) of both."""
    if shutil.which("ip") is None or os.geteuid() != 0:
        pytest.skip("network namespaces need root and ip")
    names = [f"mnistdiff-{os.getpid()}-{number}" for number in (1, 2)]
    ends = [(name, f"mnist{number}", f"10.231.77.{number}") for number, name in enumerate(names, start=1)]
    made = []

    def ip(*words, check=True):
        return subprocess.run(["ip", *words], check=check, capture_output=True)

    try:
        for name in names:
            if ip("netns", "add", name, check=False).returncode:
                pytest.skip("network namespaces may not be made here")
            made.append(name)
        (one, first, _), (two, second, _) = ends
        ip("link", "add", first, "netns", one, "type", "veth", "peer", "name", second, "netns", two)
        for name, interface, address in ends:
            ip("-n", name, "address", "add", f"{address}/24", "dev", interface)
            for each in ("lo", interface):
                ip("-n", name, "link", "set", each, "up")
        yield ends
    finally:
        for name in made:
            ip("netns", "del", name)


@pytest.mark.soak
def test_two_hosts_train_together(start, tiny_toml, whole, namespaces, tmp_path):
    """As machines with their own addresses do; each has folders of its own."""
    (_, _, address), _ = namespaces
    line = ["train", "--config", tiny_toml, *SHORT, "--quiet"]
    with ExitStack() as running:
        hosts = []
        for number, (name, interface, own) in enumerate(namespaces):
            words = ["ip", "netns", "exec", name, *TORCHRUN, 2, "--nnodes", 2, "--node-rank", number]
            words += ["--master-addr", address, "--local-addr", own, "-m", "mnistdiff"]
            host = start(*line, before=words, where=tmp_path / name, GLOO_SOCKET_IFNAME=interface)
            hosts.append(running.enter_context(host))
        assert [host.end()[0] for host in hosts] == [0, 0], "".join(host.talk for host in hosts)
    [run] = [host.folder / "run" for host in hosts if (host.folder / "run").exists()]
    assert same_content(run) == whole
