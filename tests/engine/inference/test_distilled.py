"""A student of S steps takes S network evaluations, at the trailing timesteps of ddim, and refuses all else."""

import numpy as np
import pytest

from mnistdiff.distillation import Distillation
from mnistdiff.engine.diffusion.schedule import NoiseSchedule
from mnistdiff.engine.inference.diffusion_classifier import class_posteriors
from mnistdiff.engine.inference.editing import RePaint, SDEdit
from mnistdiff.engine.inference.interpolation import interpolate
from mnistdiff.engine.inference.model import DiffusionModel
from mnistdiff.engine.inference.sampling import SampleSpec, sample
from mnistdiff.engine.progress import collect, finish
from mnistdiff.errors import NeedsTeacherError
from mnistdiff.sample_settings import SampleSettings
from mnistdiff.settings import TrainSettings

STEPS = 3
SETTINGS = TrainSettings(
    beta_schedule="cosine",
    prediction="v_prediction",
    distillation=Distillation(
        teacher="0" * 64, prediction="epsilon", sampling=SampleSettings(sampler="ddim", steps=STEPS), steps=STEPS
    ),
)
PIXELS = np.zeros((28, 28), np.uint8)
ENDS = SampleSpec(3, 0), SampleSpec(8, 0)


@pytest.fixture
def student():
    """A student that predicts nothing, and the timesteps at which it was evaluated."""
    seen = []

    def denoiser(x_t, t, labels):
        seen.append((t, labels.tolist()))
        return np.zeros_like(x_t)

    return DiffusionModel(denoiser, SETTINGS), seen


def test_a_student_of_s_steps_takes_s_evaluations_with_labels_alone(student):
    model, seen = student
    collect(sample(model, ENDS, model.sample_settings()))
    timesteps = NoiseSchedule.from_settings(SETTINGS).inference_timesteps(STEPS, "trailing")
    assert seen == [(t, [3, 8]) for t, _ in timesteps]
    seen.clear()
    finish(interpolate(model, *ENDS, 4, model.sample_settings()))
    assert [t for t, _ in seen] == [t for t, _ in timesteps]


@pytest.mark.parametrize("name", sorted(SampleSettings.model_fields.keys() - {"weights"}))
def test_each_other_setting_is_refused_before_any_evaluation(student, name):
    model, seen = student
    other = {
        "sampler": "ddpm",
        "steps": 4,
        "spacing": "even",
        "eta": 0.5,
        "guidance": 1.5,
        "guidance_interval": (0, 0.5),
    }
    settings = model.sample_settings().model_copy(update={name: other[name]})
    for ask in (
        lambda: model.sample_settings(**{name: other[name]}),
        lambda: next(sample(model, ENDS, settings)),
        lambda: next(interpolate(model, *ENDS, 4, settings)),
    ):
        with pytest.raises(NeedsTeacherError, match=f"`{name}` .*000000000000"):
            ask()
    assert seen == []


def test_each_other_task_is_refused_before_any_evaluation(student):
    model, seen = student
    for task, ask in (
        ("edit", lambda: next(sample(model, ENDS, model.sample_settings(), process=SDEdit(PIXELS, 0.5)))),
        ("inpaint", lambda: next(sample(model, ENDS, model.sample_settings(), process=RePaint(PIXELS, PIXELS > 0, 1)))),
        ("classify", lambda: next(class_posteriors(model, [PIXELS]))),
    ):
        with pytest.raises(NeedsTeacherError, match=task):
            ask()
    assert seen == []
