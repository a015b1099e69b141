"""The progress of long work: one protocol for sampling, classification, evaluation, training of classifiers.

Long work is a generator. It yields ``Progress`` events and returns its result (PEP 380), so that one piece of work can
contain another by ``yield from``, and one consumer serves them all.
"""

import sys
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T", covariant=True)
R = TypeVar("R")


@dataclass(frozen=True)
class Progress(Generic[T]):
    """A step of long work, done.

    Attributes:
        stage: what is being done, as a word or two for a progress bar: ``sampling``.
        done: units of this stage done, such as network evaluations.
        total: units planned; an estimate that may change.
        results: what this step completed, such as images; mostly empty.
    """

    stage: str
    done: int
    total: int
    results: tuple[T, ...] = ()


Work = Generator[Progress[T], None, R]
"""Long work that completes values of type T while it runs and returns an R."""


def _ignore(progress: Progress[object]) -> None:
    del progress


def finish(work: Work[T, R], on_progress: Callable[[Progress[T]], object] = _ignore) -> R:
    """Run ``work`` to its end, and close it also if ``on_progress`` fails.

    Args:
        work: a generator of ``Progress``.
        on_progress: called with each event.

    Returns:
        the result of the work.
    """
    with closing(work):
        while True:
            try:
                progress = next(work)
            except StopIteration as stop:
                result: R = stop.value
                return result
            on_progress(progress)


def collect(work: Work[T, object], on_progress: Callable[[Progress[T]], object] = _ignore) -> Sequence[T]:
    """Run ``work`` to its end.

    Returns:
        all values that it completed, in order.
    """
    results: list[T] = []

    def keep(progress: Progress[T]) -> None:
        results.extend(progress.results)
        on_progress(progress)

    finish(work, keep)
    return results


ShowProgress = bool | Callable[[Progress[object]], object]
"""True keeps a line on stderr up to date; a function is called with each ``Progress``."""


def shown_as(progress: ShowProgress) -> Callable[[Progress[object]], object]:
    """What to call with each event of some work."""
    if callable(progress):
        return progress
    return _Line() if progress else _ignore


class _Line:
    """A line on stderr that shows the progress, updated at most ten times a second."""

    def __init__(self) -> None:
        self._shown_at = 0.0

    def __call__(self, progress: Progress[object]) -> None:
        is_done = progress.done >= progress.total
        if is_done or time.monotonic() - self._shown_at > 0.1:
            self._shown_at = time.monotonic()
            sys.stderr.write(f"\r{progress.stage} {progress.done}/{progress.total}" + "\n" * is_done)
            sys.stderr.flush()
