import numpy as np
import pytest

from mnistdiff.engine.data.datasets import LabelledImages
from mnistdiff.engine.evaluation.classifier import ARCHITECTURES
from mnistdiff.engine.evaluation.metrics import Gaussian, frechet_distance
from mnistdiff.engine.evaluation.reference_classifier import PINNED, decode_classifier
from mnistdiff.engine.evaluation.train_reference_classifier import (
    RECIPES,
    Recipe,
    fcd_by_size,
    train_reference_classifier,
)
from mnistdiff.engine.progress import finish


def cloud(count, seed=0):
    return np.random.default_rng(seed).normal(size=(count, 4)).astype(np.float32)


def test_more_images_come_nearer_to_the_training_set():
    reference = Gaussian.fit(cloud(100_000))
    found = fcd_by_size(cloud(10_000, seed=1), reference)
    assert list(found) == [500, 1_000, 2_000, 5_000, 10_000]
    assert sorted(found.values(), reverse=True) == list(found.values())
    assert found[10_000] == pytest.approx(frechet_distance(Gaussian.fit(cloud(10_000, seed=1)), reference))


def test_too_few_test_images_have_no_distance():
    assert fcd_by_size(cloud(499), Gaussian.fit(cloud(999))) == {}


def test_each_bundled_classifier_has_a_recipe_and_a_seed_of_its_own():
    assert RECIPES.keys() == ARCHITECTURES.keys() == PINNED.keys()
    assert len({recipe.seed for recipe in RECIPES.values()}) == len(RECIPES)


def test_what_is_trained_is_read_back_and_the_same_each_time(images):
    training, test = images[:200], images[200:700]
    recipe = Recipe(epochs=2, seed=4)
    steps = []
    content = finish(train_reference_classifier("residual", training, test, recipe, num_classes=10), steps.append)
    assert [(step.done, step.total) for step in steps] == [(1, 2), (2, 2), (0, 1), (1, 1)]
    classifier = decode_classifier(content)
    assert (classifier.card.num_train_images, sum(classifier.card.class_counts)) == (200, 200)
    assert list(classifier.card.fcd_real) == [500]
    # What was measured is what is read: before the file was written, the weights were rounded to what it holds.
    assert np.count_nonzero(classifier.predict(test.images).labels != test.labels) == classifier.card.test_errors
    again = Gaussian.fit(classifier.predict(training.images).features)
    np.testing.assert_allclose(again.covariance, classifier.reference.covariance, atol=1e-9)
    same = finish(train_reference_classifier("residual", training, test, recipe, num_classes=10))
    assert same == content


def test_a_data_set_may_have_other_classes(images):
    letters = LabelledImages(images.images[:60], np.arange(60, dtype=np.uint8) % 26)
    work = train_reference_classifier("conv", letters, letters, Recipe(epochs=1, seed=0), num_classes=26)
    classifier = decode_classifier(finish(work))
    assert len(classifier.card.class_counts) == 26
    assert classifier.model.head.out_features == 26
