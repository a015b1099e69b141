"""``mnistdiff train-classifier``."""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from mnistdiff.cli import console, options
from mnistdiff.cli.output import refuse_existing
from mnistdiff.cli.progress import meter
from mnistdiff.engine.libraries import require
from mnistdiff.engine.storage import make_folder
from mnistdiff.setting_types import ClassifierName, Seed

if TYPE_CHECKING:
    from mnistdiff.engine.evaluation.reference_classifier import ClassifierCard

EXAMPLES = """
mnistdiff train-classifier --architecture conv -o classifier_conv.safetensors
mnistdiff train-classifier --architecture residual --epochs 1 --seed 7 -o quick.safetensors --json
"""

_Architecture = Annotated[
    ClassifierName,
    options.typed("--architecture", kind=ClassifierName, help_text="A stack of convolutions, or residual blocks."),
]
_Output = Annotated[Path, options.file("--output", "-o", help="The safetensors file to write.")]
_Epochs = Annotated[
    int | None,
    options.typed(
        "--epochs",
        kind=Annotated[int, Field(ge=1, le=1_000)],
        help_text="Passes over the training images (1 to 1000). Default: that of the bundled classifier.",
    ),
]
_Seed = Annotated[
    int | None,
    options.typed("--seed", kind=Seed, help_text="Seed of the training. Default: that of the bundled classifier."),
]


def train_classifier_command(
    architecture: _Architecture,
    output: _Output,
    epochs: _Epochs = None,
    seed: _Seed = None,
    data_dir: options.DataDir = None,
    force: options.Force = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Train a reference classifier of evaluate, on the CPU.

    It is trained on the 60,000 training images of MNIST and tested on the other 10,000, as the two bundled ones were.
    With OMP_NUM_THREADS=1 the same machine and PyTorch make bit-identical files.
    """
    require("torch")
    refuse_existing(output, force=force)
    make_folder(output.parent)
    console.note("loading PyTorch and the images ...", quiet=quiet or json)
    from mnistdiff.engine.data.datasets import MNIST
    from mnistdiff.engine.data.load import load_images
    from mnistdiff.engine.evaluation.reference_classifier import decode_classifier
    from mnistdiff.engine.evaluation.train_reference_classifier import RECIPES, Recipe, train_reference_classifier
    from mnistdiff.engine.storage import write_atomically

    usual = RECIPES[architecture]
    recipe = Recipe(usual.epochs if epochs is None else epochs, usual.seed if seed is None else seed)
    training, test = load_images(MNIST, "train", data_dir=data_dir), load_images(MNIST, "test", data_dir=data_dir)
    work = train_reference_classifier(architecture, training, test, recipe, num_classes=MNIST.num_classes)
    with meter(quiet=quiet or json) as shown:
        content = shown.follow(work)
    write_atomically(output, content)
    card = decode_classifier(content).card
    if json:
        console.result_json(_values(output, content, card))
        return
    console.result(str(output))
    console.note(_summary(content, card), quiet=quiet)


def _values(output: Path, content: bytes, card: "ClassifierCard") -> dict[str, object]:
    """The file, the card and the accuracy, for JSON."""
    file = {"path": str(output), "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    return {**file, **card.model_dump(mode="json"), "test_accuracy": card.test_accuracy}


def _summary(content: bytes, card: "ClassifierCard") -> str:
    accuracy = f"{100 * card.test_accuracy:.2f} % of {card.num_test_images:,} test images right"
    return f"{card.architecture}, {card.epochs} epochs: {accuracy} ({console.size(len(content))})"
