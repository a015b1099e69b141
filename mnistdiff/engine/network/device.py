"""Devices of PyTorch: selection, memory layout, fingerprint, out-of-memory errors."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from mnistdiff.errors import SettingsError


def resolve_device(name: str) -> torch.device:
    """The device of the name ``auto``, ``cpu``, ``cuda`` or ``mps``; ``auto`` is a GPU if there is one.

    Raises:
        SettingsError: if this PyTorch has no such device.
    """
    available = available_devices()
    if name == "auto":
        name = available[0]
    if name not in available:
        raise SettingsError(
            f"`device` {name}: this PyTorch has no {name} device", f"Available: {', '.join(available)}."
        )
    if name == "cuda":
        # Bit-exact from run to run. cuBLAS reads its variable when it is first used.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.backends.cudnn.benchmark = False
        torch.backends.cudnn.deterministic = True
    return torch.device(name)


def require_gpus(number: int) -> None:
    """Raise SettingsError if this machine has fewer CUDA devices than processes, each of which needs its own."""
    available = torch.cuda.device_count()
    if number > available:
        raise SettingsError(
            f"`processes` {number}: this machine has {available} CUDA device{'s' if available != 1 else ''}",
            f"Use at most `processes` {available}, or `device` cpu.",
        )


def available_devices() -> tuple[str, ...]:
    """The devices that this PyTorch can compute on, the fastest first."""
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    return tuple(name for name, is_available in available.items() if is_available)


def bfloat16_units() -> tuple[str, ...]:
    """The instructions for bfloat16 that this processor has, as PyTorch names them; without any it is emulated.

    PyTorch tells since version 2.10; an earlier one names none.
    """
    capabilities: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return tuple(name for name in ("amx_bf16", "avx512_bf16", "bf16") if capabilities.get(name))


def memory_format(device: torch.device) -> torch.memory_format:
    """The memory layout of images on a device.

    Channels last is 1.2 to 1.4 times faster on a CPU, and what tensor cores compute in (not measured).
    """
    return torch.channels_last if device.type in ("cpu", "cuda") else torch.contiguous_format


@contextmanager
def float32_convolutions(device: torch.device) -> Iterator[None]:
    """Convolve in float32 where PyTorch's default is TF32: on CUDA.

    TF32 rounds factors to 10 bits: pixels would depend on the device, and on the algorithm chosen for a batch size.
    """
    if device.type != "cuda":
        yield
        return
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


def execution_fingerprint(device: torch.device) -> dict[str, str]:
    """Everything besides the settings that the bits of a training depend on: library, threads, device, layout.

    On CUDA the device has its model's name, and threads of the CPU do not matter.
    """
    on_cuda = device.type == "cuda"
    return {
        "torch": str(torch.__version__),
        "threads": "1" if on_cuda else str(torch.get_num_threads()),
        "device": f"cuda ({torch.cuda.get_device_name(device)})"[:80] if on_cuda else device.type,
        "layout": str(memory_format(device)).removeprefix("torch."),
    }


def is_out_of_memory(error: Exception) -> bool:
    """Whether an error is one of PyTorch's several out-of-memory errors."""
    text = str(error)
    return isinstance(error, MemoryError) or "out of memory" in text or "can't allocate memory" in text
