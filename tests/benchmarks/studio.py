"""How long a page of ``mnistdiff studio`` waits for its server: medians of 20.

    python tests/benchmarks/studio.py

Times are those of a client in Python, from the request to the event. Leave the machine to it alone: anything else that
runs changes the figures.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import studios
from studios import Studio

_REPEAT, _UNCOUNTED = 20, 3
_SIXTEEN = {"text": "7", "n": 16, "seed": 1}
_TEACHER = {**_SIXTEEN, "steps": 20, "guidance": 1.7, "guidance_interval": [0.2, 0.6], "sampler": "ddim"}
_LONG = {"text": "7", "n": 64, "seed": 1, "steps": 500, "sampler": "ddpm", "guidance": 3.0}


def main() -> None:
    """Print a table in Markdown."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        studio = studios.start(["--checkpoint", "bundled"], Path(folder))
        try:
            print(f"start to address: {time.perf_counter() - began:.2f} s\n")
            print("| what | median ms | slowest ms |\n|---|---|---|")
            for what, measure in MEASURED.items():
                seconds = [measure(studio) for _ in range(_UNCOUNTED + _REPEAT)][_UNCOUNTED:]
                print(f"| {what} | {1000 * statistics.median(seconds):.0f} | {1000 * max(seconds):.0f} |")
        finally:
            studio.end()


def until(event: str, body: object, *, number: int = 0) -> Callable[[Studio], float]:
    """The time from a drawing's request to its event, of steps to that of this number."""

    def measure(studio: Studio) -> float:
        began = time.perf_counter()
        found = studio.stream("/api/draw", body)
        next(each for each in found if each.name == event and each.data.get("number", number) == number)
        seconds = time.perf_counter() - began
        list(found)  # the next measurement does not wait for this drawing
        return seconds

    return measure


def ping(studio: Studio) -> float:
    """The time of a request that computes nothing."""
    began = time.perf_counter()
    studio.get("/api/ping")
    return time.perf_counter() - began


def after_another(studio: Studio) -> float:
    """The time to the first step of a drawing whose page has just left a long one."""
    long = studio.stream("/api/draw", _LONG)
    next(each for each in long if each.name == "step" and each.data["number"] > 0)
    long.close()
    return until("step", _SIXTEEN, number=1)(studio)


MEASURED = {
    "a request that computes nothing": ping,
    "a digit, to its noise": until("step", {"text": "7", "seed": 1}),
    "a digit, to its first step": until("step", {"text": "7", "seed": 1}, number=1),
    "sixteen digits, to their noise": until("step", _SIXTEEN),
    "sixteen digits, to their first step": until("step", _SIXTEEN, number=1),
    "sixteen digits, finished": until("done", _SIXTEEN),
    "the same after leaving a drawing of 500 steps, to the first step": after_another,
    "sixteen digits of the teacher, to their first step": until("step", _TEACHER, number=1),
    "sixteen digits of the teacher, finished": until("done", _TEACHER),
}

if __name__ == "__main__":
    main()
