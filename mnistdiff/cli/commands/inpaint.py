"""``mnistdiff inpaint``."""

from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import Field

from mnistdiff.cli import options, pictures
from mnistdiff.cli.delivery import Delivery, delivers
from mnistdiff.cli.drawing import SamplingOptions, draws

EXAMPLES = """Examples:

mnistdiff inpaint half.png --mask right --digit 8 -o whole.png

mnistdiff inpaint digit_3_1.png --mask top --digit 0-9 --n 4 -o completed.png

mnistdiff inpaint torn.png --mask mask.png --digit 5 --steps 10 --rounds 10 -o mended.png"""

_Mask = Annotated[
    str,
    typer.Option(
        "--mask",
        metavar="SIDE|FILE",
        help="What is missing: the left, right, top or bottom half, or a picture that is white there.",
    ),
]
_Rounds = Annotated[
    Any,
    typer.Option(
        "--rounds",
        parser=options.checked(Annotated[int, Field(ge=1, le=100)]),
        metavar="INT",
        help="How often each step is taken, so that old and new come to fit (1 to 100).",
    ),
]


@delivers(after="seed", default="completed.png")
@draws(
    after="seed",
    only=("guidance", "guidance_interval", "steps", "spacing", "weights"),
    steps_help="Steps from noise to image, each but the last taken --rounds times",
)
def inpaint_command(
    context: typer.Context,
    picture: pictures.Scan,
    mask: _Mask,
    digit: options.Digits = None,
    rounds: _Rounds = 5,
    n: options.Count = 1,
    checkpoint: options.Checkpoint = None,
    seed: options.SampleSeed = None,
    *,
    how: SamplingOptions,
    delivery: Delivery,
) -> None:
    """Draw what is missing of a picture, as part of the digit asked for; what is there stays to the bit.

    The picture is used whole, as 28x28 pixels, light on dark. RePaint (Lugmayr et al. 2022).
    """
    delivery.check()
    scan = pictures.read(picture)

    from mnistdiff.engine.data.preprocess import marked, part
    from mnistdiff.engine.inference.editing import HALVES, RePaint, half
    from mnistdiff.engine.inference.sampling import specs_for_labels

    missing = half(mask) if mask in HALVES else marked(pictures.read(Path(mask)).photograph())
    inpaint = RePaint(image=part(scan.photograph(), missing), missing=missing, resample_steps=rounds)
    first = options.new_seed() if seed is None else seed
    delivery.expect(specs_for_labels(context.params["digit"], n, first))
    delivery.draw(*how.load(checkpoint, note=f", --seed {first}", quiet=delivery.quiet), inpaint)
