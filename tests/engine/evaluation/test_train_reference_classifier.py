from dataclasses import replace

import numpy as np
import pytest

from mnistdiff.engine.data.datasets import MNIST, DatasetSpec, LabelledImages
from mnistdiff.engine.evaluation.classifier import ARCHITECTURES
from mnistdiff.engine.evaluation.classifier_card import TrainedOn, digest_of_dataset
from mnistdiff.engine.evaluation.classifier_data import ClassifierData
from mnistdiff.engine.evaluation.metrics import Gaussian, frechet_distance
from mnistdiff.engine.evaluation.reference_classifier import PINNED, decode_classifier
from mnistdiff.engine.evaluation.train_reference_classifier import (
    RECIPES,
    Recipe,
    fcd_by_size,
    train_reference_classifier,
    usual_recipe,
)
from mnistdiff.engine.progress import finish
from mnistdiff.setting_types import DATASETS


def cloud(count, seed=0):
    return np.random.default_rng(seed).normal(size=(count, 4)).astype(np.float32)


def test_more_images_come_nearer_to_the_training_set():
    reference = Gaussian.fit(cloud(100_000))
    found = fcd_by_size(cloud(10_000, seed=1), reference)
    assert list(found) == [500, 1_000, 2_000, 5_000, 10_000]
    assert sorted(found.values(), reverse=True) == list(found.values())
    assert found[10_000] == pytest.approx(frechet_distance(Gaussian.fit(cloud(10_000, seed=1)), reference))


def test_few_test_images_have_the_distance_of_all_of_them():
    assert list(fcd_by_size(cloud(499), Gaussian.fit(cloud(999)))) == [499]


def test_each_bundled_classifier_has_a_recipe_and_a_seed_of_its_own():
    assert RECIPES.keys() == ARCHITECTURES.keys() == PINNED.keys()
    assert len({recipe.seed for recipe in RECIPES.values()}) == len(RECIPES)


def test_what_is_trained_is_read_back_and_the_same_each_time(images):
    training, test = images[:200], images[200:700]
    data, recipe = ClassifierData(MNIST, training, test), Recipe(epochs=2, seed=4)
    steps = []
    content = finish(train_reference_classifier("residual", data, recipe), steps.append)
    assert [(step.done, step.total) for step in steps] == [(1, 2), (2, 2), (0, 1), (1, 1)]
    classifier = decode_classifier(content)
    assert (classifier.card.num_train_images, sum(classifier.card.class_counts)) == (200, 200)
    assert list(classifier.card.fcd_real) == [500]
    # What was measured is what is read: before the file was written, the weights were rounded to what it holds.
    assert np.count_nonzero(classifier.predict(test.images).labels != test.labels) == classifier.card.test_errors
    again = Gaussian.fit(classifier.predict(training.images).features)
    np.testing.assert_allclose(again.covariance, classifier.reference.covariance, atol=1e-9)
    assert finish(train_reference_classifier("residual", data, recipe)) == content


@pytest.mark.parametrize(("num_classes", "image_size"), [(26, 28), (255, 32), (1, 64)])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_data_set_may_have_other_classes_and_larger_images(architecture, num_classes, image_size):
    images = np.random.default_rng(0).integers(0, 256, (300, image_size, image_size), np.uint8)
    others = LabelledImages(images, (np.arange(300) % num_classes).astype(np.uint8))
    spec = DatasetSpec("others", "others", tuple(map(str, range(num_classes))), (9,) * num_classes, image_size)
    record = TrainedOn(dataset="others", digest=digest_of_dataset(spec), image_size=image_size)
    work = train_reference_classifier(architecture, ClassifierData(spec, others, others, record), Recipe(1, 0))
    classifier = decode_classifier(finish(work))
    assert len(classifier.card.class_counts) == num_classes
    assert classifier.model.head.out_features == num_classes
    assert (classifier.card.image_size, classifier.card.data) == (image_size, record)
    assert classifier.predict(images[:3]).features.shape == (3, 128)


def test_few_images_are_trained_on_for_more_epochs():
    assert [usual_recipe("conv", count).epochs for count in (60_000, 16_000, 12_800, 1_617, 50)] == [
        12,
        12,
        15,
        125,
        1500,
    ]
    assert usual_recipe("residual", 60_000) == RECIPES["residual"]


def test_a_digest_ties_a_classifier_to_images_and_classes():
    specs = [MNIST, DATASETS["mnist-5k"], replace(MNIST, name="mine"), replace(MNIST, class_names=tuple("abcdefghij"))]
    assert len({digest_of_dataset(spec) for spec in specs}) == len(specs)
