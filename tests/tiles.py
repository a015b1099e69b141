"""Where an image lies on a sheet."""

import numpy as np

_PROBES = 30


def places(sheet, image):
    """Row and column of each place where an image lies on a sheet, twice as large, up to one grey level.

    A few pixels rule out nearly all places; the others are compared whole.
    """
    sheet, tile = sheet.astype(int), np.kron(image.astype(int), np.ones((2, 2), int))
    height, width = tile.shape
    rows, columns = sheet.shape[0] - height + 1, sheet.shape[1] - width + 1
    left = np.ones((rows, columns), bool)
    for row, column in np.random.default_rng(0).integers(0, tile.shape, (_PROBES, 2)):
        left &= np.abs(sheet[row : row + rows, column : column + columns] - tile[row, column]) <= 1
    return [
        [int(row), int(column)]
        for row, column in np.argwhere(left)
        if np.abs(sheet[row : row + height, column : column + width] - tile).max() <= 1
    ]
