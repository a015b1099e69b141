"""The protocol: what it draws, and that each kind of bad generator is caught by the measure meant to catch it."""

import json

import numpy as np
import pytest

from mnistdiff.engine.data.stratified import stratified_labels
from mnistdiff.engine.evaluation import evaluate
from mnistdiff.engine.evaluation.evaluate import OptionalMetrics, evaluate_each, judge_images
from mnistdiff.engine.evaluation.memorization import check_memorization
from mnistdiff.engine.evaluation.progress import EvaluationProgress
from mnistdiff.engine.evaluation.reference_stats import RealImages
from mnistdiff.engine.evaluation.report import Evaluation
from mnistdiff.engine.inference.model import Model
from mnistdiff.errors import SettingsError
from mnistdiff.settings import MAX_SEED, SampleSettings, TrainSettings

N = 500
MODEL = Model(lambda x_t, t, labels: x_t * (labels % 3).reshape(-1, 1, 1, 1), TrainSettings(timesteps=10))
FEW = SampleSettings(steps=2, guidance=1)


@pytest.fixture(scope="module")
def good(small_real):
    """Images that a perfect model might draw: new, and as many of each digit as there should be."""
    return small_real.test.images[:N], small_real.test.labels[:N]


@pytest.fixture(scope="module")
def of_good(good, bundled_judges, small_real):
    return judge_images(*good, bundled_judges, real=small_real)


def both(evaluation, measure):
    """A measure under each judge."""
    return [measure(verdict) for verdict in evaluation.verdicts]


def test_real_images_are_as_good_as_can_be(of_good):
    for verdict in of_good.verdicts:
        assert verdict.accuracy.share == pytest.approx(verdict.ceiling.share, abs=0.02)
        assert verdict.fcd_ratio == pytest.approx(1, abs=0.2)
        assert verdict.manifold.coverage == pytest.approx(1, abs=0.01)  # they are the very images compared with
        assert verdict.manifold_control.coverage > 0.9


def test_all_real_test_images_score_the_ceiling_and_the_floor(real_data_dir, bundled_judges):
    real = RealImages.load(real_data_dir)
    evaluation = judge_images(real.test.images, real.test.labels, bundled_judges[:1], real=None)
    (verdict,) = evaluation.verdicts
    assert verdict.accuracy == verdict.ceiling
    assert verdict.fcd_ratio == pytest.approx(1, rel=1e-3)


def test_noise_is_seen_by_every_measure(good, bundled_judges, small_real):
    noise = np.random.default_rng(0).integers(0, 256, (N, 28, 28), np.uint8)
    for verdict in judge_images(noise, good[1], bundled_judges, real=small_real).verdicts:
        # A single wide ball may hold much of the noise, which density was made to see.
        assert verdict.manifold.precision < verdict.manifold_control.precision / 2
        assert verdict.manifold.density < 0.3
        assert max(verdict.manifold.recall, verdict.manifold.coverage) < 0.05
        assert verdict.fcd_ratio > 50
        assert verdict.accuracy.share < 0.3


def test_shuffled_labels_are_seen_by_accuracy_alone(good, bundled_judges, small_real, of_good):
    images, labels = good
    evaluation = judge_images(images, np.roll(labels, 1), bundled_judges, real=small_real)
    assert max(both(evaluation, lambda verdict: verdict.accuracy.share)) < 0.2
    assert both(evaluation, lambda v: (v.fcd, v.manifold)) == both(of_good, lambda v: (v.fcd, v.manifold))


def test_copies_of_training_images_are_seen_by_their_neighbours_alone(bundled_judges, small_real):
    images, labels = small_real.training.images[:N], small_real.training.labels[:N]
    for verdict in judge_images(images, labels, bundled_judges, real=small_real).verdicts:
        assert verdict.accuracy.share > 0.95
        assert verdict.fcd_ratio < 2
    *_, originality = check_memorization(images, labels, small_real)
    assert originality.drawn.copies == N
    assert originality.drawn.ratio_share == 1
    assert originality.control.copies < N / 100
    assert originality.control.ratio_share < 0.01


def test_one_image_of_each_digit_is_seen_by_coverage_and_recall(good, bundled_judges, small_real):
    images, labels = good
    # Of each digit the first image that both judges know.
    right = np.all([judge.judge(images).digits == labels for judge in bundled_judges], axis=0)
    chosen = [np.flatnonzero(right & (labels == digit))[0] for digit in range(10)]
    for verdict in judge_images(images[chosen][labels], labels, bundled_judges, real=small_real).verdicts:
        assert verdict.accuracy.share == 1
        assert verdict.manifold.recall < 0.05
        assert verdict.manifold.coverage < 0.15
        assert verdict.fcd_ratio > 5


def test_without_mnist_what_needs_it_is_left_out_with_a_notice(good, bundled_judges):
    images, labels = good
    # 500 is a number whose floor the judge's file tells; 499 is not.
    known = judge_images(images[:500], labels[:500], bundled_judges, real=None)
    assert both(known, lambda v: v.fcd_floor) == [judge.facts.floors[500] for judge in bundled_judges]
    assert "floor" not in known.notices[0]
    evaluation = judge_images(images[:499], labels[:499], bundled_judges, real=None)
    assert both(evaluation, lambda v: (v.fcd_floor, v.fcd_ratio, v.manifold, v.manifold_control)) == [(None,) * 4] * 2
    assert min(both(evaluation, lambda v: v.accuracy.share)) > 0.95
    (notice,) = evaluation.notices
    for word in ("MNIST", "floor", "coverage", "--data-dir"):
        assert word in notice
    assert json.loads(json.dumps(evaluation.to_dict(), allow_nan=False))["notices"] == [notice]


def test_more_images_than_the_test_set_has_are_noted(bundled_judges, tiny_real):
    images, labels = tiny_real.training.images[:210], tiny_real.training.labels[:210]
    evaluation = judge_images(images, labels, bundled_judges[:1], real=tiny_real)
    assert evaluation.verdicts[0].num_real == 200
    assert "no more than 200 test images" in evaluation.notices[0]


def test_digits_are_as_frequent_as_in_mnist_and_every_seed_is_used_once(bundled_judges, monkeypatch):
    drawn = []
    sample = evaluate.sample

    def recorded(model, wanted, settings, **options):
        drawn.append(wanted)
        return sample(model, wanted, settings, **options)

    monkeypatch.setattr(evaluate, "sample", recorded)
    *_, evaluation = evaluate_each([(MODEL, FEW)], bundled_judges, n=50, seed=7, real=None)
    rehearsal, wanted = drawn
    assert len(rehearsal) == 1
    assert [request.seed for request in wanted] == list(range(7, 57))
    digits = stratified_labels(50, bundled_judges[0].facts.class_counts).tolist()
    assert [request.label for request in wanted] == digits
    assert [sum(row) for row in evaluation.verdicts[0].confusion] == np.bincount(digits, minlength=10).tolist()
    assert (evaluation.drawn.seed, evaluation.drawn.settings) == (7, FEW)


def test_the_same_seed_gives_the_same_report_whatever_the_batches(bundled_judges, tiny_real):
    reports = []
    for seed, batch_size in ((0, 250), (0, 7), (1, 250)):
        events = list(
            evaluate_each([(MODEL, FEW)], bundled_judges, n=20, seed=seed, real=tiny_real, batch_size=batch_size)
        )
        assert all(isinstance(event, EvaluationProgress) for event in events[:-1])
        reports.append(events[-1])
    assert reports[0] == reports[1]
    assert reports[0] != reports[2]


def test_progress_counts_network_evaluations_and_then_judges(bundled_judges):
    events = list(evaluate_each([(MODEL, FEW)], bundled_judges, n=20, seed=0, real=None, batch_size=8))
    drawing = [event for event in events[:-1] if event.stage == "drawing"]
    assert [(event.done, event.total) for event in drawing] == [(k, 6) for k in range(1, 7)]
    assert sum(event.images for event in drawing) == 20
    assert {event.stage for event in events[len(drawing) : -1]} == {"judging"}


def test_rows_differ_by_what_was_changed_alone(bundled_judges):
    rows = [(MODEL, replace_settings(guidance=g)) for g in (0, 1, 0)]
    first, second, third = reports_of(evaluate_each(rows, bundled_judges, n=12, seed=3, real=None))
    assert first == third
    assert first != second


def test_a_refusal_comes_before_any_image_is_drawn(bundled_judges):
    rows = [(MODEL, replace_settings(steps=steps)) for steps in (2, 11)]
    with pytest.raises(SettingsError, match="`steps` 11"):
        next(iter(evaluate_each(rows, bundled_judges, n=10, seed=0, real=None)))
    with pytest.raises(SettingsError, match=str(MAX_SEED)):
        next(iter(evaluate_each([(MODEL, FEW)], bundled_judges, n=10, seed=MAX_SEED - 8, real=None)))


def test_extras_are_added_and_real_images_learnt_from_once(bundled_judges, tiny_real, monkeypatch):
    measured = []

    def quickly(*arguments, **options):
        measured.append(options["real_scores"])
        return measure(*arguments, **options, epochs=1)

    measure = evaluate.measure_cas
    monkeypatch.setattr(evaluate, "measure_cas", quickly)
    extras = OptionalMetrics(usefulness=True, originality=True)
    rows = [(MODEL, FEW)] * 2
    first, second = reports_of(evaluate_each(rows, bundled_judges, n=10, seed=0, real=tiny_real, extras=extras))
    assert first == second
    assert measured == [(), first.usefulness.real]
    assert first.originality.num_control == 10
    content = json.loads(json.dumps(first.to_dict(), allow_nan=False))
    assert content["cas"]["num_images"] == 10
    assert content["memorisation"]["images"]["copies"] == 0


def replace_settings(**changes):
    return FEW.model_copy(update=changes)


def reports_of(events):
    return [event for event in events if isinstance(event, Evaluation)]
