"""The user's folder for what can be fetched or made again."""

from pathlib import Path

import platformdirs


def cache_folder() -> Path | None:
    """The folder, which may not be there yet; None if the user has no home, or ``XDG_CACHE_HOME`` is no full path."""
    try:
        folder = platformdirs.user_cache_path("mnistdiff")
    except RuntimeError:  # a user id that no account has, as in a container
        return None
    return folder if folder.is_absolute() else None
