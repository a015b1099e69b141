"""Sampling in a pool of processes, by ``concurrent.futures``."""

import signal
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from mnistdiff.engine.inference.model import DiffusionModel
from mnistdiff.engine.inference.process import SamplingProcess
from mnistdiff.engine.inference.sampling import Sample, SampleSpec
from mnistdiff.engine.inference.sampling_worker import Job, Shared, begin, sample_batch
from mnistdiff.engine.progress import Progress, Work
from mnistdiff.errors import MnistDiffError, OutOfMemoryError, ProcessError
from mnistdiff.sample_settings import SampleSettings

if TYPE_CHECKING:
    from concurrent.futures import Future
    from multiprocessing.process import BaseProcess

_POLL_SECONDS = 0.1
_BATCHES_A_PROCESS = 2
"""Batches under way for each process; those that are complete and wait for their turn count as well."""


def sample_in_pool(
    number: int,
    model: DiffusionModel,
    specs: Sequence[SampleSpec],
    settings: SampleSettings,
    *,
    process: SamplingProcess,
    batch_size: int,
) -> Work[Sample, None]:
    """Sample images in ``number`` processes of one thread each, in the order of ``specs``.

    The processes end with the generator, and also if this process is killed.

    Args:
        number: of processes.
        model: to sample from; its denoiser is pickled.
        specs: labels and seeds.
        settings: how to sample.
        process: what to start from.
        batch_size: images sampled at once.

    Yields:
        progress in network evaluations of all processes: 0 once they are started, then as ``sample``.

    Raises:
        OutOfMemoryError: if not even one image fits, or the system ran out of memory and killed a process.
        ProcessError: if no processes can be started, or one of them ended.
        DivergedError: if an image is not finite.
    """
    from concurrent.futures.process import BrokenProcessPool

    evaluations = process.evaluations(model.schedule, settings)
    batches = [specs[start : start + batch_size] for start in range(0, len(specs), batch_size)]
    size, slots = model.settings.spec.image_size, _BATCHES_A_PROCESS * number
    # Without the methods of the Python API, which import more.
    plain = DiffusionModel(model.denoiser, model.settings, model.backend, model.info, model.weights, model.device)
    job = Job(plain, settings, process, evaluations)
    shared = Shared.of(job, (slots, batch_size, size, size), len(batches))
    with closing(_Pool(number, shared)) as pool:
        try:
            yield from _results(pool, shared, batches, evaluations, model.settings.spec.class_names)
        except BrokenProcessPool:
            raise pool.failure() from None


def _results(
    pool: "_Pool",
    shared: Shared,
    batches: Sequence[Sequence[SampleSpec]],
    evaluations: int,
    class_names: Sequence[str],
) -> Work[Sample, None]:
    """The images of all batches, in their order; as many batches are under way as have a slot in the shared memory."""
    from concurrent.futures import wait

    slots, total = len(shared.images), len(batches) * evaluations
    futures = deque(pool.submit(index, batch) for index, batch in enumerate(batches[:slots]))
    yield Progress("sampling", 0, total)
    for index, batch in enumerate(batches):
        future, shown = futures.popleft(), shared.evaluations
        while not wait([future], _POLL_SECONDS).done:
            if shared.evaluations > shown:
                shown = shared.evaluations
                yield Progress("sampling", shown, total)
        future.result()
        images = shared.images[index % slots, : len(batch)].copy()
        if index + slots < len(batches):
            futures.append(pool.submit(index + slots, batches[index + slots]))
        samples = [
            Sample(one.label, one.seed, image, class_names[one.label]) for one, image in zip(batch, images, strict=True)
        ]
        yield Progress("sampling", shared.evaluations, total, tuple(samples))


class _Pool:
    """Processes that sample batches. ``close`` ends them at once, and so does the death of this process.

    Args:
        number: of processes.
        shared: what they sample, and where they put the images.

    Raises:
        ProcessError: if the system has no shared semaphores.
    """

    def __init__(self, number: int, shared: Shared) -> None:
        import multiprocessing
        from concurrent.futures import ProcessPoolExecutor

        context = multiprocessing.get_context("spawn")
        alive, self._alive = context.Pipe(duplex=False)
        self._others, self._oom_kills = {*multiprocessing.active_children()}, _oom_kills()
        self._processes: set[BaseProcess] = set()
        with _start_errors(), _signals_of_terminals_blocked():
            self._executor = ProcessPoolExecutor(number, context, begin, (alive, shared))

    def submit(self, index: int, batch: Sequence[SampleSpec]) -> "Future[None]":
        """Have a batch sampled; a process is started for it if there are fewer than ``number`` and none is idle."""
        from multiprocessing import active_children

        labels, seeds = [spec.label for spec in batch], [spec.seed for spec in batch]
        with _start_errors(), _signals_of_terminals_blocked():
            future = self._executor.submit(sample_batch, index, labels, seeds)
        self._processes |= {*active_children()} - self._others
        return future

    def close(self) -> None:
        """End the processes."""
        self._alive.close()
        for process in self._processes:
            process.terminate()
        self._executor.shutdown(cancel_futures=True)

    def failure(self) -> MnistDiffError:
        """The error for a process that ended. The executor has ended the others by SIGTERM then."""
        self.close()
        codes = {process.exitcode or 0 for process in self._processes} - {0}
        code = next(iter(sorted(codes - {-signal.SIGTERM}) or codes), 0)
        if code < 0:
            ending = f"was killed by {signal.Signals(-code).name}"
            if -code == signal.SIGKILL and _oom_kills() > self._oom_kills:
                return OutOfMemoryError(f"a process that samples {ending}: memory ran out", "Use fewer `processes`.")
            return ProcessError(f"a process that samples {ending}", "If memory ran out, use fewer `processes`.")
        hint = 'A script that uses several `processes` needs the line: if __name__ == "__main__":'
        return ProcessError(f"a process that samples ended with exit code {code}", hint)


@contextmanager
def _start_errors() -> Iterator[None]:
    """Errors of starting processes as a ProcessError; of a system without shared semaphores, too."""
    try:
        yield
    except (OSError, ImportError, NotImplementedError) as error:
        raise ProcessError(f"no process can be started to sample: {error}", "Use `processes` 1.") from error


@contextmanager
def _signals_of_terminals_blocked() -> Iterator[None]:
    """Block SIGINT and SIGHUP in this thread, and for ever in the processes that it starts: this process ends them."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    earlier = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT, signal.SIGHUP])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, earlier)


def _oom_kills(root: Path = Path("/")) -> int:
    """How many processes Linux has killed for lack of memory since it started; 0 where it does not say."""
    try:
        lines = (root / "proc/vmstat").read_text(encoding="ascii").splitlines()
        return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)
    except (OSError, ValueError):
        return 0
