import numpy as np
import pytest
from curves import bold, pixels

from mnistdiff.engine.checkpoint.pretrained import PRETRAINED
from mnistdiff.engine.evaluation.model_card import model_card
from mnistdiff.engine.evaluation.results import BinomialProportion
from mnistdiff.engine.outputs.sweep_plot import sweep_plot


def reports(*accuracies, real=0.5, distances=None, names=("conv",)):
    """A report for each accuracy, the same for each classifier."""
    card = model_card(PRETRAINED).evaluation
    for accuracy, distance in zip(accuracies, distances or [2 - a for a in accuracies], strict=True):
        hits = BinomialProportion(hits=round(100 * accuracy), total=100)
        metrics = card.classifiers["conv"].model_copy(update={"accuracy": hits, "fcd": distance, "fcd_real": real})
        yield card.model_copy(update={"classifiers": dict.fromkeys(names, metrics)})


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ([1.5], reports(0.9)),
        ([1, 2, 3], reports(0.9, 0.95, 1.0, names=("conv", "residual"))),
        ([0.0, 1.0, 2.0], reports(0.1, 0.9, 1.0, real=None)),
        ([5, 500], reports(0.9, 0.99, distances=[100.0, 0.0])),
        (["ddpm", "$x$"], reports(0.9, 0.99, distances=[1000.0, 0.6])),
    ],
)
def test_any_setting_makes_a_picture_of_the_same_size(values, found):
    png = sweep_plot("$name", values, list(found))
    assert pixels(png).shape == (675, 1200, 3)
    assert bold(png).size > 0


def test_numbers_are_sorted_and_words_are_not():
    rising, falling = list(reports(0.8, 0.9)), list(reports(0.9, 0.8))
    assert sweep_plot("steps", [5, 10], rising) == sweep_plot("steps", [10, 5], falling)
    assert sweep_plot("sampler", ["a", "b"], rising) != sweep_plot("sampler", ["b", "a"], falling)


def test_each_panel_follows_its_metric():
    rows, columns = bold(sweep_plot("steps", [1, 2], list(reports(0.5, 0.9, real=None))))
    middle = 600
    for panel, rises in ((columns < middle, True), (columns > middle, False)):
        x, y = columns[panel], rows[panel]
        line = x < np.quantile(x, 0.1), x > np.quantile(x, 0.9)
        assert (np.median(y[line[0]]) > np.median(y[line[1]])) == rises  # rows count downwards
