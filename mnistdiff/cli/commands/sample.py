"""``mnistdiff sample``."""

import typer

from mnistdiff.cli import options
from mnistdiff.cli.conflicts import is_typed
from mnistdiff.cli.delivery import Delivery, delivers
from mnistdiff.cli.drawing import SamplingOptions, draws
from mnistdiff.cli.labelled_set import Format, set_path, write_set
from mnistdiff.cli.output import DEFAULT_FOLDER
from mnistdiff.cli.wanted import Balance, Number, Seeds, wanted

EXAMPLES = """Examples:

mnistdiff sample --digit 7 --n 16

mnistdiff sample --digit 0-9 --n 4 --seed 1 --guidance 3 -o drawn/

mnistdiff sample --digits 2026 --show -o year.png

mnistdiff sample --digit 3,8 --gif born.gif --film born.png

mnistdiff sample --digit 7 -o - > seven.png

mnistdiff sample --format npz --balance mnist --n 1000 -o drawn.npz"""


@delivers(after="format", default=DEFAULT_FOLDER)
@draws(after="balance")
def sample_command(
    context: typer.Context,
    digit: options.Digits = None,
    digits: Number = "",
    n: options.Count = 1,
    checkpoint: options.Checkpoint = None,
    seed: options.SampleSeed = None,
    seeds: Seeds = None,
    balance: Balance = "uniform",
    format: Format = "png",
    *,
    how: SamplingOptions,
    delivery: Delivery,
) -> None:
    """Draw digits from a trained model, and print the path of each picture.

    An image is determined by its digit and its seed: image k of --seed S is the one that --seed S+k draws alone.
    """
    if format != "png":
        path = set_path(context.params, is_named=is_typed(context, "output"))
        write_set(path, wanted(context.params), context.params, how, quiet=delivery.quiet)
        return
    delivery.check()
    images = wanted(context.params)
    delivery.expect(images, columns=len(digits))
    delivery.draw(*how.load(checkpoint, note=f", --seed {images[0].seed}", quiet=delivery.quiet))
