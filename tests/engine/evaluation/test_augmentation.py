import numpy as np
import pytest
import torch

from mnistdiff.engine.evaluation.classifier import augment
from mnistdiff.engine.randomness import Stream, generator


class Drawn:
    """A generator that draws what the test says: turn, size, slant, across, down, in [-1, 1]."""

    def __init__(self, *numbers):
        self.numbers = numbers

    def uniform(self, low, high, shape):
        assert (low, high) == (-1, 1)
        return np.broadcast_to(np.array(self.numbers, float)[:, None], shape)


def blobs(count):
    """Smooth images, since bilinear sampling blurs edges."""
    y, x = torch.meshgrid(torch.arange(28.0), torch.arange(28.0), indexing="ij")
    centres = torch.linspace(10, 17, count)[:, None, None]
    return torch.exp(-((x - centres) ** 2 + (y - 13) ** 2) / 18).unsqueeze(1)


def test_no_augmentation_changes_nothing():
    images = blobs(3)
    torch.testing.assert_close(augment(images, Drawn(0, 0, 0, 0, 0)), images, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("drawn", "moved"), [((0, 0, 0, 1, 0), (0, -2)), ((0, 0, 0, 0, -1), (2, 0))])
def test_a_shift_is_by_two_pixels_at_most(drawn, moved):
    images = blobs(3)
    expected = images.roll(moved, dims=(2, 3))
    torch.testing.assert_close(
        augment(images, Drawn(*drawn))[..., 2:-2, 2:-2], expected[..., 2:-2, 2:-2], atol=1e-5, rtol=0
    )


def test_a_turn_and_the_turn_back_are_no_turn():
    images = blobs(3)
    there_and_back = augment(augment(images, Drawn(1, 0, 0, 0, 0)), Drawn(-1, 0, 0, 0, 0))
    assert (augment(images, Drawn(1, 0, 0, 0, 0)) - images).abs().max() > 0.1
    torch.testing.assert_close(there_and_back, images, atol=0.06, rtol=0)  # blurred twice


@pytest.mark.parametrize(("size", "share"), [(1, np.exp(-0.2)), (-1, np.exp(0.2))])
def test_a_scale_changes_the_area_by_a_fifth(size, share):
    images = blobs(3)
    area = augment(images, Drawn(0, size, 0, 0, 0)).sum() / images.sum()
    assert area.item() == pytest.approx(share, rel=0.01)


def test_each_image_is_augmented_by_numbers_of_its_own_and_stays_in_range():
    images = blobs(1).expand(50, 1, 28, 28)
    found = augment(images, generator(3, Stream.CLASSIFIER_AUGMENTATION, 7))
    assert len({image.numpy().tobytes() for image in found}) == 50
    assert 0 <= found.min() <= found.max() <= 1
    torch.testing.assert_close(found, augment(images, generator(3, Stream.CLASSIFIER_AUGMENTATION, 7)), atol=0, rtol=0)
