"""Options that cannot act together: refused, with both named."""

from collections.abc import Mapping

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
