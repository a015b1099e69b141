"""What a process of a pool does: sample batches of images into memory that it shares with the others.

Only short messages go through pipes. If a process were killed in the middle of a long one, the other end would wait for
ever: for the rest of it, or to write it.
"""

import math
import os
import pickle  # noqa: TID251 (what this program's own processes send each other, as multiprocessing does; no file)
import signal
import threading
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mnistdiff.engine.inference.model import DiffusionModel
from mnistdiff.engine.inference.process import SamplingProcess
from mnistdiff.engine.inference.sampling import SampleSpec, sample
from mnistdiff.engine.threads import OMP_NUM_THREADS
from mnistdiff.sample_settings import SampleSettings

if TYPE_CHECKING:
    from multiprocessing.connection import Connection


class Job(NamedTuple):
    """What all batches have in common; ``evaluations`` is the number of a batch."""

    model: DiffusionModel
    settings: SampleSettings
    process: SamplingProcess
    evaluations: int


class Shared:
    """Memory that all processes see.

    Attributes:
        job: what to sample with, pickled.
        images: grey levels of the batches under way, shape (slots, B, H, W).
        done: evaluations of each batch that are done.
    """

    def __init__(self, job: Any, images: Any, shape: tuple[int, ...], done: Any) -> None:
        self._given = job, images, shape, done
        self.job = memoryview(job)
        self.images = np.frombuffer(images, dtype=np.uint8).reshape(shape)
        self.done = np.frombuffer(done, dtype=np.int64)

    @classmethod
    def of(cls, job: Job, shape: tuple[int, ...], batches: int) -> "Shared":
        """New memory for a job and its images of that shape, in so many batches."""
        from multiprocessing import get_context

        memory, pickled = get_context("spawn").RawArray, pickle.dumps(job)
        return cls(memory("B", pickled), memory("B", math.prod(shape)), shape, memory("q", batches))

    def __reduce__(self) -> tuple[type["Shared"], tuple[Any, ...]]:
        """What a process is given as it starts: the memory itself."""
        return Shared, self._given

    @property
    def evaluations(self) -> int:
        """Evaluations done in all."""
        return int(self.done.sum())


_shared: Shared
"""What a process of a pool was given as it started; ``concurrent.futures`` has no other place for it."""


def begin(alive: "Connection", shared: Shared) -> None:
    """Prepare a process of a pool. What can fail is left to its batches, whose errors are reported."""
    global _shared
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # for Windows, where it cannot be blocked
    threading.Thread(target=_end_with, args=(alive,), daemon=True).start()
    os.environ[OMP_NUM_THREADS] = "1"
    _shared = shared


def _end_with(alive: "Connection") -> None:
    """End this process once the other end of the pipe is closed, by the process that has it or by its death."""
    try:
        alive.recv_bytes()
    except (EOFError, OSError):
        os._exit(0)


@cache
def _job() -> Job:
    job: Job = pickle.loads(_shared.job)
    return job


def sample_batch(index: int, labels: Sequence[int], seeds: Sequence[int]) -> None:
    """Sample a batch in a process of a pool."""
    job = _job()
    specs = [SampleSpec(label, seed) for label, seed in zip(labels, seeds, strict=True)]
    images, filled = _shared.images[index % len(_shared.images)], 0
    for progress in sample(job.model, specs, job.settings, process=job.process, batch_size=len(specs)):
        for each in progress.results:
            images[filled] = each.pixels
            filled += 1
        _shared.done[index] = progress.done * job.evaluations // progress.total
