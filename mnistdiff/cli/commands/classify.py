"""``mnistdiff classify``."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mnistdiff.cli import console, image_input, option_groups, options
from mnistdiff.cli.model_input import about, find_model, load_models
from mnistdiff.cli.option_groups import SamplingOptions, inference_settings
from mnistdiff.cli.progress import meter
from mnistdiff.setting_types import Evaluations, Seed

if TYPE_CHECKING:
    from mnistdiff.engine.inference.diffusion_classifier import ClassPosterior
    from mnistdiff.engine.inference.model import DiffusionModel

EXAMPLES = """
mnistdiff classify scan.png
mnistdiff classify inference_samples/digit_*.png --json
mnistdiff sample --digit 7 -o - | mnistdiff classify - --show
"""


_MOST_NAMES = 3
_Evaluations = Annotated[
    int | None,
    options.typed(
        "--evaluations",
        kind=Evaluations,
        help_text="Noise levels at which the classes are compared (>= 1; default 32): more are more exact.",
    ),
]


def classify_command(
    images: image_input.ImagePaths,
    evaluations: _Evaluations = None,
    checkpoint: options.Checkpoint = None,
    seed: Annotated[int, options.typed("--seed", kind=Seed, help_text="Seed of the noise (default 0).")] = 0,
    weights: option_groups.Weights = None,
    device: option_groups.Device = None,
    backend: option_groups.Backend = None,
    show: Annotated[bool, typer.Option("--show", help="Print the preprocessed images in the terminal.")] = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Classify images with the diffusion model.

    The model was not trained to classify: noisy versions of an image are predicted with the label of each class, and
    the better the prediction, the more probable the class. Prints path, digit and probability, with ? for the digit if
    all are about as probable.
    """
    sampling = SamplingOptions(weights=weights, machine=inference_settings(device, backend))
    scans = [image_input.read(path) for path in images]

    from mnistdiff.engine.inference.diffusion_classifier import class_posteriors

    file = find_model(checkpoint, sampling, task="classify")
    prepared = [image_input.prepare_digit(scan, file.settings.spec) for scan in scans]
    [(model, _)] = load_models(file, sampling, quiet=quiet or json)
    rest = list(zip([scan.name for scan in scans], prepared, strict=True))
    undecided: list[str] = []
    with meter(quiet=quiet or json) as shown:

        def take(posteriors: "Sequence[ClassPosterior]") -> None:
            """Print the results of the next images."""
            for posterior in posteriors:
                name, digit = rest.pop(0)
                if show:
                    shown.digits([digit.image])
                if posterior.is_undecided:
                    undecided.append(name)
                if json:
                    console.result_json(_to_dict(name, digit.notices, posterior, model))
                else:
                    label = "?" if posterior.is_undecided else model.settings.spec.class_names[posterior.label]
                    shown.result(f"{name}\t{label}\t{max(posterior.probabilities):.1%}")

        shown.follow(
            class_posteriors(model, [each.image for each in prepared], evaluations=evaluations, seed=seed), take
        )
    if undecided:
        console.warn(_warning(undecided))


def _to_dict(name: str, notices: Sequence[str], posterior: "ClassPosterior", model: "DiffusionModel") -> dict[str, Any]:
    """The result for one image, for JSON."""
    return {
        "path": name,
        **model.settings.spec.named(None if posterior.is_undecided else posterior.label),
        "probabilities": [round(p, 6) for p in posterior.probabilities],
        **about(model.info, *notices, *([_warning([name])] if posterior.is_undecided else [])),
    }


def _warning(names: list[str]) -> str:
    """The warning about images whose class the model cannot tell."""
    shown = ", ".join(names[:_MOST_NAMES]) + (f" and {len(names) - _MOST_NAMES} more" * (len(names) > _MOST_NAMES))
    return f"this model cannot tell the class of {shown}: all are about as probable"
