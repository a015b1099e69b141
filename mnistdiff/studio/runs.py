"""The runs of a folder: what each is, live while they train; its metrics, previews, checkpoints and evaluation.

Everything is read, nothing written. A name in an address is looked up among the runs that were listed, and a path is
never built from it.
"""

import asyncio
import os
from collections.abc import AsyncGenerator, Mapping
from dataclasses import asdict
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

import mnistdiff
from mnistdiff import Run
from mnistdiff.errors import StorageError
from mnistdiff.shell import quoted
from mnistdiff.studio.answers import Json, RequestError
from mnistdiff.studio.events import EventStream
from mnistdiff.studio.jobs import Event
from mnistdiff.studio.room import studio_of

LOOK_SECONDS = 1.0
"""Between two looks at the folder."""
MAX_RECORDS = 2000
"""Of one answer: a plot shows no more. Those with a held-out loss come on top."""
MAX_PREVIEW_BYTES = 4 * 2**20
_PNG = b"\x89PNG\r\n\x1a\n"
_START = "mnistdiff train --preset fast --max-minutes 15"


class Watch:
    """One look at the folder of the runs at a time, for all pages that listen; none while nobody does.

    Args:
        folder: whose runs are shown.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._listeners = 0
        self._looking: asyncio.Task[None] | None = None
        self._looked = asyncio.Condition()
        self._found: Mapping[str, Run] = {}
        self._problem = ""
        self.reading = asyncio.Semaphore(1)
        """Held while a checkpoint, which may have 256 MB, is read."""

    async def runs(self) -> Mapping[str, Run]:
        """The runs of this moment by name."""
        found = await asyncio.to_thread(mnistdiff.list_runs, self._folder)
        return {_text(run.name): run for run in found}

    async def run(self, name: str) -> Run:
        """The run of a name.

        Raises:
            RequestError: if there is none.
        """
        run = (await self.runs()).get(name)
        if run is None:
            raise RequestError(404, "there is no such run")
        return run

    def listing(self, runs: Mapping[str, Run]) -> dict[str, object]:
        """The runs as JSON, and how a training is started in this folder."""
        place = "" if self._folder == Path("runs") else f" --run-dir {quoted(self._folder / '001-fast')}"
        return {
            "folder": _text(self._folder),
            "start": _START + place,
            "problem": self._problem,
            "runs": [summary(run) for run in runs.values()],
        }

    async def events(self) -> AsyncGenerator[Event]:
        """All runs at first and whenever one comes or goes (``runs``), and each that changes (``run``)."""
        self._listeners += 1
        try:
            if self._looking is None:
                await self._look()
                self._looking = asyncio.create_task(self._look_again())
            shown: tuple[Mapping[str, Run], str] | None = None
            while True:
                found, problem = self._found, self._problem
                if shown is None or [*found] != [*shown[0]] or problem != shown[1]:
                    yield Event("runs", self.listing(found))
                else:
                    for name, run in found.items():
                        if run != shown[0][name]:
                            yield Event("run", summary(run))
                shown = found, problem
                async with self._looked:
                    await self._looked.wait()
        finally:
            self._listeners -= 1
            if not self._listeners and self._looking is not None:
                self._looking.cancel()
                self._looking = None

    async def _look_again(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            await self._look()

    async def _look(self) -> None:
        try:
            self._found, self._problem = await self.runs(), ""
        except OSError as error:  # it may be back at the next look
            self._found, self._problem = {}, f"{_text(self._folder)} cannot be read: {error.strerror}"
        async with self._looked:
            self._looked.notify_all()


def summary(run: Run) -> dict[str, object]:
    """What the page shows of a run, as JSON."""
    return {
        "name": _text(run.name),
        "state": run.state,
        "problem": _text(run.problem),
        "dataset": run.dataset,
        "num_train_images": run.num_train_images,
        "step": run.step,
        "total_steps": run.total_steps,
        "epoch": run.epoch,
        "last": run.last,
        "seconds_left": run.seconds_left,
        "started": run.started,
        "written": run.written,
        "previews": [*run.previews],
        "checkpoints": [path.name for path in run.checkpoints],
        "is_evaluated": run.evaluation_file is not None,
        "settings": run.settings and run.settings.model_dump(mode="json"),
        "resume": f"mnistdiff resume {quoted(run.path)}",
        "evaluate": f"mnistdiff evaluate {quoted(run.path)} -o {quoted(run.path / 'evaluation.json')}",
    }


def _text(value: str | Path) -> str:
    """A name as text; bytes that are not UTF-8 are escaped."""
    return os.fspath(value).encode(errors="backslashreplace").decode()


def _watch(request: Request) -> Watch:
    """The watch of this studio, which its first request makes."""
    state = request.app.state
    if not hasattr(state, "watch"):
        state.watch = Watch(studio_of(request).runs)
    watch: Watch = state.watch
    return watch


async def _run(request: Request) -> Run:
    return await _watch(request).run(request.path_params["name"])


async def _list(request: Request) -> Response:
    watch = _watch(request)
    return Json(watch.listing(await watch.runs()))


async def _events(request: Request) -> Response:
    return EventStream(_watch(request).events())


async def _records(request: Request) -> Response:
    """The metrics after a step, the latest last; of very many every n-th."""
    after = request.query_params.get("after", "-1")
    if not after.removeprefix("-").isdecimal() or len(after) > 15:
        raise RequestError(422, "after should be a step", "Leave it out for all records.")
    run = await _run(request)
    records = await asyncio.to_thread(run.records, int(after))
    every = -(-len(records) // MAX_RECORDS) or 1
    last = len(records) - 1
    thinned = [record for k, record in enumerate(records) if (last - k) % every == 0 or "held_out_loss" in record]
    return Json({"records": thinned[-2 * MAX_RECORDS :]})


async def _preview(request: Request) -> Response:
    """The preview grid of an epoch."""
    path = (await _run(request)).previews.get(request.path_params["epoch"])
    if path is None:
        raise RequestError(404, "there is no such preview")
    content = await asyncio.to_thread(_read_png, path)
    return Response(content, media_type="image/png", headers={"cache-control": "no-store"})


def _read_png(path: Path) -> bytes:
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    with open(path, "rb", opener=lambda name, _: os.open(name, flags)) as file:
        content = file.read(MAX_PREVIEW_BYTES + 1)
    if len(content) > MAX_PREVIEW_BYTES or not content.startswith(_PNG):
        raise StorageError(f"{path.name} is no preview: not a PNG, or larger than {MAX_PREVIEW_BYTES // 2**20} MiB")
    return content


async def _checkpoint(request: Request) -> Response:
    """The description of a checkpoint, as ``mnistdiff inspect`` prints it."""
    run = await _run(request)
    path = next((path for path in run.checkpoints if path.name == request.path_params["file"]), None)
    if path is None:
        raise RequestError(404, "there is no such checkpoint")
    async with _watch(request).reading:
        description = await asyncio.to_thread(mnistdiff.inspect, path)
    return Json({**asdict(description), "path": path.name})


async def _evaluation(request: Request) -> Response:
    """The evaluation in the folder of a run, and whether it is of one of its checkpoints."""
    run = await _run(request)
    report = await asyncio.to_thread(run.evaluation)
    if report is None:
        raise RequestError(404, "this run has no evaluation")
    return Json(report.model_dump(mode="json"))


ROUTES = (
    Route("/api/runs", _list),
    Route("/api/runs/events", _events),
    Route("/api/runs/{name}/records", _records),
    Route("/api/runs/{name}/preview/{epoch:int}", _preview),
    Route("/api/runs/{name}/checkpoints/{file}", _checkpoint),
    Route("/api/runs/{name}/evaluation", _evaluation),
)
