"""The number of threads: processors, CPU quotas of control groups in an invented file system, the user's variables."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mnistdiff.engine.cgroup import cpu_quota
from mnistdiff.engine.threads import SPIN_COUNT, prepare_threads, thread_limit, usable_cores

USABLE = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
V2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw"
V1 = "33 25 0:29 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct"
MEMORY = "34 25 0:30 / /sys/fs/cgroup/memory rw shared:10 - cgroup cgroup rw,memory"
IN_CONTAINER = "33 25 0:29 /docker/abc /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu"
WITH_SPACE = r"30 23 0:26 / /sys/fs/my\040groups rw - cgroup2 cgroup2 rw"

QUOTAS = {
    "nothing at all": ("", "", {}, None),
    "version 2": (V2, "0::/", {"sys/fs/cgroup/cpu.max": "50000 100000\n"}, 0.5),
    "version 2 without a limit": (V2, "0::/", {"sys/fs/cgroup/cpu.max": "max 100000\n"}, None),
    "version 2 in a group": (V2, "0::/a/b", {"sys/fs/cgroup/a/b/cpu.max": "150000 100000"}, 1.5),
    "version 2 in the group above": (
        V2,
        "0::/a/b",
        {"sys/fs/cgroup/a/cpu.max": "100000 100000", "sys/fs/cgroup/a/b/cpu.max": "300000 100000"},
        1,
    ),
    "version 2 in a group beside": (V2, "0::/a/b", {"sys/fs/cgroup/a/c/cpu.max": "100000 100000"}, None),
    "version 2 without a period": (V2, "0::/", {"sys/fs/cgroup/cpu.max": "200000"}, 2),
    "version 2 at a mount point with a space": (WITH_SPACE, "0::/", {"sys/fs/my groups/cpu.max": "100000 100000"}, 1),
    "version 2, a group outside the namespace": (V2, "0::/../x", {"sys/fs/cgroup/cpu.max": "100000 100000"}, 1),
    "version 1": (
        f"{MEMORY}\n{V1}",
        "5:memory:/m\n3:cpu,cpuacct:/a",
        {
            "sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us": "250000\n",
            "sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_period_us": "100000\n",
            "sys/fs/cgroup/memory/m/cpu.max": "1 100000",
        },
        2.5,
    ),
    "version 1 without a limit": (
        V1,
        "3:cpu,cpuacct:/",
        {
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "-1",
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000",
        },
        None,
    ),
    "version 1 in a container that sees its group as the root": (
        IN_CONTAINER,
        "3:cpu:/docker/abc/inner",
        {
            "sys/fs/cgroup/cpu/inner/cpu.cfs_quota_us": "-1",
            "sys/fs/cgroup/cpu/inner/cpu.cfs_period_us": "100000",
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "100000",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
        },
        1,
    ),
    "version 1 in a group that is not mounted here": (
        IN_CONTAINER,
        "3:cpu:/elsewhere",
        {"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "100000", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "50000"},
        2,
    ),
    "both versions": (
        f"{V1}\n{V2}",
        "3:cpu,cpuacct:/\n0::/",
        {
            "sys/fs/cgroup/cpu.max": "300000 100000",
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "200000",
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000",
        },
        2,
    ),
    **{
        f"the content {text!r}": (V2, "0::/", {"sys/fs/cgroup/cpu.max": text}, None)
        for text in ("", "\n", "abc", "1 0", "0 100000", "-5 100000", "nan 1", "1e3 1", "9" * 5000, "\xff\xfe", "1 2 3")
    },
    "a quota that is a folder": (V2, "0::/", {"sys/fs/cgroup/cpu.max/x": ""}, None),
    "broken tables": ("30 23\n - \nx - cgroup2\n" + V2, "\n:\n0\n::::\n7:cpu\n0::/", {}, None),
}


def root_with(folder, mountinfo, cgroup, files):
    for name, text in {"proc/self/mountinfo": mountinfo, "proc/self/cgroup": cgroup, **files}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def root_with_quota(folder, cpus):
    return root_with(folder, V2, "0::/", {"sys/fs/cgroup/cpu.max": f"{round(cpus * 100000)} 100000"})


@pytest.mark.parametrize("case", QUOTAS)
def test_the_smallest_quota_of_all_groups_is_found(tmp_path, case):
    mountinfo, cgroup, files, expected = QUOTAS[case]
    quota = cpu_quota(root_with(tmp_path, mountinfo, cgroup, files))
    assert (quota and quota.cpus) == expected


def test_where_there_are_no_control_groups_there_is_no_quota(tmp_path):
    assert cpu_quota(tmp_path) is None


@pytest.mark.parametrize(
    ("cpus", "asked", "number", "reason"),
    [
        (None, None, USABLE, "usable processor"),
        (0.1, None, 1, "quota of 0.1"),
        (1, None, min(1, USABLE), "quota of 1 in" if USABLE > 1 else "usable"),
        (1.2, None, min(2, USABLE), "quota of 1.2 in" if USABLE > 2 else "usable"),
        (100_000, None, USABLE, "usable processor"),
        (0.5, "3", 3, "OMP_NUM_THREADS"),
        (None, "3", 3, "OMP_NUM_THREADS"),
        (None, " 5 , 1", 5, "OMP_NUM_THREADS"),
        *((None, word, USABLE, "usable") for word in ("", "0", "-3", "many", "1e9", "1000000000", "٣", "2x", ",2")),
    ],
)
def test_threads_are_as_many_as_asked_for_or_as_processors_and_quota_allow(tmp_path, cpus, asked, number, reason):
    root = root_with_quota(tmp_path, cpus) if cpus else tmp_path
    environment = {} if asked is None else {"OMP_NUM_THREADS": asked}
    limit = thread_limit(environment, root)
    assert limit.number == number
    assert reason in limit.reason


def test_a_quota_limits_every_library_and_keeps_its_reason(tmp_path):
    root, environment = root_with_quota(tmp_path, 0.5), {}
    before = thread_limit(environment, root)
    prepare_threads(environment, root)
    if USABLE > 1:
        assert environment["OMP_NUM_THREADS"] == "1"
    assert thread_limit(environment, root) == before


PAIRS = {0: "0,4", 4: "0,4", 1: "1,5", 5: "1,5", 2: "2,6", 6: "2,6", 3: "3,7", 7: "3,7"}
RANGES = {0: "0-1", 1: "0-1", 2: "2-3", 3: "2-3"}
CORES = {
    "two threads a core": (PAIRS, range(8), None, {}, 4),
    "numbered in a row": (RANGES, range(4), None, {}, 2),
    "one thread of each of two cores": (PAIRS, {1, 6}, None, {}, 2),
    "both threads of one core": (PAIRS, {1, 5}, None, {}, 1),
    "one thread a core": ({n: str(n) for n in range(3)}, range(3), None, {}, 3),
    "no topology": ({}, range(5), None, {}, 5),
    "topology of some, or in vain": ({0: "0,1", 1: "0,1", 2: "", 3: "\xff"}, range(4), None, {}, 3),
    "a quota below the cores": (PAIRS, range(8), 2.5, {}, 3),
    "a quota above the cores": (PAIRS, range(8), 6, {}, 4),
    "fewer threads asked for": (PAIRS, range(8), None, {"OMP_NUM_THREADS": "2"}, 2),
    "more threads asked for": (PAIRS, range(8), None, {"OMP_NUM_THREADS": "64"}, 4),
}


@pytest.mark.parametrize("case", CORES)
def test_hyper_threads_of_a_core_count_once(tmp_path, monkeypatch, case):
    siblings, usable, quota, environment, expected = CORES[case]
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(usable), raising=False)
    topology = {f"sys/devices/system/cpu/cpu{n}/topology/thread_siblings_list": f"{s}\n" for n, s in siblings.items()}
    files = topology if quota is None else {**topology, "sys/fs/cgroup/cpu.max": f"{round(quota * 100000)} 100000"}
    assert usable_cores(environment, root_with(tmp_path, V2, "0::/", files)) == expected


@pytest.mark.parametrize("name", ["OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME", None])
def test_how_threads_wait_is_set_unless_the_user_did(tmp_path, name):
    given = {} if name is None else {name: "active" if name == "OMP_WAIT_POLICY" else "7"}
    environment = dict(given)
    prepare_threads(environment, tmp_path)
    assert {**environment, **given} == environment
    assert environment.get("GOMP_SPINCOUNT") == (
        given.get(name) if name == "GOMP_SPINCOUNT" else None if name else SPIN_COUNT
    )


IMPORTS = """
import os
from mnistdiff.engine.threads import prepare_threads, thread_limit
prepare_threads()
import torch
(torch.ones(300, 300) @ torch.ones(300, 300)).sum()
print(torch.get_num_threads(), thread_limit().reason)
"""
JUNK = {
    "OMP_WAIT_POLICY": "junk",
    "GOMP_SPINCOUNT": "1e3",
    "MKL_NUM_THREADS": "abc",
    "OPENBLAS_NUM_THREADS": "x",
    "OMP_DYNAMIC": "",
    "OMP_NESTED": "2",
    "OMP_SCHEDULE": "sometimes",
    "OMP_PROC_BIND": "maybe",
    "OMP_PLACES": "here",
    "OMP_STACKSIZE": "big",
    "OMP_THREAD_LIMIT": "0",
    "OMP_MAX_ACTIVE_LEVELS": "all",
    "OMP_CANCELLATION": "no",
    "OMP_DISPLAY_ENV": "please",
    "GOMP_CPU_AFFINITY": "left",
}


@pytest.mark.skipif(sys.platform != "linux", reason="GNU's OpenMP is that of PyTorch on Linux")
def test_no_library_warns_about_variables_that_it_does_not_understand(environment):
    env = environment(OMP_NUM_THREADS="1000000000", **JUNK)
    done = subprocess.run([sys.executable, "-c", IMPORTS], env=env, capture_output=True, check=True)
    assert (int(done.stdout.split()[0]), done.stderr) == (thread_limit({}).number, b"")


@pytest.mark.parametrize("number", ["", "0", "-3", "٣", "2x", "1e9", "4,x", "abc", "1000000000"])
def test_an_invalid_number_is_removed(tmp_path, number):
    environment = {"OMP_NUM_THREADS": number, **JUNK}
    prepare_threads(environment, tmp_path)
    assert environment.keys() == {"GOMP_SPINCOUNT", "KMP_BLOCKTIME"}


def test_valid_values_are_kept(tmp_path):
    good = {
        "OMP_NUM_THREADS": "4,2",
        "MKL_NUM_THREADS": "2",
        "OMP_WAIT_POLICY": " Passive ",
        "GOMP_SPINCOUNT": "5k",
        "OMP_SCHEDULE": "dynamic,4",
        "OMP_PROC_BIND": "spread",
        "OMP_PLACES": "{0:2},{2:2}",
        "OMP_STACKSIZE": "64M",
        "OMP_DYNAMIC": "TRUE",
        "HOME": "anything",
    }
    environment = dict(good)
    prepare_threads(environment, tmp_path)
    assert {name: environment[name] for name in good} == good


GROUPS = Path("/sys/fs/cgroup/cpu")


@pytest.fixture
def limited():
    """A control group of version 1 with a quota of one processor; what enters it leaves with its process."""
    group = GROUPS / f"mnistdiff-test-{os.getpid()}"
    try:
        (group / "inner").mkdir(parents=True)
        (group / "cpu.cfs_quota_us").write_text("100000")
    except OSError:
        pytest.skip("no control group can be made here")
    yield group / "inner"
    (group / "inner").rmdir()
    group.rmdir()


@pytest.mark.skipif(not (GROUPS / "cgroup.procs").exists(), reason="no control groups of version 1")
def test_in_a_real_control_group_the_libraries_keep_to_the_quota(limited, environment):
    enter = f"import os; open('{limited}/cgroup.procs', 'w').write(str(os.getpid())); "
    env = environment(OMP_NUM_THREADS=None)
    done = subprocess.run([sys.executable, "-c", enter + IMPORTS], env=env, capture_output=True, check=True)
    assert done.stdout.startswith(b"1 ")
    if USABLE > 1:
        assert re.search(rb"CPU quota of 1 in .*/cpu\.cfs_quota_us", done.stdout)


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="counts threads as Linux does")
@pytest.mark.parametrize("asked", [None, "3"])
def test_numpy_starts_no_threads_for_sampling_unless_the_user_asks_for_some(asked):
    program = """
import os
from mnistdiff.engine.threads import import_numpy
import_numpy()
print(len(os.listdir("/proc/self/task")), os.environ.get("OPENBLAS_NUM_THREADS"))
"""
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    if asked is not None:
        environment["OPENBLAS_NUM_THREADS"] = asked
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    threads, variable = done.stdout.split()
    assert variable == str(asked)
    assert threads == "1" if asked is None else int(threads) <= 3


SAMPLING = (
    "sample -d 7",
    "sample -d 7 --format npz",
    "grid -n 1",
    "edit seven.png -d 3",
    "inpaint seven.png --mask left -d 7",
    "interpolate --from 3 --to 8",
    "classify seven.png",
    "reproduce seven.png",
)
IMPORTS_OF_NUMPY = """
import os, sys
from mnistdiff.cli.app import run

class Leaving:
    def find_spec(self, name, path=None, target=None):
        if name == "numpy":
            print(line, "|", os.environ.get("OPENBLAS_NUM_THREADS"), flush=True)
            os._exit(0)

sys.meta_path.insert(0, Leaving())
for line in sys.argv[1:]:
    if os.fork() == 0:
        os._exit(run(line.split()))
    os.wait()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_every_command_that_samples_imports_numpy_with_one_thread(environment, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", IMPORTS_OF_NUMPY, *SAMPLING],
        env=environment(OPENBLAS_NUM_THREADS=None),
        cwd=tmp_path,
        capture_output=True,
        check=True,
    )
    assert done.stdout.decode().splitlines() == [f"{line} | 1" for line in SAMPLING]
