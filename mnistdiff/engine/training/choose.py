"""What is left to the program at the start of a run: processes, shards, precision, compiler."""

import math
import statistics
import time
from collections.abc import Callable

import torch

from mnistdiff.engine.network.build import build_network, place
from mnistdiff.engine.network.device import memory_format, require_gpus, resolve_device
from mnistdiff.engine.threads import usable_cores
from mnistdiff.engine.training.estimate import seconds_on_one_core
from mnistdiff.engine.training.execution import Execution, is_compiler_available, prepared
from mnistdiff.errors import SettingsError
from mnistdiff.machine_settings import MachineSettings
from mnistdiff.settings import TrainSettings

CPU_SHARDS = 4
_SHORT_SECONDS = 60.0
_TRIAL_SECONDS = 3.0
_LEAST_TRIALS = 4
_CLEARLY_SLOWER = 3.0
_WORTHWHILE = 1.05


def is_short(settings: TrainSettings, machine: MachineSettings, *, steps_done: int = 0) -> bool:
    """Whether a run takes less than about a minute on one core, estimated from its settings alone.

    The estimate does not depend on what else runs here, so that the same command computes the same bits.

    Args:
        settings: of the run.
        machine: for how long.
        steps_done: optimizer steps done before it is resumed.
    """
    if machine.max_minutes is not None:
        return machine.max_minutes * 60 < _SHORT_SECONDS
    num_images = max(1, round(sum(settings.spec.class_counts) * (1 - settings.holdout)))
    return seconds_on_one_core(settings, settings.total_steps(num_images) - steps_done) < _SHORT_SECONDS


def processes_to_start(settings: TrainSettings, machine: MachineSettings, *, steps_done: int = 0) -> int:
    """The number of processes for a run: as asked for, or one for each usable core.

    A short run and one on a GPU are for one process.

    Args:
        settings: of the run.
        machine: where, for how long, and how many processes were asked for.
        steps_done: optimizer steps done before it is resumed.

    Raises:
        SettingsError: if the device is not available, or the number that was asked for does not divide the shards or is
            larger than that of the GPUs.
    """
    device = resolve_device(machine.device)
    if machine.processes != "auto":
        require_divisible(_shards(settings, max(machine.processes, CPU_SHARDS)), machine.processes)
        if device.type == "cuda":
            require_gpus(machine.processes)
        return machine.processes
    if device.type != "cpu" or is_short(settings, machine, steps_done=steps_done):
        return 1
    return processes_that_fit(_shards(settings, CPU_SHARDS))


def processes_that_fit(shards: int = CPU_SHARDS) -> int:
    """One process for each usable core, up to the number of shards, which they divide."""
    return _power_of_two(shards, usable_cores())


def with_shards(
    settings: TrainSettings, machine: MachineSettings, device: torch.device, *, processes: int
) -> TrainSettings:
    """The settings with their shards chosen, if they leave them to the program.

    On the CPU at least 4 where processes are asked for or started, so that up to 4 can share the work; else as few as
    possible: one process then computes whole batches, on the CPU with all threads.

    Args:
        settings: of the run.
        machine: whether processes were asked for.
        device: to train on.
        processes: that train.

    Raises:
        SettingsError: if the number of processes does not divide the shards.
    """
    parts = device.type == "cpu" and (machine.processes != "auto" or processes > 1)
    shards = _shards(settings, max(processes, CPU_SHARDS if parts else 1))
    require_divisible(shards, processes)
    return settings.model_copy(update={"shards": shards})


def _shards(settings: TrainSettings, wanted: int) -> int:
    """The shards of the settings, or up to ``wanted`` if they leave that to the program."""
    return _power_of_two(settings.batch_size, min(wanted, 16)) if settings.shards == "auto" else settings.shards


def _power_of_two(divides: int, most: int) -> int:
    """The largest power of two that divides a number and is not more than another."""
    return math.gcd(divides, 1 << (most.bit_length() - 1))


def require_divisible(shards: int, processes: int) -> None:
    """Raise SettingsError if the processes cannot have equally many shards."""
    if shards % processes:
        usable = ", ".join(str(number) for number in (1, 2, 4, 8, 16) if number <= shards)
        raise SettingsError(
            f"`processes` {processes} does not divide the {shards} shards of each batch",
            f"Use `processes` {usable}; the number of `shards` is set at the start of a run.",
        )


def with_precision(settings: TrainSettings, machine: MachineSettings, device: torch.device) -> Execution:
    """Choose precision and compiler, if the settings leave them to the program.

    A trial of a few seconds measures whether bf16 is faster than fp32 here; a short run is trained in fp32 without
    one. The network is compiled only if asked for: on the processors that were measured this gained nothing.

    Raises:
        SettingsError: if the compiler or the precision is not available here.
    """
    compiled = "on" if settings.compile == "on" else "off"
    if compiled == "on" and not is_compiler_available(device):
        needed = "a C++ compiler and Triton" if device.type == "cuda" else "g++ or clang"
        raise SettingsError("`compile` on: there is no compiler", f"Install {needed}, or use `compile` off.")
    if settings.precision == "bf16" and device.type == "mps":
        raise SettingsError("`precision` bf16 is not available on mps", "Use `precision` fp32.")
    named = "fp32" if settings.precision == "auto" else settings.precision
    fixed = settings.model_copy(update={"compile": compiled, "precision": named})
    if settings.precision != "auto" or device.type == "mps" or is_short(settings, machine):
        return Execution(fixed)
    half = fixed.model_copy(update={"precision": "bf16"})
    ratio = _speed_ratio(fixed, half, device)
    return Execution(half if ratio > _WORTHWHILE else fixed, f"bf16 is {ratio:.2f} times as fast as fp32 in a trial")


def _speed_ratio(slow: TrainSettings, fast: TrainSettings, device: torch.device) -> float:
    """How many times as fast ``fast`` is, measured in turns on a shard of a random network.

    A processor that emulates a precision takes up to a hundred times as long, which two images show.
    """
    passes = [_one_pass(settings, device) for settings in (slow, fast)]
    few = [min(_seconds(one_pass, 2) for _ in range(2)) for one_pass in passes]
    if few[1] > _CLEARLY_SLOWER * few[0]:
        return few[0] / few[1]
    size = slow.batch_size // _shards(slow, CPU_SHARDS)
    ratios: list[float] = []
    began = time.monotonic()
    while time.monotonic() - began < _TRIAL_SECONDS or len(ratios) < _LEAST_TRIALS:
        ratios.append(_seconds(passes[0], size) / _seconds(passes[1], size))
    return statistics.median(ratios[1:])


def _seconds(one_pass: Callable[[int], None], size: int) -> float:
    began = time.perf_counter()
    one_pass(size)
    return time.perf_counter() - began


def _one_pass(settings: TrainSettings, device: torch.device) -> Callable[[int], None]:
    """A function that computes gradients of a random network for a number of images."""
    side = settings.spec.image_size
    with torch.random.fork_rng(devices=[]):
        model = place(build_network(settings), device)
    predict = prepared(model, settings)

    def compute(size: int) -> None:
        model.zero_grad(set_to_none=True)
        x_t = torch.zeros(size, 1, side, side, device=device).to(memory_format=memory_format(device))
        number = torch.zeros(size, dtype=torch.int64, device=device)
        loss = predict(x_t, number, number).square().mean()
        loss.backward()  # type: ignore[no-untyped-call]
        if device.type == "cuda":
            torch.cuda.synchronize()

    return compute
