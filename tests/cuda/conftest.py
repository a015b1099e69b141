"""What the tests on a GPU share. Without one, all of them are skipped."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
import torch

from mnistdiff.engine.network.device import resolve_device


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the tests of this folder where there is no GPU; warnings of libraries on GPUs are no failures."""
    for item in items:
        if item.path.parent.name == "cuda":
            item.add_marker(pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU (CUDA)"))
            item.add_marker(pytest.mark.filterwarnings("default"))


@pytest.fixture
def gpu() -> torch.device:
    """The GPU, as the program sets it up."""
    return resolve_device("cuda")


@pytest.fixture
def little_memory(gpu: torch.device) -> Callable[[int], AbstractContextManager[None]]:
    """``with little_memory(megabytes):`` PyTorch gets no more memory of the GPU."""

    @contextmanager
    def limited(megabytes: int) -> Iterator[None]:
        torch.cuda.empty_cache()
        total = torch.cuda.get_device_properties(gpu).total_memory
        torch.cuda.set_per_process_memory_fraction(min(1.0, megabytes * 2**20 / total))
        try:
            yield
        finally:
            torch.cuda.set_per_process_memory_fraction(1.0)
            torch.cuda.empty_cache()

    return limited
