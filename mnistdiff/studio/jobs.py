"""Jobs: a bounded line of computations, one at a time, each ended at its next step when its reader goes.

NumPy and ONNX Runtime use all cores for one computation: two at once would be no faster. A page that leaves must not
keep the others waiting, nor may one that reads slowly: the events between a job and its reader are bounded.
"""

import asyncio
import queue
import threading
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing, suppress
from typing import NamedTuple, Protocol, TypeVar

from mnistdiff.studio.answers import RequestError

T = TypeVar("T")
MAX_WAITING = 32
"""Jobs that wait for their turn; more are refused."""
MAX_EVENTS = 8
"""Events of a job that its reader has not taken yet."""
SLOW_READER_SECONDS = 3.0
"""A job whose reader takes no event for as long ends."""


class Event(NamedTuple):
    """An event of a job: its name, and its content as JSON."""

    name: str
    data: Mapping[str, object]


class Emit(Protocol):
    """The way from a job to its reader."""

    def __call__(self, name: str, data: Mapping[str, object], /) -> None:
        """Send an event; raises JobCancelled once the reader has gone."""
        ...

    def check(self) -> None:
        """Raise JobCancelled once the reader has gone: for steps that send nothing."""
        ...


Work = Callable[[Emit], None]
"""A computation. It calls its argument after each of its steps."""


class JobCancelled(BaseException):
    """The reader of a job has gone. No ``except Exception`` in the middle of a computation keeps it alive."""


class Jobs:
    """The line of jobs. Made and used in one event loop; the computations run in one thread."""

    def __init__(self) -> None:
        self._line: list[_Job] = []
        self._tasks: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        threading.Thread(target=self._compute, name="studio-jobs", daemon=True).start()

    def _compute(self) -> None:
        while True:
            self._tasks.get()()

    async def run(self, work: Work) -> AsyncGenerator[Event]:
        """Wait in line, then compute.

        Args:
            work: the computation; it is cancelled when this generator is closed.

        Yields:
            ``queued`` with the number of jobs before this one, whenever that changes; then the events of the work.

        Raises:
            RequestError: if too many jobs wait; and any error of the work.
        """
        if len(self._line) > MAX_WAITING:
            raise RequestError(503, f"{MAX_WAITING} computations are waiting already", "Try again in a moment.")
        job = _Job(work, on_end=self._remove)
        self._line.append(job)
        if self._line == [job]:
            self._tasks.put(job.compute)
        try:
            position = -1
            while position:
                job.moved.clear()
                position = self._line.index(job) if job in self._line else 0
                yield Event("queued", {"position": position})
                if position:
                    await job.moved.wait()
            async for event in job.events():
                yield event
        finally:
            job.cancel()
            if job in self._line[1:]:
                self._remove(job)

    def _remove(self, job: "_Job") -> None:
        """Take a job out of the line. The first one computes until it ends: the next does not wait for its reader."""
        place = self._line.index(job)
        del self._line[place]
        for other in self._line[place:]:
            other.moved.set()
        if place == 0 and self._line:
            self._tasks.put(self._line[0].compute)

    async def result(self, compute: Callable[[Emit], T]) -> T:
        """Wait in line, compute, and return what the computation returns; its events are dropped.

        Raises:
            RequestError: if too many jobs wait; and any error of the computation.
        """
        results: list[T] = []
        async with aclosing(self.run(lambda emit: results.append(compute(emit)))) as events:
            async for _ in events:
                pass
        return results[0]


class _Job:
    """A computation, and its events on their way from its thread to the event loop.

    Args:
        work: the computation.
        on_end: called with this job, in the event loop, when it has ended.

    Attributes:
        moved: set when fewer jobs are before this one than were.
    """

    def __init__(self, work: Work, on_end: Callable[["_Job"], None]) -> None:
        self.moved = asyncio.Event()
        self._work, self._on_end = work, on_end
        self._loop = asyncio.get_running_loop()
        self._events: asyncio.Queue[Event | None] = asyncio.Queue(MAX_EVENTS)
        self._is_cancelled, self._has_ended = threading.Event(), False
        self._error: Exception | None = None

    def compute(self) -> None:
        """Do the work. For the thread of the computations."""
        try:
            self.check()
            self._work(self)
        except JobCancelled:
            self._error = RequestError(409, "the computation was cancelled", "Ask for it again.")
        except Exception as error:
            self._error = error
        finally:
            with suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(self._end)

    def _end(self) -> None:
        """Let the line and the reader know; a reader that has events to read sees it after them."""
        self._has_ended = True
        self._on_end(self)
        with suppress(asyncio.QueueFull):
            self._events.put_nowait(None)

    def __call__(self, name: str, data: Mapping[str, object], /) -> None:
        """Send an event to the reader. For the work."""
        self.check()
        sending = asyncio.run_coroutine_threadsafe(self._events.put(Event(name, data)), self._loop)
        try:
            sending.result(SLOW_READER_SECONDS)
        except TimeoutError:
            sending.cancel()
            raise JobCancelled from None

    def check(self) -> None:
        """Raise JobCancelled if the reader has gone. For the work."""
        if self._is_cancelled.is_set():
            raise JobCancelled

    async def events(self) -> AsyncGenerator[Event]:
        """The events of the work.

        Raises:
            Exception: that of the work.
        """
        while not (self._has_ended and self._events.empty()):
            event = await self._events.get()
            if event is not None:
                yield event
        if self._error is not None:
            raise self._error

    def cancel(self) -> None:
        """Have the work end at its next step; it may wait for room for an event."""
        self._is_cancelled.set()
        while not self._events.empty():
            self._events.get_nowait()
