"""Grey levels of a decoded picture: what a viewer shows on paper, whatever holds the ink."""

import numpy as np
import pytest
from PIL import Image

from mnistdiff.engine.data.grey import to_grey

INK = np.zeros((40, 30), np.uint8)
INK[8:32, 12:17] = 255
INK[8:12, 6:20] = 128


def on_clear(*colour):
    """Ink of one colour on a clear ground, whose hidden pixels are black as most programs write them."""
    picture = Image.new("RGBA", INK.shape[::-1], (0, 0, 0, 0))
    picture.paste((*colour, 255), mask=Image.fromarray((INK > 0).astype(np.uint8) * 255))
    picture.putalpha(Image.fromarray(INK))
    return picture


@pytest.mark.parametrize("colour", [(0, 0, 0), (0, 0, 200), (150, 0, 0), (90, 90, 90)])
def test_dark_ink_on_clear_is_ink_on_white_paper(colour):
    assert np.array_equal(to_grey(on_clear(*colour)), 255 - INK)


@pytest.mark.parametrize("colour", [(255, 255, 255), (255, 240, 0), (120, 255, 255)])
def test_light_ink_on_clear_is_ink_on_black_paper(colour):
    assert np.array_equal(to_grey(on_clear(*colour)), INK)


def test_alpha_is_laid_on_paper_in_every_mode_that_has_it():
    expected = 255 - INK
    black = np.zeros_like(INK)
    palette = Image.fromarray(np.where(INK > 0, 1, 0).astype(np.uint8), "P")
    palette.putpalette([255, 255, 255, 0, 0, 0])
    palette.info["transparency"] = 0
    assert np.array_equal(to_grey(Image.merge("LA", [Image.fromarray(black), Image.fromarray(INK)])), expected)
    assert np.array_equal(to_grey(palette), np.where(INK > 0, 0, 255))


def test_ink_of_many_colours_on_clear_keeps_its_shape():
    levels = to_grey(on_clear(0, 0, 0))
    colours = np.asarray(on_clear(0, 0, 0)).copy()
    colours[:20, :, :3] = (0, 0, 255)
    mixed = to_grey(Image.fromarray(colours))
    assert np.abs(mixed.astype(int) - levels).max() < 40


def test_a_page_with_clear_margins_keeps_its_paper():
    page = np.full((40, 40, 4), 255, np.uint8)
    page[10:30, 18:22, :3] = 0
    page[:, :5] = 0
    levels = to_grey(Image.fromarray(page))
    assert (levels[:, :18] == 255).all()
    assert (levels[10:30, 18:22] == 0).all()


def test_a_clear_picture_is_blank_paper_and_even_alpha_says_nothing():
    assert (to_grey(Image.new("RGBA", (30, 30), (0, 0, 0, 0))) == 255).all()
    even = Image.fromarray(255 - INK).convert("RGB")
    even.putalpha(100)
    assert np.array_equal(to_grey(even), 255 - INK)


@pytest.mark.parametrize("bits", [9, 12, 14, 15, 16])
def test_deep_pixels_keep_their_contrast(bits):
    deep = (INK.astype(np.uint32) * (2**bits - 1) // 255).astype(np.uint16)
    assert np.abs(to_grey(Image.fromarray(deep)).astype(int) - INK).max() <= 1
    assert np.abs(to_grey(Image.fromarray(deep.astype(np.int32))).astype(int) - INK).max() <= 1


PAIRS = [  # ink and paper of nearly the same luminance
    ((255, 0, 0), (0, 0, 255)),
    ((200, 40, 40), (0, 124, 40)),
    ((0, 118, 255), (220, 60, 60)),
    ((255, 255, 0), (255, 255, 255)),
    ((150, 100, 60), (40, 120, 250)),
]


@pytest.mark.parametrize(("ink", "paper"), PAIRS)
def test_ink_that_luminance_does_not_show_is_found_by_its_colour(ink, paper):
    colours = np.where(INK[..., None] > 0, np.array(ink), np.array(paper)).astype(np.uint8)
    levels = to_grey(Image.fromarray(colours)).astype(int)
    assert abs(levels[INK > 0].mean() - levels[INK == 0].mean()) > 60


def test_colour_of_enough_contrast_becomes_luminance():
    colours = np.where(INK[..., None] > 0, np.array((255, 0, 0)), np.array((255, 255, 255))).astype(np.uint8)
    assert np.array_equal(to_grey(Image.fromarray(colours)), np.where(INK > 0, 76, 255))  # 0.299 * 255, ITU-R 601
