"""Speed of training: this program against another version of it, in turns on the same machine.

    python tests/benchmarks/training.py --against OTHER/.venv/bin/mnistdiff --repeat 5

Every row trains ``--preset P --max-steps 300`` with both programs in turns. Images/s are those of ``metrics.jsonl``
without its first record, which includes the start. The table has medians and the median of the ratios of the pairs.
Leave the machine to it alone: anything else that runs changes the figures.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Row:
    """A comparison: options and environment of the other program and of this one, and whether the cores are busy."""

    name: str
    preset: str
    options: Sequence[str] = ()
    other_options: Sequence[str] = ()
    other_environment: tuple[tuple[str, str], ...] = ()
    against_itself: bool = False
    busy: bool = False


_ONE = (("OMP_NUM_THREADS", "1"),)
ROWS = [
    Row("fast, everything auto", "fast"),
    Row("fast, fp32", "fast", ("--precision", "fp32")),
    Row("fast, auto, beside a busy process a core", "fast", busy=True),
    Row("fast, fp32: 2 processes against 1", "fast", ("--precision", "fp32", "--processes", "2"),
        ("--precision", "fp32", "--processes", "1"), against_itself=True),
    Row("fast, bf16: 2 processes against 1", "fast", ("--precision", "bf16", "--processes", "2"),
        ("--precision", "bf16", "--processes", "1"), against_itself=True),
    Row("fast, fp32: 1 process with 4 shards against 1 thread", "fast", ("--precision", "fp32", "--processes", "1"),
        (), _ONE),
    Row("base, auto", "base"),
    Row("tiny, auto", "tiny"),
]  # fmt: skip


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", help="the other program; without it, only rows that compare this one with itself")
    parser.add_argument("--this", default=shutil.which("mnistdiff", path=str(Path(sys.executable).parent)))
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--max-steps", type=int, default=300)
    parser.add_argument("--log-every", type=int, default=100, help="steps of a record, of which the first is left out")
    parser.add_argument("--rows", default="", help="only rows whose name contains this")
    options = parser.parse_args()
    print(f"{_processor()}, {len(os.sched_getaffinity(0))} cores; median images/s of {options.repeat} pairs")
    print("| | before | now | ratio |\n|---|---|---|---|")
    for row in ROWS:
        if options.rows not in row.name or not (options.against or row.against_itself):
            continue
        other = options.this if row.against_itself else options.against
        pairs = []
        with ExitStack() as busy:
            if row.busy:
                busy.enter_context(_busy_cores())
            for _ in range(options.repeat):
                before = _images_per_second(other, row, options, row.other_options, row.other_environment)
                pairs.append((before, _images_per_second(options.this, row, options, row.options)))
        before, now = (statistics.median(side) for side in zip(*pairs, strict=True))
        ratio = statistics.median(after / before for before, after in pairs)
        print(f"| {row.name} | {before:.0f} | {now:.0f} | {ratio:.2f} |", flush=True)


def _images_per_second(
    program: str,
    row: Row,
    measured: argparse.Namespace,
    options: Sequence[str],
    environment: tuple[tuple[str, str], ...] = (),
) -> float:
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        command = [program, "train", "--preset", row.preset, "--run-dir", str(run), "--sample-every", "0", "--quiet"]
        command += ["--max-steps", str(measured.max_steps), "--log-every", str(measured.log_every), *options]
        subprocess.run(command, check=True, env={**os.environ, **dict(environment)}, stdout=subprocess.DEVNULL)
        records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    speeds = [record["images_per_second"] for record in records if record["kind"] == "step"][1:]
    return statistics.harmonic_mean(speeds)


@contextmanager
def _busy_cores() -> Iterator[None]:
    """A process for each core that computes without end."""
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in os.sched_getaffinity(0)]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


def _processor() -> str:
    """The name of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or "unknown processor"


if __name__ == "__main__":
    main()
