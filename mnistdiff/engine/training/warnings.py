"""Warnings about settings of a training that are valid and hardly meant."""

from mnistdiff.engine.diffusion.schedule import NoiseSchedule
from mnistdiff.settings import TrainSettings

_HIGH_TERMINAL_SIGNAL = 0.2


def warnings_of(settings: TrainSettings) -> tuple[str, ...]:
    """A sentence for each of them."""
    return tuple(filter(None, (_schedule_warning(settings), _flip_warning(settings))))


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
