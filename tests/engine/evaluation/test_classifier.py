"""The classifiers learn, and a seed determines how."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from mnistdiff.engine.data.datasets import LabelledImages
from mnistdiff.engine.evaluation import classifier
from mnistdiff.engine.evaluation.classifier import ARCHITECTURES, initial_classifier, predict, train_classifier
from mnistdiff.engine.progress import finish
from mnistdiff.errors import DivergedError

architectures = pytest.mark.parametrize("architecture", ARCHITECTURES)


def trained(architecture, images, **how):
    return finish(train_classifier(architecture, images, num_classes=10, **how))


def weights_of(model):
    return torch.cat([tensor.flatten().double() for tensor in model.state_dict().values()])


def accuracy(model, images):
    return np.mean(predict(model, images.images).labels == images.labels)


@architectures
def test_a_few_hundred_images_teach_it_most_digits(images, architecture):
    steps = []
    model = finish(train_classifier(architecture, images[:300], num_classes=10, epochs=6, seed=3), steps.append)
    assert [(step.done, step.total) for step in steps] == [(k, 12) for k in range(1, 13)]  # 300 are 2 batches of 128
    assert accuracy(initial_classifier(architecture, 10, 3, image_size=28).eval(), images[300:500]) < 0.4
    assert not model.training
    assert accuracy(model, images[300:500]) > 0.6


@architectures
def test_a_seed_gives_the_same_bits_whatever_torch_has_drawn_before(images, architecture):
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = trained(architecture, images[:48], epochs=2, seed=8)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert torch.equal(weights_of(trained(architecture, images[:48], epochs=2, seed=8)), weights_of(first))
    assert not torch.equal(weights_of(trained(architecture, images[:48], epochs=2, seed=9)), weights_of(first))


@architectures
def test_the_outputs_for_an_image_depend_on_no_other(images, architecture, monkeypatch):
    model, few = trained(architecture, images[:40], epochs=3, seed=0), images.images[:20]
    found = predict(model, few)
    assert (found.labels.dtype, found.labels.shape) == (np.int64, (20,))
    assert (found.features.dtype, found.features.shape) == (np.float32, (20, 128))
    assert found.features.min() >= 0
    monkeypatch.setattr(classifier, "PREDICT_BATCH", 1)
    alone = predict(model, few)
    np.testing.assert_array_equal(found.labels, alone.labels)
    np.testing.assert_allclose(found.features, alone.features, atol=1e-4, rtol=1e-4)


def test_no_images_have_no_labels():
    found = predict(initial_classifier("conv", 10, 0, image_size=28).eval(), np.empty((0, 28, 28), np.uint8))
    assert (found.labels.shape, found.features.shape) == ((0,), (0, 128))


@architectures
@pytest.mark.parametrize("image_size", [28, 32, 64])
def test_logits_are_the_head_of_the_features_for_each_size_of_images(architecture, image_size):
    model = initial_classifier(architecture, 26, 0, image_size=image_size).eval()
    logits, features = model(torch.rand(3, 1, image_size, image_size))
    assert (logits.shape, features.shape) == ((3, 26), (3, 128))
    torch.testing.assert_close(model.head(features), logits)


def test_the_architectures_differ():
    models = [model(10, 28) for model in ARCHITECTURES.values()]
    names = [{name for name, _ in model.named_parameters()} for model in models]
    assert names[0] != names[1]
    assert all(sum(p.numel() for p in model.parameters()) < 400_000 for model in models)


def test_every_image_of_a_small_set_is_shown_in_each_epoch(images, monkeypatch):
    shown = []
    monkeypatch.setattr(classifier, "augment", lambda batch, rng: shown.append(batch) or batch)
    trained("conv", images[:50], epochs=2, seed=0)
    expected = sorted((image / np.float32(255)).tobytes() for image in images.images[:50])
    for batch in shown:
        assert sorted(image.numpy().tobytes() for image in batch) == expected
    assert not torch.equal(shown[0], shown[1])


def test_the_learning_rate_rises_to_its_peak_and_falls_to_zero():
    shares = [classifier._share_of_peak(step / 100) for step in range(1, 101)]
    assert max(shares) == shares[19] == 1
    assert all(a < b for a, b in pairwise(shares[:20]))
    assert all(a > b for a, b in pairwise(shares[19:]))
    assert 0 < shares[0] < 0.1
    assert shares[-1] == 0


def test_a_loss_that_is_not_finite_ends_the_training(monkeypatch):
    monkeypatch.setattr(classifier, "_PEAK_LR", 1e30)
    noise = LabelledImages(
        np.random.default_rng(0).integers(0, 256, (20, 28, 28), np.uint8), np.arange(20, dtype=np.uint8) % 10
    )
    with pytest.raises(DivergedError, match="(nan|inf)"):
        trained("conv", noise, epochs=5, seed=0)
