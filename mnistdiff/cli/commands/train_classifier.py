"""``mnistdiff train-classifier``."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Never

import typer
from pydantic import AfterValidator, Field

from mnistdiff.cli import console, options
from mnistdiff.cli.output import refuse_existing
from mnistdiff.cli.progress import Meter, meter
from mnistdiff.cli.registry import flags_of, with_flags
from mnistdiff.conflicts import without_effect
from mnistdiff.engine.libraries import require
from mnistdiff.engine.storage import make_folder
from mnistdiff.errors import SettingsError
from mnistdiff.pictures import PictureSettings, path_of_pictures, require_dataset
from mnistdiff.setting_types import DATASETS, ClassifierName, Seed

if TYPE_CHECKING:
    from mnistdiff.engine.data.datasets import DatasetSpec
    from mnistdiff.engine.evaluation.classifier_card import ClassifierCard
    from mnistdiff.engine.evaluation.classifier_data import ClassifierData
    from mnistdiff.engine.progress import Work

EXAMPLES = """
mnistdiff train-classifier --architecture conv -o classifier_conv.safetensors
mnistdiff train-classifier --architecture residual --epochs 1 --seed 7 -o quick.safetensors --json
mnistdiff train-classifier --dataset fashion-mnist
mnistdiff train-classifier --dataset my-scans/ --holdout 0.2
"""

_HOLDOUT = 0.1
_Dataset = Annotated[
    str,
    options.typed(
        "--dataset",
        kind=Annotated[str, AfterValidator(require_dataset)],
        metavar="NAME|PATH",
        help_text="A data set, or a folder or file of pictures (default mnist).",
    ),
]
_Architecture = Annotated[
    ClassifierName | None,
    options.typed(
        "--architecture",
        kind=ClassifierName,
        help_text="A stack of convolutions, or residual blocks. Default: one of each, without -o.",
    ),
]
_Output = Annotated[
    Path | None,
    options.file(
        "--output",
        "-o",
        help="The safetensors file to write. Default, not for MNIST: where evaluate finds it, in the cache folder.",
    ),
]
_Holdout = Annotated[
    float | None,
    options.typed(
        "--holdout",
        kind=Annotated[float, Field(gt=0, le=0.5)],
        help_text=f"Share of pictures to test the classifier with (above 0 to 0.5; default {_HOLDOUT}).",
    ),
]
_Epochs = Annotated[
    int | None,
    options.typed(
        "--epochs",
        kind=Annotated[int, Field(ge=1, le=10_000)],
        help_text="Passes over the training images (1 to 10000). Default: 12 as for the bundled ones, more for few.",
    ),
]
_Seed = Annotated[
    int | None,
    options.typed(
        "--seed",
        kind=Seed,
        help_text="Seed of the training and of the held-out pictures. Default: that of the bundled classifier; 0.",
    ),
]


@dataclass(frozen=True)
class TrainClassifierOptions:
    """The options of the command.

    Raises:
        SettingsError: if two of them cannot act together.
    """

    dataset: _Dataset = "mnist"
    architecture: _Architecture = None
    output: _Output = None
    fit: Annotated[str | None, options.setting(PictureSettings, "fit")] = None
    invert: Annotated[str | None, options.setting(PictureSettings, "invert")] = None
    image_size: Annotated[str | None, options.setting(PictureSettings, "image_size")] = None
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Leave out pictures that cannot be read.")] = False
    holdout: _Holdout = None
    epochs: _Epochs = None
    seed: _Seed = None
    data_dir: options.DataDir = None
    force: options.Force = False
    json: options.Json = False
    quiet: options.Quiet = False

    def __post_init__(self) -> None:
        if self.output is not None and self.architecture is None:
            raise SettingsError("-o is one file, and --architecture is not given", "Add --architecture conv.")
        if self.path is not None:
            return
        for name, value in {**self.reading, "holdout": self.holdout}.items():
            if value:
                why = "it is for pictures" if name != "holdout" else "it has test images"
                raise without_effect(options.flag(name), f"--dataset {self.dataset}", why)

    @property
    def path(self) -> Path | None:
        """The path of pictures."""
        path = path_of_pictures(self.dataset)
        return None if path is None else Path(path)

    @property
    def reading(self) -> dict[str, object]:
        """How pictures are read, by field of ``PictureSettings``; None or False is the default."""
        return {name: getattr(self, name) for name in PictureSettings.model_fields}

    @property
    def architectures(self) -> tuple[ClassifierName, ...]:
        """Those of the classifiers to train."""
        return ("conv", "residual") if self.architecture is None else (self.architecture,)


def train_classifier_command(chosen: TrainClassifierOptions) -> None:
    """Train the reference classifiers of evaluate, on the CPU.

    They are trained on the training images of a data set, MNIST by default, and tested on its test images, as the two
    bundled ones were; of pictures a share is held out for that. evaluate takes them for the models of this data set.
    With OMP_NUM_THREADS=1 the same machine and PyTorch make bit-identical files.
    """
    require("torch")
    quiet = chosen.quiet or chosen.json
    if chosen.path is None:
        _targets(DATASETS[chosen.dataset], chosen)  # refused before images are loaded
    console.note("loading PyTorch and the images ...", quiet=quiet)
    from mnistdiff.engine.evaluation.reference_classifier import decode_classifier
    from mnistdiff.engine.storage import write_atomically

    with meter(counts_images=False, quiet=quiet) as shown:
        data, notices = _load(chosen, shown)
    for notice in notices:
        console.warn(with_flags(notice, flags_of("train-classifier")))
    for architecture, target in zip(chosen.architectures, _targets(data.spec, chosen), strict=True):
        with meter(counts_images=False, quiet=quiet) as shown:
            content = shown.follow(_training(data, architecture, chosen))
        make_folder(target.parent)
        write_atomically(target, content)
        card = decode_classifier(content).card
        if chosen.json:
            console.result_json(_values(target, content, card))
        else:
            console.result(str(target))
            console.note(_summary(content, card), quiet=quiet)


def _targets(spec: "DatasetSpec", chosen: TrainClassifierOptions) -> list[Path]:
    """The file of each classifier.

    Raises:
        SettingsError: if one exists, or has to be named.
    """
    from mnistdiff.engine.evaluation.classifier_card import kept_classifier

    if chosen.output is not None:
        refuse_existing(chosen.output, force=chosen.force)
        make_folder(chosen.output.parent)
        return [chosen.output]
    reference = spec.evaluated_as
    if reference.name == "mnist":
        raise SettingsError(
            f"models of {spec.title} are evaluated with the bundled classifiers: others need a file", "Name it with -o."
        )
    kept = [kept_classifier(reference, architecture) for architecture in chosen.architectures]
    targets = [path for path in kept if path is not None]
    if len(targets) < len(kept):
        raise SettingsError("this user has no cache folder", "Name a file with -o, and its --architecture.")
    for path in targets:
        refuse_existing(path, force=chosen.force, hint="Use --force to replace it, or -o FILE to keep both.")
    return targets


def _load(chosen: TrainClassifierOptions, shown: Meter) -> "tuple[ClassifierData, tuple[str, ...]]":
    """The images to train on and to test with, and notices about them."""
    from mnistdiff.engine.evaluation.classifier_data import ClassifierData

    if chosen.path is None:
        return ClassifierData.of_dataset(DATASETS[chosen.dataset], chosen.data_dir), ()
    from mnistdiff.engine.data.pictures.read import read_pictures

    given = {name: value for name, value in chosen.reading.items() if value is not None}
    prepared = shown.follow(read_pictures(chosen.path, PictureSettings.model_validate(given)))
    share, seed = chosen.holdout or _HOLDOUT, chosen.seed or 0
    return ClassifierData.of_pictures(prepared.pictures, prepared.data, share, seed=seed), prepared.notices


def _training(
    data: "ClassifierData", architecture: ClassifierName, chosen: TrainClassifierOptions
) -> "Work[Never, bytes]":
    """The training of one classifier."""
    from mnistdiff.engine.evaluation.train_reference_classifier import (
        Recipe,
        train_reference_classifier,
        usual_recipe,
    )

    usual = usual_recipe(architecture, len(data.training))
    epochs, seed = chosen.epochs or usual.epochs, usual.seed if chosen.seed is None else chosen.seed
    return train_reference_classifier(architecture, data, Recipe(epochs, seed))


def _values(output: Path, content: bytes, card: "ClassifierCard") -> dict[str, object]:
    """The file, the card and the accuracy, for JSON."""
    file = {"path": str(output), "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    return {**file, **card.model_dump(mode="json"), "test_accuracy": card.test_accuracy}


def _summary(content: bytes, card: "ClassifierCard") -> str:
    accuracy = f"{100 * card.test_accuracy:.2f} % of {card.num_test_images:,} test images right"
    return f"{card.architecture}, {card.epochs} epochs: {accuracy} ({console.size(len(content))})"
