"""Counter-based random numbers: a generator is determined by (seed, stream, position), without stored state.

Generators are Philox (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"), keyed by (seed, stream), with
the position in the counter. So a training resumes with the random numbers of an unbroken one, and a sampled image does
not depend on the others in its batch.
"""

import secrets
from collections.abc import Sequence
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray


class Stream(IntEnum):
    """The purpose of random numbers. Streams of one seed are independent."""

    INITIAL_WEIGHTS = 0
    IMAGE_ORDER = 1
    TIMESTEPS = 2
    TRAINING_NOISE = 3
    LABEL_DROPOUT = 4
    SAMPLING_NOISE = 5
    CLASSIFIER_WEIGHTS = 6
    CLASSIFIER_ORDER = 7
    CLASSIFIER_AUGMENTATION = 8
    TEACHER_PATHS = 9
    AUGMENTATION = 10
    HELD_OUT_IMAGES = 11
    BOUND_TIMESTEPS = 12


def generator(seed: int, stream: Stream, position: int = 0) -> np.random.Generator:
    """The generator of a seed, stream and position.

    Args:
        seed: 0 ... 2**64 - 1.
        stream: purpose.
        position: the step, epoch or draw, counted from 0.
    """
    # The lowest word of the counter advances with the numbers drawn; the position is above it, never reached.
    return np.random.Generator(np.random.Philox(key=[seed, int(stream)], counter=[0, position, 0, 0]))


def sampling_noise(seeds: Sequence[int], draw: int, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Standard normal noise for a batch of images, each from its own seed.

    Args:
        seeds: one per image.
        draw: 0 for x_T, 1, 2, ... for the noise of later steps.
        shape: of one image, (C, H, W).

    Returns:
        shape (len(seeds), C, H, W).
    """
    return np.stack([generator(s, Stream.SAMPLING_NOISE, draw).standard_normal(shape, dtype=np.float32) for s in seeds])


def new_seed() -> int:
    """A random seed, short enough to type again."""
    return secrets.randbelow(10**6)
