import numpy as np
import pytest

from mnistdiff.engine.randomness import Stream, generator, sampling_noise

IMAGE = (1, 28, 28)
ADDRESSES = [
    (seed, stream, position) for seed in (0, 1, 2**32 - 1) for stream in Stream for position in (0, 1, 2, 255, 10**9)
]


def test_an_address_gives_the_same_numbers_whenever_it_is_asked_for():
    first = {address: generator(*address).random(8) for address in ADDRESSES}
    for address in reversed(ADDRESSES):
        np.testing.assert_array_equal(generator(*address).random(8), first[address])


def test_no_two_addresses_share_a_number():
    words = np.concatenate([generator(*address).integers(2**63, size=1000) for address in ADDRESSES])
    assert len(np.unique(words)) == len(words)


def test_drawing_for_long_does_not_run_into_the_next_position():
    a_step = generator(0, Stream.TRAINING_NOISE, 0).integers(2**63, size=128 * 28 * 28)
    next_step = generator(0, Stream.TRAINING_NOISE, 1).integers(2**63, size=1000)
    assert not np.isin(next_step, a_step).any()


def test_noise_is_standard_normal():
    noise = sampling_noise(range(400), 0, IMAGE).astype(np.float64)
    assert abs(noise.mean()) < 0.007  # 4 standard errors
    assert abs(noise.var() - 1) < 0.01
    assert abs((noise**4).mean() - 3) < 0.07
    neighbours = (noise[:-1] * noise[1:]).mean(), (noise[..., :-1] * noise[..., 1:]).mean()
    assert np.abs(neighbours).max() < 0.007


def test_an_image_drawn_in_a_batch_is_the_image_drawn_alone():
    seeds = [5, 9, 2**32 - 1, 5]
    batch = sampling_noise(seeds, 3, IMAGE)
    assert batch.shape == (4, *IMAGE)
    assert batch.dtype == np.float32
    for image, seed in zip(batch, seeds, strict=True):
        np.testing.assert_array_equal(image, sampling_noise([seed], 3, IMAGE)[0])


def test_every_seed_and_every_draw_has_noise_of_its_own():
    images = np.concatenate([sampling_noise(range(20), draw, IMAGE) for draw in range(5)])
    assert len(np.unique(images[:, 0, 0, 0])) == 100


def test_the_numbers_are_those_that_earlier_versions_drew():
    """Another generator would change what every seed draws, and every resumed training."""
    np.testing.assert_array_equal(
        sampling_noise([7], 0, IMAGE).flat[:3], np.float32([0.17365517, 0.08959108, 0.75254565])
    )
    assert generator(7, Stream.TIMESTEPS, 3).integers(500, size=4).tolist() == [430, 499, 409, 395]
    assert generator(7, Stream.IMAGE_ORDER, 1).permutation(8).tolist() == [7, 3, 1, 6, 4, 0, 2, 5]


@pytest.mark.parametrize("stream", Stream)
def test_the_numbers_of_the_streams_are_never_renumbered(stream):
    order = ["INITIAL_WEIGHTS", "IMAGE_ORDER", "TIMESTEPS", "TRAINING_NOISE", "LABEL_DROPOUT", "SAMPLING_NOISE"]
    order += ["CLASSIFIER_WEIGHTS", "CLASSIFIER_ORDER", "CLASSIFIER_AUGMENTATION", "TEACHER_PATHS"]
    order += ["AUGMENTATION", "HELD_OUT_IMAGES", "BOUND_TIMESTEPS"]
    assert order[stream.value] == stream.name
