"""The settings of a training on pictures of the user, once these have been read."""

from typing import TYPE_CHECKING

from pydantic import ValidationError

from mnistdiff.errors import SettingsError, explain
from mnistdiff.setting_types import PICTURES
from mnistdiff.settings import TrainSettings

if TYPE_CHECKING:
    from mnistdiff.engine.progress import Work
    from mnistdiff.presets import Resolved


def with_pictures(resolved: "Resolved") -> "Work[None, Resolved]":
    """Read the pictures that settings name, and add their record to the settings; others stay as they are.

    Yields:
        the progress of reading.

    Raises:
        DataError: as ``engine.data.pictures.read.read_pictures``.
        SettingsError: if there is no path, or the network does not fit the size of the images.
        OSError: if the file system refuses.
    """
    from dataclasses import replace

    from mnistdiff.engine.data.pictures.read import read_pictures

    train, path = resolved.train, resolved.machine.data_dir
    if train.dataset != PICTURES or train.pictures is not None:
        return resolved
    if path is None:
        raise SettingsError("`dataset` pictures names no pictures", "Give their folder or file as `dataset`.")
    prepared = yield from read_pictures(path, resolved.reading)
    try:
        known = TrainSettings.model_validate({**dict(train), "pictures": prepared.pictures})
    except ValidationError as error:
        raise SettingsError(
            explain(error, resolved.origins), "Correct the value, or use another `image_size`."
        ) from error
    return replace(resolved, train=known, notices=(*resolved.notices, *prepared.notices))
