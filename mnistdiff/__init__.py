"""Train a class-conditional diffusion model (DDPM) on MNIST and sample digits from it.

The public Python API is imported at its first use: ``import mnistdiff`` alone loads neither NumPy nor PyTorch.
"""

TYPE_CHECKING = False  # type checkers and editors take this name for true; importing typing would cost milliseconds
if TYPE_CHECKING:
    from mnistdiff.api import (
        Denoised,
        Images,
        Interpolation,
        Model,
        Progress,
        Run,
        SampleStep,
        bits_per_dim,
        distill,
        evaluate,
        export_html,
        inspect,
        list_runs,
        load,
        resume,
        to_uint8,
        train,
    )
    from mnistdiff.errors import MnistDiffError

__version__ = "0.5.0"
__all__ = [
    "Denoised",
    "Images",
    "Interpolation",
    "MnistDiffError",
    "Model",
    "Progress",
    "Run",
    "SampleStep",
    "bits_per_dim",
    "distill",
    "evaluate",
    "export_html",
    "inspect",
    "list_runs",
    "load",
    "resume",
    "to_uint8",
    "train",
]


def __getattr__(name: str) -> object:
    """Import a name of the public API at its first use (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module 'mnistdiff' has no attribute {name!r}")
    from importlib import import_module

    value: object = getattr(import_module("mnistdiff.errors" if name.endswith("Error") else "mnistdiff.api"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """All names, for completion."""
    return sorted({*globals(), *__all__})
