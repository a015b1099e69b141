"""Augmentation: an image without a change stays, the changes are addressed, and the network is told of them."""

import numpy as np
import pytest
import torch

from mnistdiff.engine.network.build import AUGMENTATION_NUMBERS, build_network, load_network
from mnistdiff.engine.training.augmentation import augmentation_at, augmented
from mnistdiff.engine.training.inputs import Inputs
from mnistdiff.engine.training.state import TrainState
from mnistdiff.errors import SettingsError
from mnistdiff.setting_types import NETWORKS
from mnistdiff.settings import TrainSettings

CPU = torch.device("cpu")
SETTINGS = TrainSettings(patch_size=4, channels=(8,), embedding=16, timesteps=10, augment=("shift", "rotate", "flip"))
FLIP, RIGHT, DOWN, ANGLE, SCALE = range(AUGMENTATION_NUMBERS)


def images(count=4, side=28):
    return torch.rand(count, 1, side, side, generator=torch.Generator().manual_seed(0)) * 2 - 1


def changes(**numbers):
    vectors = torch.zeros(4, AUGMENTATION_NUMBERS)
    for name, value in numbers.items():
        vectors[:, globals()[name]] = value
    return vectors


def test_zeros_change_nothing():
    x_0 = images()
    assert torch.equal(augmented(x_0, changes()), x_0)


def test_a_flipped_image_is_mirrored_and_a_shifted_one_moved_by_whole_pixels_with_black_behind_it():
    x_0 = images()
    assert torch.equal(augmented(x_0, changes(FLIP=1.0)), x_0.flip(-1))
    moved = augmented(x_0, changes(RIGHT=1.0, DOWN=-1.0))
    assert torch.equal(moved[:, :, :-3, 3:], x_0[:, :, 3:, :-3])
    assert (moved[:, :, -3:] == -1).all()
    assert (moved[..., :3] == -1).all()


def test_a_turned_image_is_turned_by_its_angle_and_larger_by_its_scale():
    """Against scipy's rotation, on a smooth image."""
    ndimage = pytest.importorskip("scipy.ndimage")
    y, x = np.mgrid[:28, :28]
    blob = np.exp(-((x - 18) ** 2 / 20 + (y - 13) ** 2 / 6))
    x_0 = torch.from_numpy(blob * 2 - 1).float()[None, None]
    turned = augmented(x_0, changes(ANGLE=1.0)[:1])[0, 0].numpy() / 2 + 0.5
    assert np.abs(turned - ndimage.rotate(blob, 12, reshape=False, order=1)).max() < 0.02
    larger = augmented(x_0, changes(SCALE=1.0)[:1])[0, 0].numpy() / 2 + 0.5
    assert larger.sum() == pytest.approx(blob.sum() * 1.1**2, rel=0.02)


def test_values_stay_in_range_and_a_black_image_stays_black():
    vectors = torch.from_numpy(augmentation_at(0, 64, SETTINGS))
    changed = augmented(images(64), vectors)
    assert changed.abs().max() <= 1
    assert (augmented(torch.full((64, 1, 28, 28), -1.0), vectors) == -1).all()


def test_changes_depend_on_seed_and_step_alone_and_only_the_chosen_kinds_happen():
    first = augmentation_at(3, 256, SETTINGS)
    assert np.array_equal(first, augmentation_at(3, 256, SETTINGS))
    assert not np.array_equal(first, augmentation_at(4, 256, SETTINGS))
    assert not np.array_equal(first, augmentation_at(3, 256, SETTINGS.model_copy(update={"seed": 1})))
    assert np.abs(first).max() <= 1
    assert (first == 0).all(axis=1).any()
    shifted = augmentation_at(3, 256, SETTINGS.model_copy(update={"augment": ("shift",)}))
    assert np.array_equal(shifted[:, [RIGHT, DOWN]], first[:, [RIGHT, DOWN]])
    assert not shifted[:, [FLIP, ANGLE, SCALE]].any()


def test_a_shard_of_a_batch_is_augmented_as_in_the_batch():
    data = (images(20)[:, 0].numpy() * 127 + 128).astype(np.uint8), np.arange(20, dtype=np.uint8) % 10
    batch = Inputs(*data, SETTINGS.model_copy(update={"batch_size": 16}), CPU).at(4)
    whole, _, draws = batch.of(slice(0, 16), CPU)
    part, _, of_part = batch.of(slice(4, 8), CPU)
    assert torch.equal(part, whole[4:8])
    assert torch.equal(of_part.augmentation, draws.augmentation[4:8])


def test_the_network_is_told_and_zeros_are_as_no_augmentation():
    model = TrainState.initial(SETTINGS, CPU).model
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    t, labels = torch.arange(4), torch.arange(4)
    plain = model(images(), t, labels)
    assert torch.equal(model(images(), t, labels, torch.zeros(4, AUGMENTATION_NUMBERS)), plain)
    assert not torch.equal(model(images(), t, labels, torch.ones(4, AUGMENTATION_NUMBERS)), plain)


def test_only_a_training_with_augmentation_has_its_parameters():
    def names(settings, **options):
        return {name for name, _ in build_network(settings, **options).named_parameters()}

    plain = SETTINGS.model_copy(update={"augment": ()})
    assert names(SETTINGS) == names(plain, to_train=True)
    assert names(SETTINGS, to_train=True) - names(SETTINGS) == {"augmentation.weight"}
    weights = {name: p.detach().numpy() for name, p in build_network(plain).named_parameters()}
    started = TrainState.initial(SETTINGS, CPU, weights=weights).model
    assert not started.augmentation.weight.any()
    load_network(SETTINGS, weights, CPU, source="a model to sample from")


def test_a_network_that_cannot_be_told_is_refused(monkeypatch):
    from mnistdiff.engine.network.build import Network

    monkeypatch.setitem(NETWORKS._entries, "unet", lambda settings: Network())
    with pytest.raises(SettingsError, match="`augment`"):
        TrainState.initial(SETTINGS, CPU)
