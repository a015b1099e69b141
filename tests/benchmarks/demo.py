"""Speed of the page of ``export --html`` in Chromium: medians of 20 by ``performance.now()`` in the page.

    python tests/benchmarks/demo.py [MODEL ...]

For each model and kernel: the size of the file, the time until the page is ready, of one network evaluation, and of one
image with the model's own steps. Leave the machine to it alone: anything else that runs changes the figures.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from browsers import chromium

import mnistdiff

_REPEAT = 20
_MEASURE = """async ({ repeat, isFast }) => {
  const facts = JSON.parse(textOf('facts'));
  const kernel = new Kernel(isFast ? decodeBase64(textOf('kernel')) : undefined);
  const model = new Model(kernel, facts, textOf('weights'));
  const timed = (work) => {
    const start = performance.now();
    work();
    return performance.now() - start;
  };
  const x = samplingNoise(1, 0, facts.image_size ** 2);
  const times = { evaluation: [], image: [] };
  for (let i = 0; i < repeat + 3; i++) {
    times.evaluation.push(timed(() => model.network.predict(x, 1, 0)));
    times.image.push(timed(() => [...sample(model, i % facts.classes.length, i, facts.sampling)]));
    await new Promise((resolve) => setTimeout(resolve));
  }
  return { isFast: kernel.isFast, evaluation: times.evaluation.slice(3), image: times.image.slice(3) };
}"""


def main() -> None:
    """Print a table in Markdown."""
    print("| model | file | ready | kernel | an evaluation | an image |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        for name in sys.argv[1:] or ["bundled-2", "bundled-teacher"]:
            file = Path(folder, "page.html")
            file.write_bytes(mnistdiff.export_html(name))
            page = browser.new_page()
            start = time.perf_counter()
            page.goto(file.as_uri())
            page.wait_for_selector(".tile")
            ready = time.perf_counter() - start
            page.wait_for_selector(".digits[aria-busy=false]")
            for is_fast in (True, False):
                found = page.evaluate(_MEASURE, {"repeat": _REPEAT, "isFast": is_fast})
                kernel = "WebAssembly" if found["isFast"] else "JavaScript"
                evaluation, image = (statistics.median(found[key]) for key in ("evaluation", "image"))
                size = file.stat().st_size / 1e6
                print(f"| {name} | {size:.2f} MB | {ready:.2f} s | {kernel} | {evaluation:.1f} ms | {image:.0f} ms |")
            page.close()


if __name__ == "__main__":
    main()
