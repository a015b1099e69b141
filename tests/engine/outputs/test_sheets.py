"""Sheets of several images."""

import numpy as np
import pytest

from mnistdiff.engine.inference.sampling import Sample
from mnistdiff.engine.outputs.sheets import comparison_sheet, sheet, variants

RNG = np.random.default_rng(0)


def test_every_value_of_the_first_meets_every_value_of_the_second():
    found = list(variants([("steps", (1, 2)), ("guidance", (0.0, 3.0))]))
    assert found == [{"steps": s, "guidance": g} for s in (1, 2) for g in (0.0, 3.0)]
    assert list(variants([("steps", (5, 1))])) == [{"steps": 5}, {"steps": 1}]


def place(sheet, image):
    tile = np.kron(image, np.ones((2, 2), np.uint8))
    windows = np.lib.stride_tricks.sliding_window_view(sheet, tile.shape)[:, :, ::9, ::9]
    [found] = np.argwhere((windows == tile[::9, ::9]).all(axis=(2, 3))).tolist()
    return found


@pytest.mark.parametrize("sweeps", [[("steps", (1, 2, 5))], [("guidance", (1.0, 1.25)), ("steps", (1, 2, 5))]])
def test_the_first_setting_goes_down_and_the_second_across(sweeps):
    images = [RNG.integers(0, 200, (2, 28, 28), dtype=np.uint8) for _ in variants(sweeps)]
    sheet = comparison_sheet(sweeps, images)
    places = {
        tuple(changes.values()): place(sheet, images[0])
        for changes, images in zip(variants(sweeps), images, strict=True)
    }
    first = sweeps[0][1]
    tops = [{top for changes, (top, _) in places.items() if changes[0] == value} for value in first]
    assert all(len(same) == 1 for same in tops)
    assert sorted(tops, key=min) == tops
    if len(sweeps) == 2:
        lefts = [{left for changes, (_, left) in places.items() if changes[1] == value} for value in sweeps[1][1]]
        assert all(len(same) == 1 for same in lefts)
        assert sorted(lefts, key=min) == lefts


def test_a_sheet_has_a_row_for_each_label_in_the_order_sampled():
    random = np.random.default_rng(0)
    found = [Sample(d, s, random.integers(0, 200, (28, 28), dtype=np.uint8)) for d, s in ((5, 0), (2, 0), (5, 1))]
    whole = sheet(found)
    places = []
    for each in found:
        tile = np.kron(each.pixels, np.ones((2, 2), np.uint8))
        windows = np.lib.stride_tricks.sliding_window_view(whole, tile.shape)[:, :, ::14, ::14]
        places.append(np.argwhere((windows == tile[::14, ::14]).all(axis=(2, 3))).tolist()[0])
    (top, left), (top_of_2, left_of_2), (top_again, right) = places
    assert top == top_again < top_of_2
    assert left == left_of_2 < right
