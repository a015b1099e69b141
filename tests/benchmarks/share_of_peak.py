"""The share of the peak of one core that training reaches: multiplications a second against those of a large product.

python tests/benchmarks/share_of_peak.py [PRESET]
"""

import statistics
import sys
import time
from collections.abc import Callable

import torch
from torch.utils.flop_counter import FlopCounterMode

from mnistdiff.engine.network.build import build_network, place
from mnistdiff.engine.training.execution import prepared
from mnistdiff.presets import resolve

SIZE, BATCHES = 2048, (16, 64)


def main() -> None:
    """Print a table of images/s and shares by precision and batch size."""
    torch.set_num_threads(1)
    preset = sys.argv[1] if len(sys.argv) > 1 else "fast"
    print(f"{preset}, one thread\n| precision | peak, GFLOP/s | batch | images/s | share of the peak |")
    print("|---|---|---|---|---|")
    for precision, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        left, right = torch.randn(SIZE, SIZE, dtype=dtype), torch.randn(SIZE, SIZE, dtype=dtype)
        peak = 2 * SIZE**3 / _median_seconds(lambda left=left, right=right: left @ right)
        settings = resolve([("benchmark", {"preset": preset, "precision": precision, "compile": "off"})]).train
        model = place(build_network(settings), torch.device("cpu"))
        predict = prepared(model, settings)

        def one_pass(batch: int, predict=predict, model=model) -> None:
            x_t = torch.randn(batch, 1, 28, 28).to(memory_format=torch.channels_last)
            number = torch.zeros(batch, dtype=torch.int64)
            model.zero_grad(set_to_none=True)
            predict(x_t, number, number).square().mean().backward()

        with FlopCounterMode(display=False) as counter:
            one_pass(1)
        for batch in BATCHES:
            speed = batch / _median_seconds(lambda batch=batch, one_pass=one_pass: one_pass(batch))
            share = speed * counter.get_total_flops() / peak
            print(f"| {precision} | {peak / 1e9:.0f} | {batch} | {speed:.0f} | {share:.0%} |")


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
