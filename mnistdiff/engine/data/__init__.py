"""Data sets: loading, verification, order of training; user pictures: decoding, preprocessing."""
