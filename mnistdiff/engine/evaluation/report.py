"""What an evaluation found: plain frozen values, ready for a table or for JSON."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import torch

from mnistdiff import __version__
from mnistdiff.engine.checkpoint.model_info import ModelInfo
from mnistdiff.engine.evaluation.cas import Usefulness
from mnistdiff.engine.evaluation.memorization import Originality
from mnistdiff.engine.evaluation.metrics import PRDC, BinomialProportion
from mnistdiff.errors import BelowThresholdError
from mnistdiff.settings import SampleSettings


@dataclass(frozen=True)
class Drawn:
    """How the images came about.

    Attributes:
        settings: of the sampler.
        seed: of the first image; each next one has the next.
        seconds: that drawing took; no part of what makes two reports equal.
    """

    settings: SampleSettings
    seed: int
    seconds: float = field(compare=False)


@dataclass(frozen=True)
class Verdict:
    """What one judge says of the images, and beside it what it says of real ones.

    Attributes:
        judge: its name; sha256: of its file, since no number here compares with that of another judge.
        accuracy: images taken for the digit that was asked for.
        ceiling: the same for the real test images.
        accuracy_by_digit: for each digit that was asked for.
        confusion: counts; row = digit asked for, column = digit seen.
        fcd: Fréchet classifier distance to the training set, on the judge's features.
        fcd_floor: that of as many real test images; None if unknown.
        manifold: precision, recall, density and coverage against real test images; None if those are not here.
        manifold_control: the same for real training images.
        num_real: real test images that the last three were measured with.
    """

    judge: str
    sha256: str
    accuracy: BinomialProportion
    ceiling: BinomialProportion
    accuracy_by_digit: Mapping[int, BinomialProportion]
    confusion: tuple[tuple[int, ...], ...]
    fcd: float
    fcd_floor: float | None
    manifold: PRDC | None
    manifold_control: PRDC | None
    num_real: int

    @property
    def fcd_ratio(self) -> float | None:
        """The distance over its floor: 1 for images as good as real ones."""
        return self.fcd / self.fcd_floor if self.fcd_floor else None

    @property
    def lowest(self) -> tuple[int, BinomialProportion]:
        """The digit that is drawn worst, and its accuracy."""
        return min(self.accuracy_by_digit.items(), key=lambda item: item[1].share)

    @property
    def confusions(self) -> list[tuple[int, int, int]]:
        """(digit asked for, digit seen, count) of all mistakes, the most frequent first."""
        rows = enumerate(self.confusion)
        mistakes = [(d, seen, n) for d, row in rows for seen, n in enumerate(row) if n and seen != d]
        return sorted(mistakes, key=lambda mistake: -mistake[2])

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        lowest, _ = self.lowest
        return {
            "sha256": self.sha256,
            "accuracy": proportion_to_dict(self.accuracy),
            "accuracy_of_test_images": proportion_to_dict(self.ceiling),
            "accuracy_by_digit": {str(d): proportion_to_dict(p) for d, p in self.accuracy_by_digit.items()},
            "lowest_digit": lowest,
            "confusion": [list(row) for row in self.confusion],
            "fcd": self.fcd,
            "fcd_floor": self.fcd_floor,
            "fcd_ratio": self.fcd_ratio,
            "manifold": asdict(self.manifold) if self.manifold else None,
            "manifold_of_training_images": asdict(self.manifold_control) if self.manifold_control else None,
            "num_test_images": self.num_real,
        }


@dataclass(frozen=True)
class Evaluation:
    """The whole report. Equal for equal images, whatever the time they took.

    Attributes:
        num_images: that were measured.
        verdicts: one of each judge.
        notices: sentences for the user: what was left out, and why.
        drawn: how the images came about, if they were drawn here.
        subject: which model drew them, if it was told.
        usefulness: what a classifier learns from them, if asked for.
        originality: their nearest training images, if asked for.
    """

    num_images: int
    verdicts: tuple[Verdict, ...]
    notices: tuple[str, ...] = ()
    drawn: Drawn | None = None
    subject: ModelInfo | None = None
    usefulness: Usefulness | None = None
    originality: Originality | None = None

    @property
    def images_per_second(self) -> float | None:
        """How fast they were drawn."""
        return self.num_images / self.drawn.seconds if self.drawn and self.drawn.seconds > 0 else None

    def require(self, *, min_accuracy: float | None = None, max_fcd: float | None = None) -> None:
        """Hold the images to a standard, under the judge that thinks worse of them.

        Args:
            min_accuracy: in percent, 0 ... 100.
            max_fcd: at least 0.

        Raises:
            BelowThresholdError: naming what was missed, by how much.
        """
        missed = []
        least = min(self.verdicts, key=lambda verdict: verdict.accuracy.share)
        # Multiplied before it is divided: 9,950 of 10,000 are 99.5 %, exactly.
        percent = 100 * least.accuracy.hits / least.accuracy.total
        if min_accuracy is not None and percent < min_accuracy:
            missed.append(f"accuracy {percent:.2f} % ({least.judge}) is less than {min_accuracy:g} %")
        most = max(self.verdicts, key=lambda verdict: verdict.fcd)
        if max_fcd is not None and most.fcd > max_fcd:
            missed.append(f"fcd {most.fcd:.4g} ({most.judge}) is more than {max_fcd:g}")
        if missed:
            raise BelowThresholdError(" and ".join(missed))

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        drawn, rate = self.drawn, self.images_per_second
        return {
            "model": self.subject.to_dict() if self.subject else None,
            "sampling": {**drawn.settings.model_dump(mode="json"), "seed": drawn.seed} if drawn else None,
            "num_images": self.num_images,
            "judges": {verdict.judge: verdict.to_dict() for verdict in self.verdicts},
            "cas": self.usefulness.to_dict() if self.usefulness else None,
            "memorisation": self.originality.to_dict() if self.originality else None,
            "seconds": round(drawn.seconds, 3) if drawn else None,
            "images_per_second": round(rate, 1) if rate else None,
            "versions": {"mnistdiff": __version__, "torch": str(torch.__version__)},
            "notices": [*(self.subject.notices if self.subject else ()), *self.notices],
        }


def proportion_to_dict(proportion: BinomialProportion) -> dict[str, Any]:
    """Plain values, for JSON."""
    low, high = proportion.interval
    return {"hits": proportion.hits, "total": proportion.total, "share": proportion.share, "low": low, "high": high}
