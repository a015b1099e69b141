"""Which images ``sample`` draws: of digits, of a number, with chosen seeds, or as frequent as in MNIST."""

import re
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from mnistdiff.cli import options
from mnistdiff.errors import SettingsError
from mnistdiff.settings import MAX_SEED

if TYPE_CHECKING:
    from mnistdiff.engine.inference.sampling import SampleSpec

MAX_IMAGES = 1_000_000


def parse_seeds(text: str | None) -> tuple[int, ...]:
    """``0-63,100``: ranges and single seeds, in the order given.

    Raises:
        typer.BadParameter: for anything else.
    """
    if text is None:
        return ()
    ranges: list[range] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*([0-9]{1,10})(?:-([0-9]{1,10}))?\s*", part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if not first <= last <= MAX_SEED:
            raise typer.BadParameter(f"{part!r} is no seed from 0 to {MAX_SEED}, and no range of them, as in 0-63.")
        ranges.append(range(first, last + 1))
    if sum(map(len, ranges)) > MAX_IMAGES:
        raise typer.BadParameter(f"{text!r} are more than {MAX_IMAGES:,} seeds.")
    return tuple(seed for each in ranges for seed in each)


Number = Annotated[str, typer.Option("--digits", metavar="NUMBER", help="The digits of a number instead, as a strip.")]
Seeds = Annotated[
    str | None,
    typer.Option(
        "--seeds",
        callback=parse_seeds,
        metavar="SEEDS",
        help="Draw each digit with these seeds, as in 0-63,100.",
        show_default=False,
    ),
]
Balance = Annotated[
    Literal["uniform", "mnist"],
    typer.Option("--balance", help="-n of each digit, or -n in all with digits as frequent as in MNIST."),
]


def wanted(parameters: dict[str, Any]) -> "list[SampleSpec]":
    """The images that the parameters of ``sample`` ask for, in their order.

    Raises:
        SettingsError: if --digits is no number, or the seeds run out of their range.
    """
    digit, digits, n, seeds, balance = (parameters[name] for name in ("digit", "digits", "n", "seeds", "balance"))
    if digits and not (digits.isdecimal() and digits.isascii()):
        raise SettingsError(f"--digits {digits!r} is not a number", "Use digits alone, as in --digits 2026.")

    from mnistdiff.engine.data.datasets import MNIST
    from mnistdiff.engine.data.stratified import stratified_labels
    from mnistdiff.engine.inference.sampling import SampleSpec, specs_for_labels, specs_for_number

    seed = options.new_seed() if parameters["seed"] is None else parameters["seed"]
    if digits:
        return specs_for_number(digits, n, seed)
    if seeds:
        return [SampleSpec(each, chosen) for each in digit for chosen in seeds]
    if balance == "mnist":
        drawn = specs_for_labels([0], n, seed)
        return [
            SampleSpec(int(each), r.seed)
            for each, r in zip(stratified_labels(n, MNIST.class_counts), drawn, strict=True)
        ]
    return specs_for_labels(digit, n, seed)
