"""The real images that a model is measured with: a split of its data set."""

from pathlib import Path

from mnistdiff.engine.data.datasets import LabelledImages, Split, UnavailableError
from mnistdiff.engine.data.load import load_images
from mnistdiff.errors import DataError
from mnistdiff.settings import TrainSettings


def load_split(trained: TrainSettings, split: Split, data_dir: Path | None, *, required_by: str) -> LabelledImages:
    """The images of a split of the data set that a model was trained on; nothing is downloaded.

    Args:
        trained: the settings of the training.
        split: "train" are the images that the model was trained on, "test" others.
        data_dir: folder with the files; None is the user's cache folder.
        required_by: the field that needs the images.

    Raises:
        DataError: if a file is corrupt or missing.
    """
    spec = trained.spec if split == "train" else trained.spec.evaluated_as
    try:
        return load_images(spec, split, data_dir=data_dir, may_download=False)
    except UnavailableError as error:
        raise images_missing(error, spec.title, required_by) from error


def images_missing(error: UnavailableError, title: str, required_by: str) -> DataError:
    """The error for images that a metric needs and that are not on this machine."""
    return DataError(
        f"`{required_by}` needs the images of {title}, which are not complete in {error.folder}",
        "Set `data_dir` to their folder; a training downloads them.",
    )
