"""``--processes``: the same files for every number, and no process that outlives the program."""

import csv
import json
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

ONCE = ["--steps", 1, "--seed", 5, "-q"]
PATIENCE_SECONDS = 60
LINUX = pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="processes are found in /proc")


def content(path):
    files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
    return {str(file.relative_to(path.parent if path.is_file() else path)): file.read_bytes() for file in files}


def files_by_processes(run, folder, numbers, *line):
    """What stdout and the files are, for each number of processes."""
    found = {}
    for number in numbers:
        where = folder / str(number)
        where.mkdir()
        done = run(*line, "--processes", number, cwd=where)
        assert (done.returncode, done.stderr) == (0, b""), done.stderr.decode()
        found[number] = done.stdout, {p.name: content(p) for p in where.iterdir()}
    return found


@pytest.fixture
def run_here(invoke, monkeypatch):
    def run(*line, cwd):
        monkeypatch.chdir(cwd)
        return invoke(*line)

    return run


def assert_same(found):
    first, *others = found.values()
    assert first[1]
    for other in others:
        assert other == first


def test_files_are_the_same_for_every_number_of_processes(cli, tmp_path):
    """With several threads in the one process, and a last batch that is not full."""

    def run(*line, cwd):
        return cli(*line, cwd=cwd, env={"OMP_NUM_THREADS": "2"})

    line = ["sample", "--digit", "0-9", "-n", 7, "--format", "npz", *ONCE]
    assert_same(files_by_processes(run, tmp_path, (1, 2, 3, "auto"), *line))


@pytest.mark.parametrize("kind", ["png", "idx", "csv"])
def test_files_of_every_kind_are_the_same(run_here, tmp_path, kind):
    """PNG files with their provenance, in a folder; the names of the files are printed in order."""
    json = ["--json"] if kind == "png" else []
    line = ["sample", "--digit", "3-7", "-n", 8, "--format", kind, *json, *ONCE]
    assert_same(files_by_processes(run_here, tmp_path, (1, 2), *line))


def test_files_are_the_same_with_pytorch(run_here, tiny_run, tmp_path, monkeypatch):
    """Whatever the number of threads that this process has, and in the batches of one process."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        line = ["sample", "-c", tiny_run, "--backend", "torch", "-d", "1-7", "-n", 19, "--format", "csv", *ONCE]
        found = {}
        for number in (1, 2, 3):
            where = tmp_path / str(number)
            where.mkdir()
            monkeypatch.chdir(where)
            done = run_here(*line, "--processes", number, cwd=where)
            assert (done.returncode, done.stdout) == (0, b"drawn.csv\n"), done.stderr.decode()
            found[number] = done.stdout, content(where)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    assert_same(found)
    [text] = found[1][1].values()
    assert len([*csv.reader(text.decode().splitlines())]) == 1 + 7 * 19


def test_a_report_is_the_same_for_every_number_of_processes(invoke):
    reports = []
    for processes in (1, 2):
        done = invoke("evaluate", "-n", 60, "--steps", 1, "--json", "--processes", processes)
        assert done.returncode == 0, done.stderr.decode()
        reports.append({k: v for k, v in json.loads(done.stdout).items() if k not in ("seconds", "images_per_second")})
    assert reports[0] == reports[1]


def test_images_on_stdout_and_in_the_terminal_keep_their_order(run_here, tmp_path):
    line = ["sample", "--digits", "2026", "-n", 2, "--show", *ONCE, "-o", "-"]
    found = []
    for number in (1, 2):
        done = run_here(*line, "--processes", number, cwd=tmp_path)
        assert done.returncode == 0
        found.append((done.stdout, done.stderr))
    assert found[0] == found[1]
    assert found[0][0].startswith(b"\x89PNG")


COLD = """
import sys
from mnistdiff.cli import app
code = app.run(["sample", "--digit", "7", "--n", "16", "-q"])
print(code, [name for name in ("multiprocessing", "concurrent.futures.process") if name in sys.modules])
"""


def test_a_few_images_load_nothing_that_starts_processes(environment, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", COLD], cwd=tmp_path, env=environment(OMP_NUM_THREADS=None), capture_output=True
    )
    assert done.stdout.splitlines()[-1] == b"0 []", done.stderr.decode()


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--processes", 2, "--device", "cuda"], ["--processes 2", "--device cuda"]),
        (["--processes", 2, "--gif", "a.gif"], ["--processes 2", "--gif"]),
        (["--processes", 0], ["'0'", "1024"]),
        (["--processes", "all"], ["'all'", "1024"]),
    ],
)
def test_what_cannot_be_sampled_in_several_processes_is_refused(invoke, options, named):
    done = invoke("sample", "-d", 1, *options)
    assert (done.returncode, done.stdout) == (2, b"")
    for word in named:
        assert word in done.stderr.decode()
    assert b"Traceback" not in done.stderr


def test_a_number_from_a_variable_gives_way_to_what_is_typed(monkeypatch):
    from mnistdiff.cli.option_groups import inference_settings

    monkeypatch.setenv("MNISTDIFF_PROCESSES", "3")
    monkeypatch.setenv("MNISTDIFF_DEVICE", "")
    assert inference_settings(None, None).processes == 3
    assert inference_settings(None, None, 2).processes == 2
    assert inference_settings("cuda", None).processes == "auto"
    monkeypatch.setenv("MNISTDIFF_DEVICE", "cuda")
    assert inference_settings(None, None, 2).device == "auto"


def children(pid):
    """The processes that a process has started and not yet reaped, by the kernel."""
    try:
        return [
            int(word)
            for task in Path(f"/proc/{pid}/task").iterdir()
            for word in (task / "children").read_text().split()
        ]
    except OSError:
        return []


def is_alive(pid):
    """Whether a process runs; one that only waits to be reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def wait_for(condition, seconds=PATIENCE_SECONDS):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.fixture
def sampling(program, environment, tmp_path):
    """A program that samples for minutes in two processes: itself, and all that it has started."""

    @contextmanager
    def start(*options):
        # Whoever runs tests in the background ignores them, and what they start would, too.
        ours = {number: signal.signal(number, signal.SIG_DFL) for number in (signal.SIGINT, signal.SIGHUP)}
        try:
            words = [*program, "sample", "-d", "1", "-n", "100000", "--seed", "0", "--processes", "2", *options]
            process = subprocess.Popen(
                words,
                cwd=tmp_path,
                env=environment(),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        finally:
            for number, handler in ours.items():
                signal.signal(number, handler)
        try:
            wait_for(lambda: len(children(process.pid)) == 3)  # and that which tidies up after all of them
            yield process, children(process.pid)
        finally:
            process.kill()
            process.communicate()

    return start


def workers_of(started):
    """Those that sample: of the processes started, all but the first, which is multiprocessing's resource tracker."""
    return [pid for pid in started if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]


ENDINGS = (
    {
        "Ctrl-C": (signal.SIGINT, os.killpg, 130, 0),
        "SIGTERM": (signal.SIGTERM, os.kill, 143, 0),
        "SIGTERM to all": (signal.SIGTERM, os.killpg, 143, 0),
        "a closed terminal": (signal.SIGHUP, os.killpg, 129, 0),
        "kill -9": (signal.SIGKILL, os.kill, -9, None),
        "kill -9 of one": (signal.SIGKILL, None, 10, 1),
    }
    if os.name == "posix"
    else {}
)


def end(sampling, name, delay, *options):
    number, kill, code, errors = ENDINGS[name]
    with sampling(*options) as (process, started):
        time.sleep(delay)
        if kill is None:
            os.kill(random.choice(workers_of(started)), number)
        else:
            kill(process.pid, number)
        _, stderr = process.communicate(timeout=PATIENCE_SECONDS)
        wait_for(lambda: not any(map(is_alive, started)), seconds=10)
    assert process.returncode == code
    if errors is not None:
        assert stderr.count(b"error: ") == errors
        assert b"Traceback" not in stderr
        assert errors or stderr == b""


@LINUX
@pytest.mark.parametrize("name", ENDINGS)
def test_however_it_ends_no_process_is_left(sampling, tmp_path, name):
    end(sampling, name, 0.5, "--format", "npz", "-q")
    assert [path for path in tmp_path.iterdir() if path.suffix == ".npz" and not path.name.startswith(".")] == []


@LINUX
def test_a_reader_that_leaves_ends_all(sampling, tmp_path):
    with sampling("--steps", "1", "--json") as (process, started):
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(PATIENCE_SECONDS) == 141
        assert process.stderr.read() == b""
        wait_for(lambda: not any(map(is_alive, started)), seconds=10)
    process.stdout = None


@LINUX
@pytest.mark.soak
@pytest.mark.parametrize("round", range(60))
def test_at_any_moment(sampling, round):
    names = [*ENDINGS]
    end(sampling, names[round % len(names)], random.Random(round).uniform(0, 4), "--format", "npz", "-q")
