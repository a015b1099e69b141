"""``mnistdiff train-classifier``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer
from pydantic import Field

from mnistdiff.cli import console, options
from mnistdiff.cli.progress import meter
from mnistdiff.engine.libraries import require
from mnistdiff.engine.runs.links import require_inside_the_run
from mnistdiff.errors import SettingsError, StorageError
from mnistdiff.settings import ClassifierName, Seed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mnistdiff.engine.evaluation.classifier import ClassifierStep
    from mnistdiff.engine.evaluation.train_reference_classifier import JudgeMade

EXAMPLES = """Examples:

mnistdiff train-classifier --architecture conv -o classifier_conv.safetensors

mnistdiff train-classifier --architecture residual --epochs 1 --seed 7 -o quick.safetensors --json"""

_ARCHITECTURES = get_args(ClassifierName)


def train_classifier_command(
    architecture: Annotated[
        Any,
        typer.Option(
            parser=options.checked(ClassifierName),
            metavar="|".join(_ARCHITECTURES),
            autocompletion=lambda: list(_ARCHITECTURES),
            help="A plain stack of convolutions, or residual blocks.",
        ),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="The safetensors file to write.")],
    epochs: Annotated[
        Any,
        typer.Option(
            parser=options.checked(Annotated[int, Field(ge=1, le=1_000)]),
            metavar="INT",
            help="How often to see each image (at least 1). Default: as the classifier that comes with mnistdiff.",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[
        Any,
        typer.Option(
            parser=options.checked(Seed),
            metavar="INT",
            help="Seed of every random number. Default: that of the classifier that comes with mnistdiff.",
            show_default=False,
        ),
    ] = None,
    data_dir: options.DataDir = None,
    force: options.Force = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Train a classifier of digits on the 60,000 images of MNIST, on the CPU, and test it on the other 10,000.

    This is how the two classifiers that evaluate judges by were made. With OMP_NUM_THREADS=1 the same machine and
    PyTorch make them again, to the bit.
    """
    require("torch")
    _claim(output, force=force)
    console.note("loading PyTorch and the images ...", quiet=quiet or json)
    from mnistdiff.engine.data.datasets import MNIST
    from mnistdiff.engine.data.load import load_images
    from mnistdiff.engine.evaluation.train_reference_classifier import RECIPES, Recipe, make_judge
    from mnistdiff.engine.storage import write_atomically

    usual = RECIPES[architecture]
    recipe = Recipe(usual.epochs if epochs is None else epochs, usual.seed if seed is None else seed)
    training, test = (load_images(MNIST, split, data_dir=data_dir) for split in ("train", "test"))
    made = _show(make_judge(architecture, training, test, recipe), quiet=quiet or json)
    write_atomically(output, made.content)
    _conclude(output, made, as_json=json, quiet=quiet)


def _claim(output: Path, *, force: bool) -> None:
    """Refuse, before minutes of work, what could not be written after them."""
    is_other = output.exists() and not output.is_file()  # a folder or a device
    if is_other or (output.exists() and not force):
        remedy = "Name a file." if is_other else "Use --force to replace it, or another -o."
        raise SettingsError(f"{output} is already there", remedy)
    require_inside_the_run(output)
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise StorageError(f"{output.parent} is not a folder", "Choose another -o.") from error


def _show(steps: "Iterable[ClassifierStep | JudgeMade]", *, quiet: bool) -> "JudgeMade":
    """Show a training as it happens, and return the judge it ends with."""
    from mnistdiff.engine.evaluation.classifier import ClassifierStep

    with meter(label="step", quiet=quiet) as shown:
        for step in steps:
            if not isinstance(step, ClassifierStep):
                return step
            shown.advance(step.step, f"loss {step.loss:.4f}", images=step.batch_size, total=step.total_steps)
            if step.step == step.total_steps:
                shown.say("trained; measuring it on the training and the test images ...")
    raise AssertionError("a training ends with a judge")


def _conclude(output: Path, made: "JudgeMade", *, as_json: bool, quiet: bool) -> None:
    """The file on stdout, and what it is worth."""
    import hashlib

    facts = made.facts
    accuracy = 1 - facts.test_errors / facts.num_test_images
    if as_json:
        values = {**facts.model_dump(mode="json"), "test_accuracy": accuracy}
        file = {"path": str(output), "bytes": len(made.content), "sha256": hashlib.sha256(made.content).hexdigest()}
        console.result_json({**file, **values})
        return
    console.result(str(output))
    right = f"{100 * accuracy:.2f} % of {facts.num_test_images:,} test images right"
    console.note(
        f"{facts.architecture}, {facts.epochs} epochs: {right} ({console.size(len(made.content))})", quiet=quiet
    )
