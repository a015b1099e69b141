"""Several evaluations side by side, as a picture."""

from collections.abc import Sequence
from typing import Any

from mnistdiff.engine.evaluation.report import EvaluationReport
from mnistdiff.engine.outputs.sweep_plot import JudgeCurve, sweep_plot


def plot(name: str, values: Sequence[Any], reports: Sequence[EvaluationReport]) -> bytes:
    """Accuracy and Fréchet distance over the values of one setting, as PNG.

    Args:
        name: of the setting.
        values: of it, numbers or words.
        reports: one for each value, all of the same judges.
    """
    curves = []
    for judge, first in reports[0].classifiers.items():
        verdicts = [report.classifiers[judge] for report in reports]
        curves.append(
            JudgeCurve(
                judge=judge,
                accuracies=[verdict.accuracy.share for verdict in verdicts],
                intervals=[verdict.accuracy.interval for verdict in verdicts],
                distances=[verdict.fcd for verdict in verdicts],
                floor=first.fcd_real,
            )
        )
    return sweep_plot(name, values, curves)
