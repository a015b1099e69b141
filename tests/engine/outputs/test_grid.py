import numpy as np
import pytest

from mnistdiff.engine.outputs.grid import labelled_grid

PAPER = 255


def images(count, height=7, width=6, seed=0):
    """Noise, so that each image occurs on a sheet only where it was put; no pixel is as white as paper."""
    return list(np.random.default_rng(seed).integers(0, 200, (count, height, width), dtype=np.uint8))


def place(sheet, image, scale):
    """Row and column of the top left corner of the enlarged image: exactly one, pixel for pixel."""
    tile = np.kron(image, np.ones((scale, scale), dtype=np.uint8))
    windows = np.lib.stride_tricks.sliding_window_view(sheet, tile.shape)
    found = np.argwhere((windows == tile).all(axis=(2, 3)))
    assert len(found) == 1
    return tuple(found[0].tolist())


def border(sheet, width):
    inner = np.zeros(sheet.shape, dtype=bool)
    inner[width:-width, width:-width] = True
    return sheet[~inner]


@pytest.mark.parametrize("scale", [1, 2, 3])
def test_every_image_lies_enlarged_in_reading_order(scale):
    rows = [(str(digit), images(4, seed=digit)) for digit in range(3)]
    sheet = labelled_grid(rows, scale=scale, title="three digits")
    assert sheet.dtype == np.uint8
    places = np.array([[place(sheet, image, scale) for image in row] for _, row in rows])  # (rows, columns, 2)
    tops, lefts = places[..., 0], places[..., 1]
    assert np.all(tops == tops[:, :1])
    assert np.all(lefts == lefts[:1])
    assert np.all(np.diff(lefts, axis=1) == lefts[0, 1] - lefts[0, 0])
    assert lefts[0, 1] - lefts[0, 0] > 6 * scale
    assert np.all(np.diff(tops, axis=0) > 7 * scale)


def test_rows_may_differ_in_length():
    long, short = images(5, seed=1), images(2, seed=2)
    sheet = labelled_grid([("long", long), ("short", short)], scale=2)
    columns = [place(sheet, image, 2)[1] for image in long]
    assert [place(sheet, image, 2)[1] for image in short] == columns[:2]
    top, left = place(sheet, short[-1], 2)
    assert np.all(sheet[top : top + 14, left + 12 :] == PAPER)


def test_a_smaller_image_is_centred_in_its_cell():
    large, small = images(2, 11, 13, seed=1), images(2, 5, 7, seed=2)
    sheet = labelled_grid([("a", [large[0], small[0]]), ("b", [small[1], large[1]])], scale=3)
    cells = np.array([place(sheet, large[0], 3), place(sheet, large[1], 3)])
    offset = (3 * (11 - 5) // 2, 3 * (13 - 7) // 2)
    assert place(sheet, small[0], 3) == (cells[0, 0] + offset[0], cells[1, 1] + offset[1])
    assert place(sheet, small[1], 3) == (cells[1, 0] + offset[0], cells[0, 1] + offset[1])


def test_a_sheet_grows_by_one_pitch_per_row_and_column():
    shapes = np.array(
        [[labelled_grid([("7", images(c, 28, 28))] * r, scale=2).shape for c in (1, 2, 3)] for r in (1, 2, 3)]
    )
    np.testing.assert_array_equal(np.diff(shapes[..., 0], axis=0), 60)
    np.testing.assert_array_equal(np.diff(shapes[..., 1], axis=1), 60)
    assert np.all(np.diff(shapes[..., 0], axis=1) == 0)
    assert np.all(np.diff(shapes[..., 1], axis=0) == 0)


@pytest.mark.parametrize("label", ["7", "jgpqy|", "dpmpp_2m, 20 steps, guidance 2.0, " * 4, "two\nlines\nthree\nfour"])
@pytest.mark.parametrize("scale", [1, 4])
def test_labels_are_drawn_whole_between_margin_and_tiles(label, scale):
    (image,) = images(1)
    sheet = labelled_grid([(label, [image]), (label, images(1, seed=1))], scale=scale)
    bare = labelled_grid([("", [image]), ("", images(1, seed=1))], scale=scale)
    assert np.all(border(sheet, 6) == PAPER)
    left = place(sheet, image, scale)[1]
    assert np.any(sheet[:, :left] < 150)
    assert np.all(sheet[:, left - 4 : left] == PAPER)
    assert sheet.shape[1] - left == bare.shape[1] - place(bare, image, scale)[1]


def test_a_label_takes_room_for_each_of_its_letters():
    widths = [labelled_grid([("m" * n, images(1))]).shape[1] for n in range(1, 80)]
    assert min(np.diff(widths)) >= 8


def test_labels_of_neighbouring_rows_do_not_meet():
    sheet = labelled_grid([("M\nM", images(1, 2, 2)), ("M\nM", images(1, 2, 2, seed=1))], scale=1)
    left = place(sheet, images(1, 2, 2)[0], 1)[1]
    inked = np.any(sheet[:, :left] < 150, axis=1)
    assert np.count_nonzero(np.diff(inked.astype(int)) == 1) == 4


def test_a_title_only_adds_room_above():
    rows = [("3", images(3, 28, 28))]
    plain, titled = labelled_grid(rows), labelled_grid(rows, title="3")
    added = titled.shape[0] - plain.shape[0]
    margin = place(plain, rows[0][1][0], 2)[0]
    assert added > 0
    np.testing.assert_array_equal(titled[added + margin :], plain[margin:])
    assert np.any(titled[: added + margin] < 150)


def test_a_title_wider_than_the_rows_widens_the_sheet():
    rows = [("3", images(1))]
    sheet = labelled_grid(rows, title="a title much wider than one small tile" * 3)
    assert np.all(border(sheet, 6) == PAPER)
    assert np.any(sheet[:, -20:] < 150)


def test_the_same_rows_give_the_same_sheet_and_stay_as_they_were():
    row = images(3)
    before = [image.copy() for image in row]
    np.testing.assert_array_equal(labelled_grid([("a", row)], title="t"), labelled_grid([("a", row)], title="t"))
    np.testing.assert_array_equal(row, before)


def test_a_batch_will_do_for_a_row():
    row = images(3)
    np.testing.assert_array_equal(labelled_grid([("a", np.stack(row))]), labelled_grid([("a", row)]))
