"""How it works: one image at one timestep, the schedule, the loss at each timestep, and the equations."""

from dataclasses import asdict, dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from mnistdiff import Denoised, Model, to_uint8
from mnistdiff.studio.answers import Json
from mnistdiff.studio.draw import encoded
from mnistdiff.studio.events import job_result
from mnistdiff.studio.hand import Pixels, image_of
from mnistdiff.studio.jobs import Emit
from mnistdiff.studio.room import Body, read_json, studio_of

PAPER_TO_CODE = "https://github.com/mnistdiff/mnistdiff/blob/HEAD/.github/docs/paper-to-code.md"
"""The table of all equations. The page links to it, and loads nothing from there."""
MAX_TIMESTEPS = 8
"""Of one request for losses: other requests are computed in between."""
NOISE_SCALE = 3.0
"""Deviations of the noise that are shown as the darkest and the brightest level."""
_LEAST_SCALE = 0.05


@dataclass(frozen=True)
class Equation:
    """An equation, and the function that computes it.

    Attributes:
        name: of the picture that it explains.
        text: with ``_`` before a subscript.
        source: paper and equation.
        function: module and name, as in paper-to-code.md.
    """

    name: str
    text: str
    source: str
    function: str


_UNET = "network/unet.py ConditionalUNet.forward"
EQUATIONS = (
    Equation("forward", "x_t = α_t x_0 + σ_t ε", "Ho et al. 2020, Eq. 4", "diffusion/predictions.py diffuse"),
    Equation("image", "x̂_0 = (x_t − σ_t ε̂) / α_t", "Ho et al. 2020, Eq. 15", "diffusion/predictions.py x_0_from_eps"),
    Equation("guided", "ε̂ = ε̂_∅ + s (ε̂_c − ε̂_∅)", "Ho & Salimans 2022, Eq. 6", "diffusion/guidance.py guided"),
    Equation(
        "loss", "‖target − network(x_t, t, c)‖²", "Ho et al. 2020, Eq. 14", "training/objective.py DiffusionLoss.loss"
    ),
)
BY_SETTING = {
    ("beta_schedule", "linear"): Equation(
        "schedule",
        "α_t² = Π (1 − β_s),  σ_t² = 1 − α_t²",
        "Ho et al. 2020, Eq. 4",
        "diffusion/schedule.py NoiseSchedule.linear",
    ),
    ("beta_schedule", "cosine"): Equation(
        "schedule",
        "α_t² ∝ cos² of t,  σ_t² = 1 − α_t²",
        "Nichol & Dhariwal 2021, Eq. 17",
        "diffusion/schedule.py NoiseSchedule.cosine",
    ),
    ("network", "unet"): Equation("network", "network(x_t, t, c)", "Ho et al. 2020, Appendix B", _UNET),
    ("prediction", "v_prediction"): Equation(
        "target",
        "target: v = α_t ε − σ_t x_0",
        "Salimans & Ho 2022, Section 4",
        "diffusion/predictions.py Velocity.target",
    ),
}
"""Equations of models with a setting: its name and its value."""


class Noisy(Body):
    """An image and the noise that is added to it."""

    image: Pixels
    label: Annotated[int, Field(ge=0)]
    seed: int


class Explain(Noisy):
    """An image, its noise, and one timestep."""

    t: int
    guidance: float | None = None


class Losses(Noisy):
    """An image, its noise, and several timesteps."""

    timesteps: Annotated[list[int], Field(min_length=1, max_length=MAX_TIMESTEPS)]


def _denoised(model: Model, wanted: Noisy, t: int, guidance: float | None = None) -> Denoised:
    image = image_of(model, "image", wanted.image)
    return model.denoise(image, wanted.label, t, seed=wanted.seed, guidance=guidance)


def _signed(values: NDArray[np.floating], scale: float | None = None) -> dict[str, object]:
    """Values around 0 as bytes around 128, and the value of the largest of them."""
    scale = scale or max(float(np.abs(values).max()), _LEAST_SCALE)
    return {"scale": scale, "pixels": encoded(np.rint(np.clip(values / scale, -1, 1) * 127 + 128).astype(np.uint8))}


def _shown(found: Denoised) -> dict[str, object]:
    """A result as the page shows it; images are clipped to grey levels, as samplers clip them."""
    predicted = {"unconditional": found.unconditional, "conditional": found.conditional, "guided": found.guided}
    return {
        "t": found.t,
        "alpha": found.alpha,
        "sigma": found.sigma,
        "guidance": found.guidance,
        "loss": found.loss,
        "unconditional_loss": found.unconditional_loss,
        "x_t": encoded(to_uint8(found.x_t)),
        "eps": _signed(found.eps, NOISE_SCALE),
        "x_0": {name: encoded(to_uint8(each.x_0)) for name, each in predicted.items()},
        "predicted_eps": {name: _signed(each.eps, NOISE_SCALE) for name, each in predicted.items()},
        "eps_difference": _signed(found.guided.eps - found.unconditional.eps),
        "x_0_difference": _signed(found.guided.x_0.clip(-1, 1) - found.unconditional.x_0.clip(-1, 1)),
    }


async def explain(request: Request) -> Response:
    """An image at one timestep."""
    studio, wanted = studio_of(request), await read_json(request, Explain)
    found = await job_result(
        request, studio.jobs, lambda emit: _denoised(studio.model, wanted, wanted.t, wanted.guidance)
    )
    return Json(_shown(found))


async def losses(request: Request) -> Response:
    """The losses of an image at several timesteps."""
    studio, wanted = studio_of(request), await read_json(request, Losses)
    return Json({"losses": await job_result(request, studio.jobs, lambda emit: _losses(studio.model, wanted, emit))})


async def schedule(request: Request) -> Response:
    """The curves of the noise schedule, and the equations."""
    studio = studio_of(request)
    return Json(await job_result(request, studio.jobs, lambda emit: _schedule(studio.model)))


def _losses(model: Model, wanted: Losses, emit: Emit) -> list[float]:
    found = []
    for t in wanted.timesteps:
        emit.check()
        found.append(_denoised(model, wanted, t).loss)
    return found


def _schedule(model: Model) -> dict[str, object]:
    trained = model.able_to("`denoise`")
    curves, settings = trained.schedule, trained.settings
    own = (equation for (name, value), equation in BY_SETTING.items() if getattr(settings, name) == value)
    return {
        "alphas": curves.alphas.tolist(),
        "sigmas": curves.sigmas.tolist(),
        "prediction": settings.prediction,
        "model": trained.info.checkpoint,
        "equations": {each.name: {**asdict(each), "table": PAPER_TO_CODE} for each in (*EQUATIONS, *own)},
    }


ROUTES = [
    Route("/api/explain", explain, methods=["POST"]),
    Route("/api/losses", losses, methods=["POST"]),
    Route("/api/schedule", schedule),
]
