"""Check the installation: libraries, devices, data, and whether each backend samples."""

import importlib.metadata
import os
import platform
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mnistdiff import __version__
from mnistdiff.engine.cache import cache_folder
from mnistdiff.engine.checkpoint.pretrained import PRETRAINED
from mnistdiff.engine.data.datasets import MNIST, UnavailableError
from mnistdiff.engine.data.load import load_images
from mnistdiff.engine.data.stored_images import data_folder
from mnistdiff.engine.inference.model import load_model
from mnistdiff.engine.inference.sampling import SampleSpec, sample
from mnistdiff.engine.libraries import problem_with
from mnistdiff.engine.progress import collect
from mnistdiff.engine.threads import thread_limit
from mnistdiff.errors import DataError, MnistDiffError
from mnistdiff.sample_settings import SampleSettings
from mnistdiff.setting_types import BackendName

_LIBRARIES = ("torch", "torchvision", "onnxruntime", "onnx", "onnxscript", "numpy", "pillow", "safetensors", "mlxtend")
# Required; the other libraries are extras.
_EXAMINED = ("torch", "torchvision", "onnxruntime", "matplotlib")
_BACKENDS: Mapping[BackendName, str] = {"onnx": "onnxruntime", "torch": "torch"}


@dataclass(frozen=True)
class Diagnosis:
    """The state of an installation.

    Attributes:
        libraries: versions by name; None where one is not installed.
        devices: the devices that PyTorch can compute on.
        threads: the number of threads that compute on the CPU.
        threads_limit: what limits the number of threads.
        processes: how many processes ``train`` starts by itself for a long run on the CPU.
        bf16: the processor's instructions for bfloat16.
        compiler: the C++ compiler that ``compile`` uses; empty if there is none.
        variables: variables of the environment that change what the program does.
        data: where MNIST is, or why it is missing; ``datasets`` lists the others.
        cache: the user's folder for downloads and exported graphs.
        sampling_seconds: the time to load the bundled model and to sample one image, for each backend that works.
        problems: a message for each library that is missing or broken, and for each backend that fails.
    """

    version: str
    python: str
    system: str
    libraries: dict[str, str | None]
    devices: tuple[str, ...]
    threads: int
    threads_limit: str
    processes: int
    bf16: tuple[str, ...]
    compiler: str
    variables: dict[str, str]
    data: str
    cache: str
    sampling_seconds: dict[str, float]
    problems: tuple[str, ...]


def diagnose(data_dir: Path | None) -> Diagnosis:
    """Examine the installation and sample an image with each backend. What fails becomes one of ``problems``.

    Args:
        data_dir: folder with ``MNIST/raw``; None is the user's cache folder. Nothing is downloaded.
    """
    problems = {name: sentence for name in _EXAMINED if (sentence := problem_with(name))}
    seconds: dict[str, float] = {}
    for backend, library in _BACKENDS.items():
        if library not in problems:
            try:
                seconds[backend] = round(_sampling_seconds(backend), 3)
            except MnistDiffError as error:
                problems[backend] = f"backend {backend} fails: {error.message}"
    limit = thread_limit()
    devices, processes, bf16, compiler = ((), 1, (), "") if "torch" in problems else _training()
    return Diagnosis(
        version=__version__,
        python=platform.python_version(),
        system=platform.platform(),
        libraries={name: _version(name) for name in _LIBRARIES},
        devices=devices,
        threads=limit.number,
        threads_limit=limit.reason,
        processes=processes,
        bf16=bf16,
        compiler=compiler,
        variables={name: value for name, value in sorted(os.environ.items()) if _has_effect(name)},
        data=_data(data_dir),
        cache=str(cache_folder() or "none: this user has no home"),
        sampling_seconds=seconds,
        problems=tuple(problems.values()),
    )


def _training() -> tuple[tuple[str, ...], int, tuple[str, ...], str]:
    """What training can use: devices, processes, instructions for bfloat16, compiler."""
    from mnistdiff.engine.network.device import available_devices, bfloat16_units
    from mnistdiff.engine.training.choose import processes_that_fit
    from mnistdiff.engine.training.execution import compiler

    return available_devices(), processes_that_fit(), bfloat16_units(), compiler()


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


def _has_effect(name: str) -> bool:
    return name.startswith("MNISTDIFF_") or name in ("OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES")


def _sampling_seconds(backend: BackendName) -> float:
    began = time.perf_counter()
    model = load_model(PRETRAINED, weights="ema", device="cpu", backend=backend)
    collect(sample(model, [SampleSpec(7, 0)], SampleSettings()))
    return time.perf_counter() - began
