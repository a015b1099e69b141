"""``mnistdiff classify``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic import Field

from mnistdiff.cli import console, options, pictures
from mnistdiff.cli.drawing import SamplingOptions, about, draws
from mnistdiff.cli.progress import meter

if TYPE_CHECKING:
    from mnistdiff.engine.checkpoint.model_info import ModelInfo
    from mnistdiff.engine.data.preprocess import PreparedDigit
    from mnistdiff.engine.inference.diffusion_classifier import ClassPosterior

EXAMPLES = """Examples:

mnistdiff classify scan.png

mnistdiff classify inference_samples/digit_*.png --json

mnistdiff sample --digit 7 -o - | mnistdiff classify - --show"""


_MOST_NAMES = 3


@draws(after="seed", only=("weights",))
def classify_command(
    sources: Annotated[
        list[Path],
        typer.Argument(
            metavar="PICTURE",
            readable=False,
            help="Pictures of one digit each (PNG, JPEG, WebP, GIF, TIFF, BMP); - is stdin.",
        ),
    ],
    evaluations: Annotated[
        Any,
        typer.Option(
            "--evaluations",
            parser=options.checked(Annotated[int, Field(ge=1, le=10_000)]),
            metavar="INT",
            help="Noise levels at which the ten digits are compared (default 32): more are more exact.",
            show_default=False,
        ),
    ] = None,
    checkpoint: options.Checkpoint = None,
    seed: Annotated[
        Any, typer.Option("--seed", parser=options.checked(options.Seed), metavar="INT", help="Seed of the noise.")
    ] = 0,
    show: Annotated[
        bool, typer.Option("--show", help="Draw the picture in the terminal as the model sees it.")
    ] = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    *,
    how: SamplingOptions,
) -> None:
    """Read digits: which one explains a picture best, by the model that draws them.

    It was never trained to read. Each digit's label is tried on noisy versions of the picture; the better the model
    predicts the picture from them, the likelier the digit. Prints path, digit and probability, with ? for the digit
    where the model cannot tell.
    """
    scans = [pictures.read(path) for path in sources]

    from mnistdiff.engine.inference.diffusion_classifier import class_posteriors

    prepared = [pictures.digit(scan) for scan in scans]
    model, _ = how.load(checkpoint, quiet=quiet or json)
    images = [digit.image for digit in prepared]
    told = iter(zip(scans, prepared, strict=True))
    undecided: list[str] = []
    with meter(label="reading", quiet=quiet or json) as shown:
        for progress in class_posteriors(model, images, evaluations=evaluations, seed=seed):
            shown.advance(progress.done, total=progress.total, images=len(progress.results))
            for posterior in progress.results:
                scan, seen = next(told)
                if show:
                    shown.digits([seen.image])
                if posterior.is_undecided:
                    undecided.append(scan.name)
                if json:
                    console.result_json(_reading(scan.name, seen, posterior, model.info))
                else:
                    digit = "?" if posterior.is_undecided else posterior.label
                    shown.result(f"{scan.name}\t{digit}\t{max(posterior.probabilities):.1%}")
    if undecided:
        console.warn(_undecided(undecided))


def _reading(name: str, seen: "PreparedDigit", posterior: "ClassPosterior", subject: "ModelInfo") -> dict[str, Any]:
    """What was read of one picture, for JSON."""
    notices = [*seen.notices, *([_undecided([name])] if posterior.is_undecided else [])]
    return {
        "path": name,
        "digit": None if posterior.is_undecided else posterior.label,
        "probabilities": [round(p, 6) for p in posterior.probabilities],
        **about(subject, *notices),
    }


def _undecided(names: list[str]) -> str:
    """What is said of pictures, by name, of which the model cannot tell the digit."""
    shown = ", ".join(names[:_MOST_NAMES]) + (f" and {len(names) - _MOST_NAMES} more" * (len(names) > _MOST_NAMES))
    return f"this model cannot tell which digit is in {shown}: all are about as probable"
