"""Which images ``sample`` makes: labels and seeds."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mnistdiff.cli import options
from mnistdiff.conflicts import refuse_beside, without_effect
from mnistdiff.engine.threads import import_numpy
from mnistdiff.errors import SettingsError
from mnistdiff.setting_types import MAX_SEED

if TYPE_CHECKING:
    from mnistdiff.engine.data.datasets import DatasetSpec
    from mnistdiff.engine.inference.sampling import SampleSpec

MAX_IMAGES = 1_000_000


@dataclass(frozen=True)
class SeedList:
    """Seeds, in the order given."""

    seeds: tuple[int, ...]

    @classmethod
    def parse(cls, text: str) -> "SeedList":
        """Read ``0-63,100``: ranges and single seeds.

        Raises:
            typer.BadParameter: for anything else.
        """
        ranges: list[range] = []
        for part in text.split(","):
            match = re.fullmatch(r"\s*([0-9]{1,10})(?:-([0-9]{1,10}))?\s*", part)
            first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
            if not first <= last <= MAX_SEED:
                raise typer.BadParameter(f"{part!r} is no seed from 0 to {MAX_SEED}, and no range of them, as in 0-63.")
            ranges.append(range(first, last + 1))
        if sum(map(len, ranges)) > MAX_IMAGES:
            raise typer.BadParameter(f"{text!r} are more than {MAX_IMAGES:,} seeds.")
        return cls(tuple(seed for each in ranges for seed in each))


Number = Annotated[
    str | None, typer.Option("--digits", metavar="NUMBER", help="The digits of a number instead, as a strip.")
]
Seeds = Annotated[
    SeedList | None,
    typer.Option("--seeds", parser=SeedList.parse, metavar="SEEDS", help="Seeds for each digit, as in 0-63,100."),
]
BalanceName = Literal["uniform", "mnist"]
Balance = Annotated[
    BalanceName | None,
    options.typed(
        "--balance",
        kind=BalanceName,
        help_text="-n images of each digit, or -n in all with digits as frequent as in MNIST (default uniform).",
    ),
]


def parse_label(text: str, spec: "DatasetSpec", flag: str) -> int:
    """The label of a class by its name.

    Args:
        text: the name.
        spec: of the data set that the model was trained on.
        flag: the option that has the name.

    Raises:
        typer.BadParameter: if there is no such class.
    """
    try:
        return spec.label_of(text.strip())
    except ValueError as error:
        raise typer.BadParameter(f"{error}.", param_hint=flag) from error


def parse_labels(digits: Sequence[str] | None, classes: Sequence[str] | None, spec: "DatasetSpec") -> list[int]:
    """The labels that ``--digit`` and ``--class`` name, each once, in the order given; all if both were left out.

    Args:
        digits: ``7``, ``0-9`` or ``1,3,5-7``.
        classes: ``sneaker``, ``A-F`` or ``bag,coat``. A name that has a comma or a dash in it is one name.
        spec: of the data set that the model was trained on.

    Raises:
        typer.BadParameter: if there is no such class, a range has no class, or the classes are not digits.
    """
    if digits and not spec.has_digits:
        instead = f"--class {digits[0]}" if digits[0] in spec.class_names else f"--class {spec.class_names[0]}"
        raise typer.BadParameter(
            f"the classes of {spec.title} are not the digits: name them, as in {instead}.", param_hint="--digit"
        )
    flagged = [("--digit", text) for text in digits or ()] + [("--class", text) for text in classes or ()]
    labels = [label for flag, text in flagged for label in _labels_in(text, spec, flag)]
    return list(dict.fromkeys(labels)) or [*range(spec.num_classes)]


def _labels_in(text: str, spec: "DatasetSpec", flag: str) -> list[int]:
    """The labels of one value: of a name, else of a list of names and ranges."""
    if _names_class(text, spec):
        return [parse_label(text, spec, flag)]
    return [label for part in text.split(",") for label in _range(part, spec, flag)]


def _range(part: str, spec: "DatasetSpec", flag: str) -> Sequence[int]:
    """The labels of a name, or of two names with a dash between them."""
    ends = [(part[:place], part[place + 1 :]) for place, character in enumerate(part) if character == "-"]
    first, last = next((pair for pair in ends if all(_names_class(end, spec) for end in pair)), (part, part))
    if _names_class(part, spec) or first is last:
        return [parse_label(part, spec, flag)]
    found = range(parse_label(first, spec, flag), parse_label(last, spec, flag) + 1)
    if not found:
        raise typer.BadParameter(f"{part!r} has no class.", param_hint=flag)
    return found


def _names_class(text: str, spec: "DatasetSpec") -> bool:
    try:
        spec.label_of(text.strip())
    except ValueError:
        return False
    return True


@dataclass(frozen=True)
class Selection:
    """The options of ``sample`` that name images, each None if it was left out.

    Attributes:
        new_seed: what is taken if no seed is given.

    Raises:
        SettingsError: if two of them cannot act together, or ``digits`` is not a number.
    """

    digit: Sequence[str] | None
    classes: Sequence[str] | None
    digits: str | None
    n: int | None
    seed: int | None
    seeds: SeedList | None
    balance: BalanceName | None
    new_seed: int = field(default_factory=lambda: options.new_seed())

    def __post_init__(self) -> None:
        if self.digits is not None:
            if not (self.digits.isdecimal() and self.digits.isascii()):
                raise SettingsError(f"--digits {self.digits!r} is not a number", "Use digits, as in --digits 2026.")
            refuse_beside("--digits", "a number has its own digits", {"--digit": self.digit, "--class": self.classes})
            if self.balance is not None:
                raise without_effect(f"--balance {self.balance}", "--digits", "a number has its own digits")
            refuse_beside("--digits", "the digits of a number have the seeds from --seed on", {"--seeds": self.seeds})
        if self.balance == "mnist":
            given = {"--digit": self.digit, "--class": self.classes, "--seeds": self.seeds}
            refuse_beside("--balance mnist", "it samples -n images of all classes, from --seed on", given)
        if self.seeds is not None:
            refuse_beside("--seeds", "--seeds names every image", {"--seed": self.seed, "--n": self.n})

    @property
    def first_seed(self) -> int:
        """The seed of the first image."""
        if self.seeds is not None:
            return self.seeds.seeds[0]
        return self.new_seed if self.seed is None else self.seed

    def specs(self, spec: "DatasetSpec") -> "list[SampleSpec]":
        """The images, for a model of this data set.

        Raises:
            typer.BadParameter: if the data set lacks such a class.
        SettingsError: if a seed would exceed its range.
        """
        labels = parse_labels(self.digit, self.classes, spec)
        import_numpy()

        from mnistdiff.engine.inference.sampling import SampleSpec, specs_for_labels, specs_in_order

        count = self.n or 1
        if self.digits:
            number = [parse_label(digit, spec, "--digits") for digit in self.digits]
            return specs_in_order(number * count, self.first_seed)
        if self.balance == "mnist":
            from mnistdiff.engine.data.stratified import stratified_labels

            balanced = stratified_labels(count, spec.evaluated_as.class_counts).tolist()
            return specs_in_order(balanced, self.first_seed)
        if self.seeds is not None:
            return [SampleSpec(label, seed) for label in labels for seed in self.seeds.seeds]
        return specs_for_labels(labels, count, self.first_seed)
