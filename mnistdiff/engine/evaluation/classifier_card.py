"""What is known of a reference classifier without its weights: its card, its data set, where its file is kept."""

import hashlib
import json
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from mnistdiff.engine.cache import cache_folder
from mnistdiff.engine.data.datasets import DatasetSpec
from mnistdiff.pictures import MAX_CLASSES
from mnistdiff.setting_types import ClassifierName, Seed, Sha256

_Number = Annotated[int, Field(ge=0, le=10**9)]


class TrainedOn(BaseModel):
    """The data set that a classifier was trained on.

    Attributes:
        dataset: its name, or that of the folder or file of pictures.
        digest: as ``digest_of_dataset`` computes it.
        image_size: height and width in pixels.
        holdout: share of the images that were held out to test the classifier; 0 if the data set has test images.
        holdout_seed: that determines which, by ``engine.data.holdout.hold_out``.
    """

    model_config = ConfigDict(frozen=True)

    dataset: Annotated[str, Field(min_length=1, max_length=255)]
    digest: Sha256
    image_size: Annotated[int, Field(ge=8, le=64)]
    holdout: Annotated[float, Field(ge=0, le=0.5)] = 0
    holdout_seed: Seed = 0


class ClassifierCard(BaseModel):
    """How a classifier was trained, and what real images score.

    Attributes:
        architecture: a name in ``classifier.ARCHITECTURES``.
        epochs: passes over the training images.
        num_train_images: that it was trained on, and its ``reference`` fitted to; class_counts: of each class.
        test_errors: misclassified ones of the ``num_test_images``, on which it was neither trained nor selected.
        fcd_real: by n, the Fréchet distance of n real test images to the training images: see
            ``reference_stats.fcd_of_test_images``. In the file its key is ``floors``.
        torch, threads: of the training: its weights are bit-exact only for the same ones.
        data: the data set that it was trained on; None is MNIST, as for the bundled classifiers.
    """

    model_config = ConfigDict(frozen=True, validate_by_name=True)

    format_version: Literal[1] = 1
    architecture: ClassifierName
    seed: Seed
    epochs: _Number
    num_train_images: _Number
    class_counts: Annotated[tuple[_Number, ...], Field(min_length=1, max_length=MAX_CLASSES)]
    test_errors: _Number
    num_test_images: Annotated[_Number, Field(ge=1)]
    fcd_real: dict[int, Annotated[float, Field(ge=0, allow_inf_nan=False)]] = Field(alias="floors")
    torch: str
    threads: int
    data: TrainedOn | None = None

    @property
    def image_size(self) -> int:
        """Height and width of the images in pixels."""
        return 28 if self.data is None else self.data.image_size

    @property
    def test_accuracy(self) -> float:
        """Share of the test images that are classified correctly."""
        return 1 - self.test_errors / self.num_test_images


def digest_of_dataset(spec: DatasetSpec) -> str:
    """A SHA-256 that ties classifiers to a data set: two with the same digest have the same images and classes.

    That of pictures is the digest of the images; of other data sets it is made of the digests by which their files are
    verified, so that it is known without them.
    """
    if spec.pictures is not None:
        return spec.pictures.digest
    files = [[file.name, file.sha256 or file.gz_sha256 or file.md5] for file in spec.idx_files]
    identity = [spec.name, spec.image_size, spec.class_names, spec.class_counts, files]
    return hashlib.sha256(json.dumps(identity).encode()).hexdigest()


def kept_classifier(spec: DatasetSpec, architecture: ClassifierName) -> Path | None:
    """Where a classifier of a data set is kept, in the user's cache folder; None if there is no such folder."""
    folder = cache_folder()
    if folder is None:
        return None
    return folder / "classifiers" / digest_of_dataset(spec)[:32] / f"{architecture}.safetensors"
