import numpy as np
import pytest
from curves import bold, pixels

from mnistdiff.engine.outputs.sweep_plot import JudgeCurve, sweep_plot


def judged(*accuracies, floor=0.5, judge="conv", distances=None):
    intervals = [(max(a - 0.02, 0), min(a + 0.02, 1)) for a in accuracies]
    return JudgeCurve(judge, accuracies, intervals, distances or [2 - a for a in accuracies], floor)


@pytest.mark.parametrize(
    ("values", "curves"),
    [
        ([1.5], [judged(0.9)]),
        ([1, 2, 3], [judged(0.9, 0.95, 0.99), judged(0.8, 0.9, 1.0, judge="residual")]),
        ([0.0, 1.0, 2.0], [judged(0.1, 0.9, 1.0, floor=None)]),
        ([5, 500], [judged(0.9, 0.99, distances=[100.0, 0.0])]),
        (["ddpm", "$x$"], [judged(0.9, 0.99, distances=[1000.0, 0.6])]),
    ],
)
def test_any_setting_makes_a_picture_of_the_same_size(values, curves):
    png = sweep_plot("$name", values, curves)
    assert pixels(png).shape == (675, 1200, 3)
    assert bold(png).size > 0
    assert png == sweep_plot("$name", values, curves)


def test_numbers_are_put_in_order_and_words_are_not():
    rising, falling = [judged(0.8, 0.9)], [judged(0.9, 0.8)]
    assert sweep_plot("steps", [5, 10], rising) == sweep_plot("steps", [10, 5], falling)
    assert sweep_plot("sampler", ["a", "b"], rising) != sweep_plot("sampler", ["b", "a"], falling)


def test_each_panel_follows_its_measure():
    rows, columns = bold(sweep_plot("steps", [1, 2], [judged(0.5, 0.9, floor=None)]))
    middle = 600
    for panel, rises in ((columns < middle, True), (columns > middle, False)):
        x, y = columns[panel], rows[panel]
        line = x < np.quantile(x, 0.1), x > np.quantile(x, 0.9)
        assert (np.median(y[line[0]]) > np.median(y[line[1]])) == rises  # rows count downwards
