import numpy as np
import pytest

from mnistdiff.engine.evaluation.cas import SEEDS, Usefulness, measure_cas

N = 300


def run(*arguments, **options):
    *progress, found = measure_cas(*arguments, **options)
    assert isinstance(found, Usefulness)
    return progress, found


def test_real_images_are_as_useful_as_real_images(tiny_real):
    images, labels = tiny_real.training.images[:N], tiny_real.training.labels[:N]
    progress, found = run(images, labels, tiny_real, epochs=2)
    assert found.drawn == found.real
    assert (len(found.drawn), found.gap, found.num_images, found.epochs) == (len(SEEDS), 0, N, 2)
    stages = {step.stage: (step.done, step.total) for step in progress}
    assert stages == {"learning from drawn images": (12, 12), "learning from real images": (12, 12)}


def test_wrong_labels_teach_nothing(tiny_real):
    images, labels = tiny_real.training.images[:N], tiny_real.training.labels[:N]
    known = (0.9, 0.9, 0.9)
    progress, found = run(images, np.roll(labels, 1), tiny_real, real_scores=known, epochs=4)
    assert {step.stage for step in progress} == {"learning from drawn images"}
    assert found.real == known
    assert found.score < 0.3
    assert found.gap == pytest.approx(0.9 - found.score)


def test_the_report_has_every_seed_and_the_means():
    content = Usefulness(10, 20, (0.5, 0.6, 0.7), (0.9, 0.9, 0.9)).to_dict()
    assert (content["score"], content["score_of_real_images"]) == (pytest.approx(0.6), pytest.approx(0.9))
    assert content["gap"] == pytest.approx(0.3)
    assert content["by_seed"] == [0.5, 0.6, 0.7]
