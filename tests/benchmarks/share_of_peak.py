"""The share of the peak of one core that training reaches: multiplications a second against those of a large product.

python tests/benchmarks/share_of_peak.py [--preset fast] [--compile on] [--batches 16,64]
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch.utils.flop_counter import FlopCounterMode

from mnistdiff.engine.network.build import build_network, place
from mnistdiff.engine.training.execution import Predict, prepared
from mnistdiff.presets import resolve

SIZE = 2048


def main() -> None:
    """Print a table of images/s and shares by precision and batch size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="fast")
    parser.add_argument("--compile", default="off")
    parser.add_argument("--batches", default="16,64")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{options.preset}, one thread, compile {options.compile}")
    print("| precision | peak, GFLOP/s | batch | images/s | share of the peak |\n|---|---|---|---|---|")
    for precision, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        left, right = torch.randn(SIZE, SIZE, dtype=dtype), torch.randn(SIZE, SIZE, dtype=dtype)
        peak = 2 * SIZE**3 / _median_seconds(lambda left=left, right=right: left @ right)
        of_run = {"preset": options.preset, "precision": precision, "compile": "off"}
        settings = resolve([("benchmark", of_run)]).train
        model = place(build_network(settings), torch.device("cpu"))
        eager = prepared(model, settings)
        predict = prepared(model, settings.model_copy(update={"compile": options.compile}))
        with FlopCounterMode(display=False) as counter:
            _pass(model, eager, 1)
        for batch in map(int, options.batches.split(",")):
            seconds = _median_seconds(lambda m=model, p=predict, b=batch: _pass(m, p, b))
            share = batch / seconds * counter.get_total_flops() / peak
            print(f"| {precision} | {peak / 1e9:.0f} | {batch} | {batch / seconds:.0f} | {share:.0%} |", flush=True)


def _pass(model: torch.nn.Module, predict: Predict, batch: int) -> None:
    """Compute the gradients of some images."""
    x_t = torch.randn(batch, 1, 28, 28).to(memory_format=torch.channels_last)
    number = torch.zeros(batch, dtype=torch.int64)
    model.zero_grad(set_to_none=True)
    predict(x_t, number, number).square().mean().backward()


def _median_seconds(work: Callable[[], object]) -> float:
    work()
    seconds = []
    for _ in range(15):
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


if __name__ == "__main__":
    main()
