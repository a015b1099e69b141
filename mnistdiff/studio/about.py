"""What the page shows of the model, and which controls it has."""

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from mnistdiff import Model
from mnistdiff.setting_types import SAMPLERS
from mnistdiff.studio.answers import Json
from mnistdiff.studio.room import studio_of

_OF_TEACHER = ("steps", "guidance", "sampler", "edit", "inpaint", "classify")
"""What a distilled model leaves to its teacher."""


def _defaults(model: Model) -> Mapping[str, object]:
    return model.sample_settings().model_dump(mode="json")


def _facts(model: Model) -> dict[str, object]:
    """What the page shows of the model, and which controls it has."""
    info, spec, teacher = model.info, model.settings.spec, model.teacher
    is_distilled = model.settings.distillation is not None
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
        "can": list(_OF_TEACHER) if teacher is not None or not is_distilled else [],
        "notices": list(info.notices),
        "other": None if teacher is None else {"name": teacher.info.checkpoint, "defaults": _defaults(teacher)},
    }


async def show_model(request: Request) -> Response:
    """The model, and the defaults of its teacher where that is loaded as well.

    They are found once: a page that opens does not wait for the computations of others.
    """
    state, studio = request.app.state, studio_of(request)
    if not hasattr(state, "facts"):
        state.facts = await studio.jobs.result(lambda emit: _facts(studio.model))
    return Json(state.facts)


ROUTES = [Route("/api/model", show_model)]
