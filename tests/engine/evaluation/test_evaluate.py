"""Evaluation: what is sampled, and that each kind of bad generator is caught by the metric meant to catch it."""

import json
from dataclasses import replace

import numpy as np
import pytest

from mnistdiff.engine.data.datasets import MNIST, LabelledImages
from mnistdiff.engine.data.stratified import stratified_labels
from mnistdiff.engine.evaluation import evaluate
from mnistdiff.engine.evaluation.evaluate import OptionalMetrics, classifier_metrics, evaluate_each, load_references
from mnistdiff.engine.evaluation.memorization import check_memorization
from mnistdiff.engine.evaluation.reference_classifier import load_reference_classifiers
from mnistdiff.engine.evaluation.reference_stats import RealImages, ReferenceStats
from mnistdiff.engine.inference.model import DiffusionModel
from mnistdiff.engine.progress import finish
from mnistdiff.errors import SettingsError
from mnistdiff.sample_settings import SampleSettings
from mnistdiff.setting_types import MAX_SEED
from mnistdiff.settings import TrainSettings

N = 300
MODEL = DiffusionModel(lambda x_t, t, labels: x_t * (labels % 3).reshape(-1, 1, 1, 1), TrainSettings(timesteps=10))
FEW = SampleSettings(steps=2, guidance=1)


@pytest.fixture(scope="module")
def good(small_real):
    """Images that a perfect model might draw: new, and as many of each digit as there should be."""
    return small_real.test[:N]


@pytest.fixture(scope="module")
def measured(classifiers, small_real):
    """The scores of real images by each classifier."""
    return [ReferenceStats(classifier, small_real, N) for classifier in classifiers]


@pytest.fixture(scope="module")
def of_good(good, measured):
    return metrics_of(good, measured)


def metrics_of(images, measured):
    """The metrics of each classifier."""
    return [classifier_metrics(images, each) for each in measured]


def test_real_images_are_as_good_as_can_be(of_good):
    for metrics in of_good:
        assert metrics.accuracy.share == pytest.approx(metrics.accuracy_of_test_images.share, abs=0.02)
        assert metrics.fcd_ratio == pytest.approx(1, abs=0.2)
        assert metrics.prdc.coverage == pytest.approx(1, abs=0.01)  # they are the very images compared with
        assert metrics.prdc_of_training_images.coverage > 0.9


def test_noise_is_seen_by_every_metric(good, measured):
    noise = np.random.default_rng(0).integers(0, 256, (N, 28, 28), np.uint8)
    for metrics in metrics_of(LabelledImages(noise, good.labels), measured):
        # A single wide ball may hold much of the noise, which density was made to see.
        assert metrics.prdc.precision < metrics.prdc_of_training_images.precision / 2
        assert metrics.prdc.density < 0.3
        assert max(metrics.prdc.recall, metrics.prdc.coverage) < 0.05
        assert metrics.fcd_ratio > 20
        assert metrics.accuracy.share < 0.3


def test_shuffled_labels_are_seen_by_accuracy_alone(good, measured, of_good):
    shuffled = metrics_of(LabelledImages(good.images, np.roll(good.labels, 1)), measured)
    assert max(metrics.accuracy.share for metrics in shuffled) < 0.2
    assert [(m.fcd, m.prdc) for m in shuffled] == [(m.fcd, m.prdc) for m in of_good]


def test_copies_of_training_images_are_seen_by_their_neighbours_alone(measured, small_real):
    copies = small_real.training[:N]
    for metrics in metrics_of(copies, measured):
        assert metrics.accuracy.share > 0.95
        assert metrics.fcd_ratio < 2
    memorization = finish(check_memorization(copies, small_real))
    assert (memorization.images.copies, memorization.images.ratio_share) == (N, 1)
    assert memorization.test_images.copies < N / 100
    assert memorization.test_images.ratio_share < 0.01


def test_one_image_of_each_digit_is_seen_by_coverage_and_recall(good, measured):
    # Of each digit the first image that both classifiers know.
    right = np.all([each.classifier.predict(good.images).labels == good.labels for each in measured], axis=0)
    chosen = [np.flatnonzero(right & (good.labels == digit))[0] for digit in range(10)]
    same = LabelledImages(good.images[chosen][good.labels], good.labels)
    for metrics in metrics_of(same, measured):
        assert metrics.accuracy.share == 1
        assert metrics.prdc.recall < 0.05
        assert metrics.prdc.coverage < 0.3
        assert metrics.fcd_ratio > 5


@pytest.mark.parametrize("n", [500, 499])
def test_without_real_images_what_needs_them_is_left_out_with_a_notice(classifiers, n):
    # The card holds the distance of 500 real images, and not that of 499.
    models = [(MODEL, SampleSettings(steps=1, guidance=1))]
    [report] = finish(evaluate_each(models, classifiers[:1], n=n, seed=0, real=None))
    [metrics] = report.classifiers.values()
    assert metrics.fcd_real == classifiers[0].card.fcd_real.get(n)
    assert (metrics.fcd_ratio is None) == (n == 499)
    assert (metrics.prdc, metrics.prdc_of_training_images) == (None, None)
    notice = report.notices[-1]
    assert ("fcd of real images" in notice) == (n == 499)
    assert "coverage" in notice


def test_more_images_than_the_test_set_has_are_noted(classifiers, tiny_real):
    few = RealImages(MNIST, tiny_real.training, tiny_real.test[:15])
    [report] = finish(evaluate_each([(MODEL, FEW)], classifiers[:1], n=20, seed=0, real=few))
    assert report.classifiers["conv"].num_test_images == 15
    assert "15 test images" in report.notices[-1]


def test_a_model_of_another_data_set_is_refused(tmp_path):
    found, real = load_references(TrainSettings(dataset="mnist-5k"), tmp_path)  # a part of MNIST
    assert ([classifier.name for classifier in found], real) == (["conv", "residual"], None)
    letters = replace(MNIST, name="letters", title="letters")
    with pytest.raises(SettingsError, match="letters") as caught:
        load_reference_classifiers(letters)
    assert "train-classifier --dataset letters" in caught.value.hint


def test_labels_are_as_frequent_as_in_the_data_set_and_every_seed_is_used_once(classifiers, monkeypatch):
    sampled = []
    sample = evaluate.sample_in_processes

    def recorded(model, specs, settings, **options):
        sampled.append(specs)
        return sample(model, specs, settings, **options)

    monkeypatch.setattr(evaluate, "sample_in_processes", recorded)
    [report] = finish(evaluate_each([(MODEL, FEW)], classifiers, n=50, seed=7, real=None))
    rehearsal, specs = sampled
    assert len(rehearsal) == 1
    assert [spec.seed for spec in specs] == list(range(7, 57))
    labels = stratified_labels(50, MNIST.class_counts).tolist()
    assert [spec.label for spec in specs] == labels
    counts = [sum(row) for row in report.classifiers["conv"].confusion]
    assert counts == np.bincount(labels, minlength=10).tolist()
    assert SampleSettings(**report.sampling.model_dump(exclude={"seed"})) == FEW
    assert report.sampling.seed == 7


def test_the_same_seed_gives_the_same_report_whatever_the_batches(classifiers, tiny_real, monkeypatch):
    reports = []
    for seed, batch_size in ((0, 250), (0, 7), (1, 250)):
        monkeypatch.setattr(evaluate, "BATCH_SIZE", batch_size)
        reports.append(finish(evaluate_each([(MODEL, FEW)], classifiers, n=20, seed=seed, real=tiny_real)))
    first, same, other = ([content(report) for report in each] for each in reports)
    assert first == same != other


def test_progress_counts_network_evaluations_and_then_classifiers(classifiers, monkeypatch):
    steps = []
    monkeypatch.setattr(evaluate, "BATCH_SIZE", 8)
    finish(evaluate_each([(MODEL, FEW)], classifiers, n=20, seed=0, real=None), steps.append)
    sampling = [step for step in steps if step.stage == "sampling"]
    assert [(step.done, step.total) for step in sampling] == [(k, 6) for k in range(1, 7)]
    assert (steps[-1].done, steps[-1].total) == (1, 1)
    assert [len(step.results) for step in steps if step.results] == [1]


def test_reports_differ_by_what_was_changed_alone_and_come_one_by_one(classifiers):
    models = [(MODEL, FEW.model_copy(update={"guidance": guidance})) for guidance in (0, 1, 0)]
    completed = []
    reports = finish(evaluate_each(models, classifiers, n=12, seed=3, real=None), lambda p: completed.extend(p.results))
    assert completed == reports
    first, second, third = map(content, reports)
    assert first == third != second


def test_a_refusal_comes_before_any_image_is_sampled(classifiers):
    models = [(MODEL, FEW.model_copy(update={"steps": steps})) for steps in (2, 11)]
    with pytest.raises(SettingsError, match="`steps` 11"):
        next(evaluate_each(models, classifiers, n=10, seed=0, real=None))
    with pytest.raises(SettingsError, match=str(MAX_SEED)):
        next(evaluate_each([(MODEL, FEW)], classifiers, n=10, seed=MAX_SEED - 8, real=None))


def test_optional_metrics_are_added_and_real_images_trained_on_once(classifiers, tiny_real, monkeypatch):
    measured = []

    def quickly(*arguments, **options):
        measured.append(options["real_scores"])
        return measure(*arguments, **options, epochs=1)

    measure = evaluate.measure_cas
    monkeypatch.setattr(evaluate, "measure_cas", quickly)
    optional = OptionalMetrics(cas=True, memorization=True)
    models = [(MODEL, FEW)] * 2
    first, second = finish(evaluate_each(models, classifiers, n=10, seed=0, real=tiny_real, optional=optional))
    assert content(first) == content(second)
    assert measured == [(), first.cas.by_seed_of_real_images]
    assert first.cas.num_images == first.memorization.test_images.num_images == 10
    assert first.memorization.images.copies == 0


def content(report):
    """What is written, but for the time it took."""
    return json.loads(report.model_dump_json(exclude={"seconds", "images_per_second"}))
