"""Training and sampling on a GPU (CUDA): the tests of tests/cuda, speed, and the quality of two minutes.

    MNISTDIFF_DATA_DIR=... python tests/benchmarks/on_cuda.py [--only tests|speed|quality]

Needs MNIST and the package's test dependencies. Written to take less than ten minutes on one H100-class card; each
part has a limit of time, and each row is printed as soon as it is known.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from xml.etree import ElementTree

import torch

TESTS = Path(__file__).parents[1] / "cuda"
IMAGES_OF_AN_HOUR = 652_800
"""That the model of an hour on two CPU cores was trained on."""
SPEEDS = [
    (preset, options)
    for preset in ("fast", "base")
    for options in (("fp32", "off"), ("bf16", "off"), ("bf16", "on"))
]  # fmt: skip
SPEED_STEPS = 1000


def main() -> int:
    """Print a table; returns the exit code: 0, or 1 if a part failed, or 2 without a GPU."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = {"tests": _tests, "speed": _speed, "quality": _quality}
    parser.add_argument("--only", choices=parts, action="append")
    chosen = parser.parse_args().only or parts
    if not torch.cuda.is_available():
        print("This machine has no GPU that PyTorch can use (CUDA): nothing was measured.", file=sys.stderr)
        return 2
    print(f"{torch.cuda.get_device_name()}, {torch.cuda.device_count()} of them, PyTorch {torch.__version__}")
    print("| what | result |\n|---|---|")
    failed = False
    for name in chosen:
        try:
            for what, result in parts[name]():
                print(f"| {what} | {result} |", flush=True)
                failed |= "failed" in result
        except (subprocess.SubprocessError, OSError, ValueError) as error:
            failed = True
            print(f"| {name} | failed: {error} |", flush=True)
    return int(failed)


def _tests() -> Iterator[tuple[str, str]]:
    """How many passed, and each test by name with the cases that did."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.xml")
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", str(TESTS), f"--junitxml={report}"]
        subprocess.run(command, check=False, timeout=240, stdout=sys.stderr, cwd=TESTS.parents[1])
        cases = list(ElementTree.parse(report).iter("testcase"))
    outcomes: dict[str, list[str]] = {}
    for case in cases:
        found = {child.tag for child in case}
        outcome = "failed" if found & {"failure", "error"} else "skipped" if "skipped" in found else "passed"
        outcomes.setdefault(case.get("name", "").partition("[")[0], []).append(outcome)
    for name, each in outcomes.items():
        counts = ", ".join(
            f"{each.count(outcome)} {outcome}" for outcome in ("passed", "failed", "skipped") if outcome in each
        )
        yield name.removeprefix("test_").replace("_", " "), counts


def _speed() -> Iterator[tuple[str, str]]:
    """Images/s of training, from ``metrics.jsonl`` without its first records, which include the start."""
    for preset, (precision, compiled) in SPEEDS:
        name = f"{preset}, {precision}{', compiled' if compiled == 'on' else ''}: images/s"
        with tempfile.TemporaryDirectory() as folder:
            run = Path(folder, "run")
            options = ["--preset", preset, "--precision", precision, "--compile", compiled]
            try:
                _mnistdiff(
                    "train", *options, "--max-steps", str(SPEED_STEPS), "--sample-every", "0", "--device", "cuda",
                    "--quiet", "--run-dir", str(run), timeout=150,
                )  # fmt: skip
                speed = statistics.median(_speeds(run)[2:])
            except subprocess.SubprocessError as error:
                yield name, f"failed: {error}"
                continue
        yield name, f"{speed:,.0f}; {IMAGES_OF_AN_HOUR:,} images in {IMAGES_OF_AN_HOUR / speed:.0f} s"


def _speeds(run: Path) -> list[float]:
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    return [record["images_per_second"] for record in records if record["kind"] == "step"]


def _quality() -> Iterator[tuple[str, str]]:
    """Two minutes of ``fast``, and an evaluation of 10,000 images of it."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder, "run")
        began = time.monotonic()
        trained = _mnistdiff(
            "train", "--preset", "fast", "--max-minutes", "2", "--sample-every", "0", "--device", "cuda", "--json",
            "--run-dir", str(run), timeout=240,
        )  # fmt: skip
        yield "fast for two minutes: steps", f"{json.loads(trained)['step']:,} in {time.monotonic() - began:.0f} s"
        report = json.loads(_mnistdiff("evaluate", str(run), "--device", "cuda", "--json", timeout=200))
    images, seconds = report["num_images"], report["seconds"]
    yield "its evaluation: images/s of sampling", f"{images / seconds:,.0f} ({images:,} images in {seconds:.1f} s)"
    for name, metrics in report["classifiers"].items():
        accuracy = metrics["accuracy"]["hits"] / metrics["accuracy"]["total"]
        yield f"its evaluation by {name}", f"accuracy {accuracy:.2%}, fcd {metrics['fcd']:.3f}"


def _mnistdiff(*arguments: str, timeout: float) -> bytes:
    """The stdout of a command of the program."""
    command: Sequence[str] = [sys.executable, "-m", "mnistdiff", *arguments]
    return subprocess.run(command, check=True, timeout=timeout, stdout=subprocess.PIPE).stdout


if __name__ == "__main__":
    sys.exit(main())
