"""How far an evaluation has got."""

from dataclasses import dataclass


@dataclass(frozen=True)
class EvaluationProgress:
    """A piece of work is done.

    Attributes:
        stage: what is being done, for people; each stage counts for itself.
        done: pieces done in this stage; total: in all of it.
        images: that this piece has drawn, or shown to a classifier.
    """

    stage: str
    done: int
    total: int
    images: int = 0
