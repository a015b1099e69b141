"""How long after the end of a stroke the page shows what the model reads: `python tests/benchmarks/studio_hand.py`.

With `--accuracy` instead the share of 500 test images of MNIST that are read correctly, by evaluations of each class.

Chromium draws a 7 with the mouse, 20 times. Printed are medians, in milliseconds by the clock of the page: from the end
of the last stroke to the first bars, and to the last ones, which are said to a screen reader.
"""

import os
import statistics
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from browsers import chromium

TIMES = 20
SEVEN = ((0.25, 0.25), (0.75, 0.25), (0.45, 0.85))
# The end of a stroke, then each change of what is seen and read.
RECORD = """() => {
  window.moments = [];
  const note = name => window.moments.push([name, performance.now()]);
  const ended = () => { window.moments = []; note('end'); };
  document.querySelector('.pad canvas').addEventListener('pointerup', ended, true);
  const watch = (selector, name) => new MutationObserver(() => note(name))
    .observe(document.querySelector(selector), {subtree: true, childList: true, characterData: true});
  watch('.verdict', 'bars');
  watch('#live', 'said');
}"""


def main() -> None:
    """Print the medians."""
    command = [sys.executable, "-m", "mnistdiff", "studio", "--no-open", "--checkpoint", "bundled"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server, chromium() as browser:
        assert server.stdout is not None
        page = browser.new_page()
        page.goto(server.stdout.readline().strip())
        page.get_by_role("tab", name="Your hand").click()
        canvas = page.get_by_role("application", name="Drawing area")
        canvas.wait_for()
        page.evaluate(RECORD)
        found = [_measure(page, canvas.bounding_box()) for _ in range(TIMES)]
        server.terminate()
    for name in ("bars", "said"):
        times = [each[name] for each in found]
        print(f"{name:>5} {statistics.median(times):6.0f} ms   ({min(times):.0f} to {max(times):.0f})")


def accuracy() -> None:
    """Print the accuracy for some numbers of evaluations."""
    import mnistdiff
    from mnistdiff.engine.data.load import load_images

    model = mnistdiff.load("bundled-teacher")
    test = load_images(model.settings.spec, "test", data_dir=Path(os.environ["MNISTDIFF_DATA_DIR"]))[:500]
    for evaluations in (4, 6, 8, 12):
        found = model.classify(list(test.images), evaluations=evaluations)
        right = sum(each.label == label for each, label in zip(found, test.labels, strict=True))
        print(f"{evaluations:>2} evaluations {100 * right / len(test):5.1f} %")


def _measure(page, box) -> dict[str, float]:
    """Milliseconds from the end of a stroke to the first change of each kind, and to the final reading."""
    first, *rest = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in SEVEN]
    page.mouse.move(*first)
    page.mouse.down()
    for place in rest:
        page.mouse.move(*place, steps=8)
    page.mouse.up()
    while "said" not in dict(moments := page.evaluate("window.moments")):
        page.wait_for_timeout(100)
    (_, end), *later = moments
    page.get_by_role("button", name="Clear").first.click()
    return {name: moment - end for name, moment in reversed(later)}


if __name__ == "__main__":
    accuracy() if "--accuracy" in sys.argv else main()
