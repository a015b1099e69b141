import subprocess
import sys
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest
from curves import bold, pixels

from mnistdiff.engine.outputs.figures import DARK, LIGHT
from mnistdiff.engine.outputs.loss_plot import loss_curve, moving_average, training_curves


def falling(count, every=100):
    steps = np.arange(1, count + 1) * every
    noise = np.random.default_rng(0).normal(scale=0.05, size=count)
    return steps.tolist(), ((0.02 + np.exp(-steps / 500)) * np.exp(noise)).tolist()


@pytest.mark.parametrize("count", [1, 2, 5, 9, 10, 200, 10_000])
def test_any_number_of_records_makes_a_picture_of_the_same_size(count):
    steps, losses = falling(count)
    png = loss_curve(steps, losses, steps_per_epoch=469)
    assert pixels(png).shape == (675, 1200, 3)
    assert bold(png).size > 0


def test_the_same_records_make_the_same_bytes():
    steps, losses = falling(200)
    assert loss_curve(steps, losses, steps_per_epoch=469) == loss_curve(steps, losses, steps_per_epoch=469)


def test_a_single_record_is_a_dot():
    rows, columns = bold(loss_curve([100], [0.3], steps_per_epoch=469))
    assert 4 < np.ptp(rows) < 20
    assert 4 < np.ptp(columns) < 20


def test_the_line_follows_the_losses_from_left_to_right():
    rows, columns = bold(loss_curve([1, 2, 3], [0.3, 0.1, 0.2], steps_per_epoch=3))
    left, middle, right = (rows[np.abs(columns - c).argmin()] for c in np.linspace(columns.min(), columns.max(), 3))
    assert left < right < middle  # rows count downwards


@pytest.mark.parametrize(("losses", "is_even"), [([1.0, 0.1, 0.01], True), ([9.0, 3.0, 1.0], False)])
def test_the_scale_is_logarithmic_beyond_a_decade(losses, is_even):
    rows, columns = bold(loss_curve([1, 2, 3], losses, steps_per_epoch=3))
    centre = (columns.min() + columns.max()) // 2
    middle = rows[columns == centre].mean()
    assert (abs(middle - (rows.min() + rows.max()) / 2) < 5) == is_even


@pytest.mark.parametrize("losses", [[0.0, 0.0, 0.0], [5.0, 0.5, 0.0], [1e-12, 1.0, 1e12], [0.5] * 12, [1e-45, 3e38]])
def test_odd_losses_are_drawn_without_a_warning(losses):
    assert bold(loss_curve(range(1, len(losses) + 1), losses, steps_per_epoch=1)).size > 0


@pytest.mark.parametrize("steps_per_epoch", [1, 20, 469, 19_999, 20_000, 60_000, 10**9])
def test_from_a_sliver_of_an_epoch_to_thousands(steps_per_epoch):
    steps, losses = falling(200)
    assert pixels(loss_curve(steps, losses, steps_per_epoch=steps_per_epoch)).shape == (675, 1200, 3)


def test_epochs_change_the_top_axis_alone():
    steps, losses = falling(50)
    one = pixels(loss_curve(steps, losses, steps_per_epoch=1000))
    other = pixels(loss_curve(steps, losses, steps_per_epoch=500))
    rows = np.flatnonzero((one != other).any(axis=(1, 2)))
    assert len(rows) > 0
    assert rows.max() < 100


def test_a_step_of_zero_has_room():
    assert bold(loss_curve([0], [1.0], steps_per_epoch=10)).size > 0


def test_the_picture_is_independent_of_the_users_matplotlibrc_and_leaves_it_alone():
    steps, losses = falling(20)
    expected = loss_curve(steps, losses, steps_per_epoch=10)
    with matplotlib.rc_context({"text.usetex": True, "axes.facecolor": "red", "savefig.dpi": 20, "font.size": 30}):
        before = dict(matplotlib.rcParams)
        assert loss_curve(steps, losses, steps_per_epoch=10) == expected
        assert dict(matplotlib.rcParams) == before


def test_pyplot_is_never_imported():
    program = (
        "import sys; from mnistdiff.engine.outputs.loss_plot import loss_curve;"
        "loss_curve([1, 2], [2.0, 1.0], steps_per_epoch=1); sys.exit('matplotlib.pyplot' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@pytest.mark.parametrize("share", [0.05, 0.3, 1.0])
def test_the_average_has_the_weights_of_its_closed_form(share):
    values = np.random.default_rng(0).normal(size=50)
    power = np.arange(51) ** (1 / share)
    expected = [np.diff(power[: i + 1]) @ values[:i] / power[i] for i in range(1, 51)]
    np.testing.assert_allclose(moving_average(values, share=share), expected, rtol=1e-9, atol=1e-12)


def test_the_average_starts_at_the_first_value_and_keeps_a_constant():
    assert moving_average(np.array([3.0, 1.0]), share=0.5)[0] == 3.0
    np.testing.assert_allclose(moving_average(np.full(100, 0.7), share=0.05), 0.7, rtol=1e-12)


@pytest.mark.parametrize("palette", [LIGHT, DARK])
def test_the_curves_of_a_report_are_text_and_lines_on_the_paper_they_lie_on(palette):
    steps, losses = falling(200)
    rates = np.linspace(1e-3, 0, 200)
    svg = training_curves(steps, losses, rates, steps_per_epoch=469, palette=palette)
    assert svg == training_curves(steps, losses, rates, steps_per_epoch=469, palette=palette)
    root = ElementTree.fromstring(svg)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert palette.smooth.encode() in svg
    assert palette.second.encode() in svg
    assert (b"#ffffff" in svg) == (palette is LIGHT)
    assert b"<script" not in svg


def test_a_learning_rate_that_changes_changes_the_lower_panel():
    steps, losses = falling(50)
    one, other = (
        training_curves(steps, losses, rates, steps_per_epoch=469, palette=LIGHT)
        for rates in ([1e-3] * 50, np.linspace(1e-3, 0, 50))
    )
    assert one != other
