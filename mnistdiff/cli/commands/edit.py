"""``mnistdiff edit``."""

from typing import Annotated, Any

import typer
from pydantic import Field

from mnistdiff.cli import options, pictures
from mnistdiff.cli.delivery import Delivery, delivers
from mnistdiff.cli.drawing import SamplingOptions, draws

EXAMPLES = """Examples:

mnistdiff edit scan.png --digit 4 -o four.png

mnistdiff edit photo.jpg --digit 0-9 --strength 0.7 --seed 1 -o in_my_hand.png

mnistdiff sample --digit 9 --seed 3 -o - | mnistdiff edit - --digit 4 --gif from_9_to_4.gif"""

_GUIDANCE = 2.0
"""The picture pulls towards the digit that it shows, so the label has to pull harder than in ``sample``."""

_Strength = Annotated[
    Any,
    typer.Option(
        "--strength",
        parser=options.checked(Annotated[float, Field(gt=0, le=1)]),
        metavar="FLOAT",
        help="How much of the picture is given up: near 0 nothing, 1 all of it.",
    ),
]


@delivers(after="seed", default="edited.png")
@draws(after="seed", guidance=_GUIDANCE)
def edit_command(
    context: typer.Context,
    picture: pictures.Scan,
    digit: options.Digits = None,
    strength: _Strength = 0.8,
    n: options.Count = 1,
    checkpoint: options.Checkpoint = None,
    seed: options.SampleSeed = None,
    *,
    how: SamplingOptions,
    delivery: Delivery,
) -> None:
    """Draw another digit in the hand of a picture, or the same digit cleanly.

    The picture, dark on light or light on dark, is brought to the size and place that MNIST gives digits; noise covers
    as much of it as --strength says, and the digit is drawn out of that.
    """
    delivery.check()
    scan = pictures.read(picture)

    from mnistdiff.engine.inference.editing import SDEdit
    from mnistdiff.engine.inference.sampling import specs_for_labels

    prepared = pictures.digit(scan)
    edit = SDEdit(image=prepared.image, strength=strength)
    first = options.new_seed() if seed is None else seed
    delivery.expect(specs_for_labels(context.params["digit"], n, first), process=edit)
    delivery.draw(*how.load(checkpoint, note=f", --seed {first}", quiet=delivery.quiet), edit, notices=prepared.notices)
