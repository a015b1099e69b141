import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mnistdiff.engine.diffusion.guidance import guided

UNCOND, COND = np.random.default_rng(0).standard_normal((2, 3, 1, 4, 4))
scales = st.floats(0, 100)


def test_scale_one_is_plain_conditional_and_scale_zero_unconditional():
    np.testing.assert_allclose(guided(UNCOND, COND, 1.0), COND, rtol=0, atol=1e-15)
    np.testing.assert_array_equal(guided(UNCOND, COND, 0.0), UNCOND)


def test_scale_two_goes_as_far_again_beyond_the_conditional():
    np.testing.assert_allclose(guided(UNCOND, COND, 2.0) - COND, COND - UNCOND, rtol=0, atol=1e-14)


@settings(deadline=None)
@given(scales, scales, st.floats(0, 1))
def test_guidance_is_linear_in_the_scale(a, b, share):
    mixed = share * guided(UNCOND, COND, a) + (1 - share) * guided(UNCOND, COND, b)
    np.testing.assert_allclose(guided(UNCOND, COND, share * a + (1 - share) * b), mixed, rtol=0, atol=1e-11)


@settings(deadline=None)
@given(scales)
def test_guidance_is_equation_6_of_ho_and_salimans_with_w_one_less(scale):
    w = scale - 1
    np.testing.assert_allclose(guided(UNCOND, COND, scale), (1 + w) * COND - w * UNCOND, rtol=0, atol=1e-11)


@settings(deadline=None)
@given(scales)
def test_equal_predictions_are_left_alone_by_any_scale(scale):
    np.testing.assert_array_equal(guided(COND, COND, scale), COND)
