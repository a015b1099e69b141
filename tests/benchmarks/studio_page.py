"""How fast the page of the studio answers, measured in the page by ``performance.now()``.

    python tests/benchmarks/studio_page.py --repeat 20

Starts the studio of the bundled model and Chromium. A key that is pressed draws sixteen digits: the table has the times
from the key to the first frame, which is the noise, and to the sixteen finished digits, both as painted on the canvas.
Leave the machine to it alone: anything else that runs changes the figures.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from browsers import chromium

_WATCH = """() => {
    const put = CanvasRenderingContext2D.prototype.putImageData;
    window.times = {};
    CanvasRenderingContext2D.prototype.putImageData = function (...all) {
        put.apply(this, all);
        window.times.first ??= performance.now();
        window.times.last = performance.now();
    };
    addEventListener('keydown', () => { window.times = {key: performance.now()}; }, true);
}"""
_WAIT = "[aria-label='Drawn images'][aria-busy=false]"


def measure(url: str, repeat: int) -> dict[str, list[float]]:
    """Milliseconds from a key to what is named, for each of the repetitions."""
    found: dict[str, list[float]] = {"first frame": [], "sixteen finished digits": []}
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.goto(url)
        page.wait_for_selector(_WAIT)
        page.evaluate(_WATCH)
        for number in range(-2, repeat):  # two to warm up
            page.wait_for_timeout(1100)  # a key soon after another would continue a word
            page.keyboard.press(str(number % 10))
            page.wait_for_selector(_WAIT)
            times = page.evaluate("window.times")
            if number >= 0:
                found["first frame"].append(times["first"] - times["key"])
                found["sixteen finished digits"].append(times["last"] - times["key"])
    return found


def main() -> None:
    """Print medians, and the longest times."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repeat", type=int, default=20)
    repeat = parser.parse_args().repeat
    command = [sys.executable, "-m", "mnistdiff", "studio", "--no-open", "--checkpoint", "bundled"]
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(command, stdout=subprocess.PIPE, cwd=folder) as studio,
    ):
        try:
            found = measure(studio.stdout.readline().decode().strip(), repeat)
        finally:
            studio.terminate()
    print(f"| from a key to | median of {repeat} | longest |\n|---|---|---|")
    for name, times in found.items():
        print(f"| {name} | {statistics.median(times):.0f} ms | {max(times):.0f} ms |")


if __name__ == "__main__":
    main()
