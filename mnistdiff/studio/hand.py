"""Your hand: reading, editing and completing a picture that was drawn or uploaded."""

import time
from collections.abc import Callable
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Base64Bytes, Field
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from mnistdiff import Model, Progress, SampleStep
from mnistdiff.errors import NoDigitError, SettingsError
from mnistdiff.studio.draw import FloatArray, Steps, drawn, encoded
from mnistdiff.studio.events import job_stream
from mnistdiff.studio.jobs import Emit
from mnistdiff.studio.room import Body, read_body, read_json, studio_of

FIRST_EVALUATIONS = 12
"""Of the first estimate: 98.6 % of 500 test images of MNIST are read correctly, 96.0 % with 8 (docs, studio)."""
MAX_VARIANTS = 8
Pixels = Annotated[Base64Bytes, Field(max_length=4096)]
"""Grey levels of one image of the model's size, a byte each, in base64."""


def image_of(model: Model, name: str, content: bytes) -> NDArray[np.uint8]:
    """Bytes as an image of the model's size, uint8 (H, W).

    Raises:
        SettingsError: if there are not as many as pixels.
    """
    size = model.settings.spec.image_size
    if len(content) != size**2:
        raise SettingsError(f"`{name}` has {len(content)} bytes, not {size} x {size}")
    return np.frombuffer(content, np.uint8).reshape(size, size)


class Change(Body):
    """A picture that is changed, and to what."""

    image: Pixels
    label: Annotated[int, Field(ge=0)]
    n: Annotated[int, Field(ge=1, le=MAX_VARIANTS)] = 1
    seed: int

    @property
    def seeds(self) -> range:
        """Of the images."""
        return range(self.seed, self.seed + self.n)


class Redraw(Change):
    """A picture that is edited to another class (SDEdit)."""

    strength: float


class Complete(Change):
    """A picture of which a part is inpainted (RePaint): where the mask, of the same size, is not 0."""

    mask: Pixels


class _Steps(Steps):
    """Sends each step once the progress after it has told its number.

    Args:
        emit: of the job.
        start: the states before the first step, whose timestep it is given; they are sent as step 0.
    """

    def __init__(self, emit: Emit, start: Callable[[int], FloatArray]) -> None:
        super().__init__(emit, of=1)
        self._start = start
        self._last: SampleStep | None = None

    def __call__(self, step: SampleStep) -> None:
        """Keep a step."""
        if self._last is None:
            self.send(0, step.t, self._start(step.t), None)
        self._last = step

    def on_progress(self, progress: Progress[object]) -> None:
        """Send the step that was kept."""
        if self._last is not None:
            self._of = progress.total
            self.send(progress.done, self._last.t, self._last.x_t, self._last.x_0_pred)


def _read(model: Model, content: bytes, emit: Emit) -> None:
    try:
        prepared = model.preprocess(content)
    except NoDigitError:
        emit("nothing", {})
        emit("done", {})
        return
    notices = [_sentence(notice) for notice in prepared.notices]
    emit("seen", {"image": encoded(prepared.image), "notices": notices})
    has_more = model.schedule.num_train_timesteps > 2 * FIRST_EVALUATIONS
    for evaluations in (FIRST_EVALUATIONS, None) if has_more else (None,):
        [found] = model.classify(prepared.image, evaluations=evaluations, progress=lambda progress: emit.check())
        emit("probabilities", {"values": list(found.probabilities), "is_final": evaluations is None})
    emit("done", {"is_undecided": found.is_undecided})


def _sentence(notice: str) -> str:
    """A notice about the argument `image` as one about a picture."""
    text = notice.removeprefix("`image`: ").replace("`image`", "the picture")
    return text[:1].upper() + text[1:] + "."


def _redraw(model: Model, wanted: Redraw, emit: Emit) -> None:
    image = image_of(model, "image", wanted.image)

    began, steps = time.perf_counter(), _Steps(emit, lambda t: model.diffuse(image, t, wanted.seeds))
    images = model.edit(
        image,
        wanted.label,
        strength=wanted.strength,
        n=wanted.n,
        seed=wanted.seed,
        on_step=steps,
        progress=steps.on_progress,
    )
    emit("done", drawn(images, time.perf_counter() - began))


def _complete(model: Model, wanted: Complete, emit: Emit) -> None:
    image, mask = image_of(model, "image", wanted.image), image_of(model, "mask", wanted.mask) > 0
    began, steps = time.perf_counter(), _Steps(emit, lambda t: model.noise(wanted.seeds))
    images = model.inpaint(
        image, mask, wanted.label, n=wanted.n, seed=wanted.seed, on_step=steps, progress=steps.on_progress
    )
    emit("done", drawn(images, time.perf_counter() - began))


async def read(request: Request) -> Response:
    """Read a picture file: ``seen``, as the model sees it, or ``nothing``; then ``probabilities``, twice."""
    studio, content = studio_of(request), await read_body(request, "image/")
    return job_stream(studio.jobs, lambda emit: _read(studio.model, content, emit))


async def redraw(request: Request) -> Response:
    """Edit a picture to another class (SDEdit); the events are those of ``draw``."""
    studio, wanted = studio_of(request), await read_json(request, Redraw)
    return job_stream(studio.jobs, lambda emit: _redraw(studio.model, wanted, emit))


async def complete(request: Request) -> Response:
    """Inpaint a picture (RePaint); the events are those of ``draw``."""
    studio, wanted = studio_of(request), await read_json(request, Complete)
    return job_stream(studio.jobs, lambda emit: _complete(studio.model, wanted, emit))


ROUTES = [
    Route("/api/read", read, methods=["POST"]),
    Route("/api/redraw", redraw, methods=["POST"]),
    Route("/api/complete", complete, methods=["POST"]),
]
