"""The room Draw: sampling from noise step by step, one image as a PNG file, interpolation between two."""

import base64
import time
from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from mnistdiff import Images, Model, SampleStep, to_uint8
from mnistdiff.arguments import specs_of
from mnistdiff.errors import SettingsError
from mnistdiff.studio.answers import Json
from mnistdiff.studio.events import job_result, job_stream
from mnistdiff.studio.jobs import Emit
from mnistdiff.studio.room import Body, read_json, studio_of

MAX_IMAGES = 64
"""Images of one request: as many as are sampled at once."""
MAX_STEPS = 100
"""Steps of a request that are sent."""
FloatArray = NDArray[np.float32]
_Name = Annotated[str, Field(min_length=1, max_length=200)]
_Label = int | _Name


class Settings(Body):
    """How to sample; a field that is left out is that of the model."""

    steps: int | None = None
    sampler: str | None = None
    guidance: float | None = None
    guidance_interval: tuple[float, float] | None = None
    eta: float | None = None

    @property
    def given(self) -> dict[str, Any]:
        """Arguments of ``Model.sample``, without those that have no effect beside the others."""
        values = ((name, getattr(self, name)) for name in Settings.model_fields)
        given = {name: value for name, value in values if value is not None}
        if self.sampler != "ddim":
            given.pop("eta", None)
        if self.guidance is not None and self.guidance <= 1:
            given.pop("guidance_interval", None)
        return given


class Draw(Settings):
    """Images to sample: of a class, or of a word of class names of one character; or of several labels."""

    text: _Name | None = None
    labels: Annotated[list[_Label], Field(min_length=1, max_length=MAX_IMAGES)] | None = None
    n: Annotated[int, Field(ge=1, le=MAX_IMAGES)] = 1
    seed: int


class One(Body):
    """One image."""

    label: _Label
    seed: int
    settings: Settings = Settings()

    def sample(self, model: Model, emit: Emit) -> Images:
        """The image."""
        given = self.settings.given
        return model.sample(self.label, seed=self.seed, on_step=lambda step: emit.check(), **given)


class Morph(Body):
    """An interpolation between two images."""

    start: _Label
    end: _Label
    seed: int
    end_seed: int | None = None
    frames: Annotated[int, Field(ge=2, le=MAX_IMAGES)] = 24
    settings: Settings = Settings()


def encoded(images: NDArray[np.uint8]) -> str:
    """Grey levels, uint8 of any shape, in base64."""
    return base64.b64encode(images.tobytes()).decode("ascii")


def drawn(images: Images, seconds: float) -> dict[str, object]:
    """Sampled images as the content of ``done``, the last event of a request."""
    return {
        "labels": images.labels.tolist(),
        "classes": list(images.classes),
        "seeds": images.seeds.tolist(),
        "images": encoded(images.array),
        "seconds": round(seconds, 4),
        "command": images.command,
        "settings": images.origin.settings.model_dump(mode="json"),
        "model": images.origin.model.info.checkpoint,
    }


class Steps:
    """Sends sampling steps as events ``step``: an argument ``on_step`` of the Python API.

    Of many steps about a hundred are sent, always the last.

    Args:
        emit: of the job.
        of: how many steps there will be.
    """

    def __init__(self, emit: Emit, of: int) -> None:
        self._emit, self._of, self._number = emit, of, 0
        self._every = -(-of // MAX_STEPS)
        self.timesteps: list[int] = []

    def __call__(self, step: SampleStep) -> None:
        """Send a step."""
        self._number += 1
        self.timesteps.append(step.t)
        self._emit.check()
        if self._number % self._every == 0 or self._number == self._of:
            self.send(self._number, step.t, step.x_t, step.x_0_pred)

    def send(self, number: int, t: int, x_t: FloatArray, x_0: FloatArray | None) -> None:
        """Send a state; number 0 is the noise, before anything is predicted."""
        states = {"x_t": encoded(to_uint8(x_t)), "x_0": None if x_0 is None else encoded(to_uint8(x_0))}
        self._emit("step", {"number": number, "of": self._of, "t": t, **states})


def _draw(model: Model, wanted: Draw, emit: Emit) -> None:
    began = time.perf_counter()
    if (wanted.text is None) == (wanted.labels is None):
        raise SettingsError("either `text` or `labels` says what is sampled, and not both")
    labels = wanted.text if wanted.text is not None else wanted.labels
    specs = specs_of(model.settings.spec, labels, wanted.n, wanted.seed)
    if len(specs) > MAX_IMAGES:
        raise SettingsError(f"`n` {wanted.n} makes {len(specs)} images; there are at most {MAX_IMAGES}", "Use fewer.")
    steps = Steps(emit, model.sample_settings(**wanted.given).steps)
    steps.send(0, model.settings.timesteps - 1, model.noise([spec.seed for spec in specs]), None)
    images = model.sample(labels, wanted.n, seed=wanted.seed, on_step=steps, **wanted.given)
    emit("done", {**drawn(images, time.perf_counter() - began), "evaluations": _evaluations(images, steps.timesteps)})


def _evaluations(images: Images, timesteps: Sequence[int]) -> int:
    """Evaluations of the network for each image: two in a guided step."""
    settings, of = images.origin.settings, images.origin.model.settings.timesteps
    return sum(1 if settings.guidance_at(t, of) in (0, 1) else 2 for t in timesteps)


async def draw(request: Request) -> Response:
    """Sample images; the events are ``queued``, ``step`` and ``done``."""
    studio, wanted = studio_of(request), await read_json(request, Draw)
    return job_stream(studio.jobs, lambda emit: _draw(studio.model, wanted, emit))


async def show_image(request: Request) -> Response:
    """One image as a PNG file with its provenance, byte for byte that of ``sample``."""
    images = await _one(request)
    return Response(images.png(), media_type="image/png")


async def show_provenance(request: Request) -> Response:
    """The provenance of one image, and the command that samples it."""
    images = await _one(request)
    return Json({"provenance": images.provenance, "command": images.command})


async def _one(request: Request) -> Images:
    studio, wanted = studio_of(request), await read_json(request, One)
    return await job_result(request, studio.jobs, lambda emit: wanted.sample(studio.model, emit))


async def morph(request: Request) -> Response:
    """Interpolate between two images; the events are ``queued``, ``progress`` and ``done``."""
    studio, wanted = studio_of(request), await read_json(request, Morph)
    return job_stream(studio.jobs, lambda emit: _morph(studio.model, wanted, emit))


def _morph(model: Model, wanted: Morph, emit: Emit) -> None:
    began = time.perf_counter()
    morphed = model.interpolate(
        wanted.start,
        wanted.end,
        frames=wanted.frames,
        seed=wanted.seed,
        end_seed=wanted.end_seed,
        progress=lambda made: emit("progress", {"done": made.done, "total": made.total}),
        **wanted.settings.given,
    )
    seconds = round(time.perf_counter() - began, 4)
    images = {"frames": len(morphed), "images": encoded(morphed.array)}
    emit("done", {**images, "seconds": seconds, "command": morphed.command})


ROUTES = [
    Route("/api/draw", draw, methods=["POST"]),
    Route("/api/image.png", show_image, methods=["POST"]),
    Route("/api/provenance", show_provenance, methods=["POST"]),
    Route("/api/morph", morph, methods=["POST"]),
]
