"""Settings and options that have no effect beside others: refused, with both named."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mnistdiff.errors import SettingsError


def without_effect(option: str, beside: str, why: str) -> SettingsError:
    """The error for an option that has no effect beside another."""
    return SettingsError(f"{beside} and {option} cannot be combined: {why}", "Leave out one of them.")


def refuse_beside(other: str, why: str, given: Mapping[str, object]) -> None:
    """Refuse options that have no effect beside another.

    Args:
        other: that option.
        why: they have none.
        given: the options by flag; None or False is one that was left out.

    Raises:
        SettingsError: naming the first that was given.
    """
    for flag, value in given.items():
        if value is not None and value is not False:
            raise without_effect(flag, other, why)


def refuse_ineffective(
    values: Mapping[str, Sequence[Any]], written: Callable[[str], str], *, timesteps: int = 1
) -> None:
    """Refuse sample settings that have no effect beside others.

    Args:
        values: by name of the setting: the values that it takes, several where they are compared.
        written: a setting and its value, as the error names them.
        timesteps: of the model.

    Raises:
        SettingsError: naming both settings.
    """
    samplers, scales = values.get("sampler"), values.get("guidance")
    if values.get("eta") and "ddim" not in (samplers or ()):
        if samplers:
            raise without_effect(written("eta"), written("sampler"), "it is for the sampler ddim")
        hint = "Use `sampler` ddim, or leave out `eta`."
        raise SettingsError(f"{written('eta')} has no effect without `sampler` ddim", hint)
    intervals = values.get("guidance_interval")
    if scales and intervals:
        if max(scales) <= 1:
            why = "the interval is that of guidance above 1"
            raise without_effect(written("guidance_interval"), written("guidance"), why)
        if min(scales) > 1 and all(interval.start == interval.stop for interval in intervals):
            raise without_effect(written("guidance"), written("guidance_interval"), "the interval is empty")
    steps = values.get("steps")
    if values.get("spacing") and steps and set(steps) <= {1, timesteps}:
        why = "a single step has no spacing" if 1 in steps else f"the model has {timesteps} timesteps in all"
        raise without_effect(written("spacing"), written("steps"), why)
