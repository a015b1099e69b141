"""Drawing: what the model is, and sampling from noise step by step."""

import base64
import time
from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from mnistdiff import Images, Model, SampleStep, to_uint8
from mnistdiff.errors import SettingsError
from mnistdiff.setting_types import SAMPLERS
from mnistdiff.studio.events import job_stream
from mnistdiff.studio.jobs import Emit
from mnistdiff.studio.room import Body, read_json, studio_of

MAX_IMAGES = 64
"""Images of one request: as many as are sampled at once."""
_Name = Annotated[str, Field(min_length=1, max_length=200)]
_OF_TEACHER = ("steps", "guidance", "sampler", "edit", "inpaint", "classify")
"""What a distilled model leaves to its teacher."""


class Settings(Body):
    """How to sample; a field that is left out is that of the model."""

    steps: int | None = None
    sampler: str | None = None
    guidance: float | None = None
    guidance_interval: tuple[float, float] | None = None
    eta: float | None = None

    @property
    def given(self) -> dict[str, Any]:
        """Arguments of ``Model.sample``."""
        values = ((name, getattr(self, name)) for name in Settings.model_fields)
        return {name: value for name, value in values if value is not None}


class Draw(Settings):
    """Images to draw: a class, or a word of classes of one character; or labels."""

    text: _Name | None = None
    labels: Annotated[list[int | _Name], Field(min_length=1, max_length=MAX_IMAGES)] | None = None
    n: Annotated[int, Field(ge=1, le=MAX_IMAGES)] = 1
    seed: int | None = None


def encoded(images: NDArray[np.uint8]) -> str:
    """Grey levels, uint8 of any shape, in base64."""
    return base64.b64encode(images.tobytes()).decode("ascii")


def drawn(images: Images, seconds: float) -> dict[str, object]:
    """The content of ``done``, the last event of every drawing."""
    return {
        "labels": images.labels.tolist(),
        "classes": list(images.classes),
        "seeds": images.seeds.tolist(),
        "images": encoded(images.array),
        "seconds": round(seconds, 4),
        "settings": images.origin.settings.model_dump(mode="json"),
        "model": images.origin.model.info.checkpoint,
    }


class Steps:
    """Sends each step of a drawing as the event ``step``: an argument ``on_step`` of the Python API.

    Args:
        emit: of the job.
        of: how many steps there will be.
    """

    def __init__(self, emit: Emit, of: int) -> None:
        self._emit, self._of, self._number = emit, of, 0

    def __call__(self, step: SampleStep) -> None:
        """Send one."""
        self._number += 1
        states = {"x_t": encoded(to_uint8(step.x_t)), "x_0": encoded(to_uint8(step.x_0_pred))}
        self._emit("step", {"number": self._number, "of": self._of, "t": step.t, **states})


def _draw(model: Model, wanted: Draw, emit: Emit) -> None:
    began = time.perf_counter()
    labels = wanted.text if wanted.text is not None else wanted.labels
    if (wanted.text is None) == (wanted.labels is None):
        raise SettingsError("a drawing needs either `text` or `labels`")
    _require_room(model, labels, wanted.n)
    steps = Steps(emit, model.sample_settings(**wanted.given).steps)
    images = model.sample(labels, wanted.n, seed=wanted.seed, on_step=steps, **wanted.given)
    emit("done", drawn(images, time.perf_counter() - began))


def _require_room(model: Model, labels: str | list[int | str] | None, n: int) -> None:
    """Raise SettingsError for more than ``MAX_IMAGES`` images."""
    is_name = isinstance(labels, str) and labels in model.settings.spec.class_names
    count = n * (1 if labels is None or is_name else len(labels))
    if count > MAX_IMAGES:
        raise SettingsError(f"`n` {n} makes {count} images; at once there are at most {MAX_IMAGES}", "Use fewer.")


async def draw(request: Request) -> Response:
    """Draw images; the events are ``queued``, ``step`` and ``done``."""
    studio, wanted = studio_of(request), await read_json(request, Draw)
    return job_stream(studio.jobs, lambda emit: _draw(studio.model, wanted, emit))


def _defaults(model: Model) -> Mapping[str, object]:
    return model.sample_settings().model_dump(mode="json")


def _facts(model: Model) -> dict[str, object]:
    """What the page shows of the model, and which controls it has."""
    info, spec = model.info, model.settings.spec
    has_teacher, is_distilled = model.teacher_file is not None, model.settings.distillation is not None
    return {
        "name": info.checkpoint,
        "sha256": info.sha256[:12],
        "dataset": spec.title,
        "class_names": list(spec.class_names),
        "image_size": spec.image_size,
        "timesteps": model.settings.timesteps,
        "step": info.step,
        "total_steps": info.total_steps,
        "images_seen": info.images_seen,
        "samplers": list(SAMPLERS.names),
        "defaults": _defaults(model),
        "is_distilled": is_distilled,
        "can": list(_OF_TEACHER) if has_teacher or not is_distilled else [],
        "notices": list(info.notices),
        "other": {"name": model.teacher.info.checkpoint, "defaults": _defaults(model.teacher)}
        if model.teacher is not None
        else None,
    }


async def show_model(request: Request) -> Response:
    """The model, and the defaults of its teacher where that is loaded as well."""
    studio, facts = studio_of(request), dict[str, object]()
    await studio.jobs.result(lambda emit: facts.update(_facts(studio.model)))
    return JSONResponse(facts)


ROUTES = [Route("/api/model", show_model), Route("/api/draw", draw, methods=["POST"])]
