import numpy as np
import pytest

from mnistdiff.engine.data.datasets import LabelledImages
from mnistdiff.engine.evaluation.cas import SEEDS, measure_cas
from mnistdiff.engine.progress import finish

N = 100


def test_real_images_score_what_real_images_score(tiny_real):
    steps = []
    found = finish(measure_cas(tiny_real.training[:N], tiny_real, epochs=1), steps.append)
    assert found.by_seed == found.by_seed_of_real_images
    assert (len(found.by_seed), found.gap, found.num_images, found.epochs) == (len(SEEDS), 0, N, 1)
    stages = [step.stage for step in steps if step.done == step.total == 1]
    assert len(stages) == len(set(stages)) == 2 * len(SEEDS)


def test_wrong_labels_cost_the_score(tiny_real):
    wrong = LabelledImages(tiny_real.training.images[:N], np.roll(tiny_real.training.labels[:N], 1))
    known = (0.9, 0.9, 0.9)
    found = finish(measure_cas(wrong, tiny_real, real_scores=known, epochs=4))
    assert found.by_seed_of_real_images == known
    assert found.score < 0.3
    assert found.gap == pytest.approx(0.9 - found.score)
