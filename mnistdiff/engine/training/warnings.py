"""Warnings about settings of a training that are valid and hardly meant."""

from mnistdiff.engine.diffusion.schedule import NoiseSchedule
from mnistdiff.settings import TrainSettings

_HIGH_TERMINAL_SIGNAL = 0.2
_MANY_REPETITIONS = 1000
"""The preset ``finetune`` shows each of 50 images 384 times; 768 times with larger learning rates made copies."""


def warnings_of(settings: TrainSettings) -> tuple[str, ...]:
    """A sentence for each of them."""
    every = (_schedule_warning(settings), _flip_warning(settings), _repetition_warning(settings))
    return tuple(filter(None, every))


def _schedule_warning(settings: TrainSettings) -> str:
    """A warning if x_T, which sampling takes for pure noise, holds much of the image; empty if not."""
    signal = NoiseSchedule.from_settings(settings).alpha(settings.timesteps - 1)
    if signal < _HIGH_TERMINAL_SIGNAL:
        return ""
    return (
        f"with these betas x_T still holds {signal:.0%} of the image, while sampling starts from pure noise; "
        "use more `timesteps` or `beta_schedule` cosine"
    )


def _flip_warning(settings: TrainSettings) -> str:
    """A warning if digits or letters are mirrored; empty if not."""
    if "flip" not in settings.augment or any(len(name) > 1 for name in settings.spec.class_names):
        return ""
    return "`augment` flip mirrors digits and letters, few of which are then what they were: leave it out"


def _repetition_warning(settings: TrainSettings) -> str:
    """A warning if each image is shown so often that the model will copy it; empty if not."""
    images = sum(settings.spec.class_counts)
    images -= round(settings.holdout * images)
    repetitions = settings.images_seen(settings.total_steps(images), images) / images
    if repetitions < _MANY_REPETITIONS:
        return ""
    return (
        f"each of the {images:,} images is shown about {repetitions:,.0f} times, and the model will copy them: use "
        "fewer `max_steps`, or start from a model with `preset` finetune"
    )
