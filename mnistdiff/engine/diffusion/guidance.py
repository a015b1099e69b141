"""Classifier-free guidance (Ho & Salimans 2022, arXiv 2207.12598)."""

from mnistdiff.engine.diffusion.predictions import FloatArray


def guided(eps_uncond: FloatArray, eps_cond: FloatArray, guidance_scale: float) -> FloatArray:
    """The guided noise: eps_uncond + s (eps_cond - eps_uncond), Eq. 6 with s = 1 + w.

    s = 0 is unconditional, s = 1 plain conditional, s > 1 moves further towards the label.
    """
    return eps_uncond + guidance_scale * (eps_cond - eps_uncond)
