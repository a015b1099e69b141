"""The user's cache folder, for downloads and exported graphs."""

from pathlib import Path

import platformdirs


def cache_folder() -> Path | None:
    """The cache folder, which may not exist yet; None without a home folder, or if ``XDG_CACHE_HOME`` is relative."""
    try:
        folder = platformdirs.user_cache_path("mnistdiff")
    except RuntimeError:  # a user id without an account, as in a container
        return None
    return folder if folder.is_absolute() else None
