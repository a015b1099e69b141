"""What this machine offers the program, and whether it draws: what a bug report needs to say."""

import importlib.metadata
import os
import platform
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from mnistdiff import __version__
from mnistdiff.engine.cache import cache_folder
from mnistdiff.engine.checkpoint.pretrained import PRETRAINED
from mnistdiff.engine.data.datasets import MNIST, UnavailableError
from mnistdiff.engine.data.load import data_folder, load_images
from mnistdiff.engine.inference.model import load_model
from mnistdiff.engine.inference.sampling import SampleSpec, sample
from mnistdiff.engine.libraries import problem_with
from mnistdiff.engine.progress import collect
from mnistdiff.engine.threads import thread_limit
from mnistdiff.errors import DataError, MnistDiffError
from mnistdiff.settings import BackendName, SampleSettings

_LIBRARIES = ("torch", "torchvision", "onnxruntime", "onnx", "onnxscript", "numpy", "pillow", "safetensors", "mlxtend")
# What a complete installation has; the rest are extras.
_EXAMINED = ("torch", "torchvision", "onnxruntime", "matplotlib")
_BACKENDS: Mapping[BackendName, str] = MappingProxyType({"onnx": "onnxruntime", "torch": "torch"})


@dataclass(frozen=True)
class Health:
    """What was found.

    Attributes:
        libraries: versions by name; None where one is not installed.
        devices: that PyTorch can compute on.
        threads: that compute on the CPU.
        threads_limit: what keeps them from being more.
        variables: of the environment, that steer the program.
        data: where MNIST is, or why it is not to be had without a network.
        cache: the user's folder for what was fetched and exported.
        drew: seconds to load the bundled model and to draw one digit from it, by backend that works.
        problems: a sentence for each library that is missing or broken, and for each backend that fails.
    """

    version: str
    python: str
    system: str
    libraries: dict[str, str | None]
    devices: tuple[str, ...]
    threads: int
    threads_limit: str
    variables: dict[str, str]
    data: str
    cache: str
    drew: dict[str, float]
    problems: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def examine(data_dir: Path | None) -> Health:
    """Look around, and draw a digit with each backend. What is missing or fails becomes one of ``problems``."""
    problems = {name: sentence for name in _EXAMINED if (sentence := problem_with(name))}
    drew: dict[str, float] = {}
    for backend, library in _BACKENDS.items():
        if library not in problems:
            try:
                drew[backend] = round(_seconds_to_draw(backend), 3)
            except MnistDiffError as error:
                problems[backend] = f"{backend} does not draw: {error.message}"
    limit = thread_limit()
    return Health(
        version=__version__,
        python=platform.python_version(),
        system=platform.platform(),
        libraries={name: _version(name) for name in _LIBRARIES},
        devices=() if "torch" in problems else _devices(),
        threads=limit.number,
        threads_limit=limit.reason,
        variables={name: value for name, value in sorted(os.environ.items()) if _steers(name)},
        data=_data(data_dir),
        cache=str(cache_folder() or "none: this user has no home"),
        drew=drew,
        problems=tuple(problems.values()),
    )


def _devices() -> tuple[str, ...]:
    from mnistdiff.engine.network.device import available_devices

    return available_devices()


def _data(data_dir: Path | None) -> str:
    folder = data_folder(MNIST, data_dir)
    try:
        images = load_images(MNIST, "train", data_dir=data_dir, may_download=False)
    except UnavailableError:
        return f"not in {folder}"
    except (DataError, OSError) as error:
        return str(error)
    return f"{len(images):,} images in {folder}"


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _steers(name: str) -> bool:
    return name.startswith("MNISTDIFF_") or name in ("OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES")


def _seconds_to_draw(backend: BackendName) -> float:
    began = time.perf_counter()
    model = load_model(PRETRAINED, weights="ema", device="cpu", backend=backend)
    collect(sample(model, [SampleSpec(7, 0)], SampleSettings()))
    return time.perf_counter() - began
