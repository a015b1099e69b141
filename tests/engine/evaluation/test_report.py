import json
import math
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mnistdiff.engine.checkpoint.pretrained import PRETRAINED
from mnistdiff.engine.evaluation.model_card import ModelCard, model_card
from mnistdiff.engine.evaluation.report import EvaluationReport
from mnistdiff.engine.evaluation.results import PRDC, BinomialProportion, ClassifierMetrics
from mnistdiff.errors import BelowThresholdError

OLD_KEYS = {
    "classifiers": "judges",
    "memorization": "memorisation",
    "fcd_real": "fcd_floor",
    "prdc": "manifold",
    "prdc_of_training_images": "manifold_of_training_images",
}


def metrics(hits=9950, fcd=1.5, fcd_real=0.5):
    return ClassifierMetrics(
        sha256="ab" * 32,
        accuracy=BinomialProportion(hits=hits, total=10_000),
        accuracy_of_test_images=BinomialProportion(hits=9960, total=10_000),
        accuracy_by_digit={0: BinomialProportion(hits=9, total=10), 4: BinomialProportion(hits=7, total=10)},
        confusion=tuple(
            tuple(3 if (row, column) == (4, 9) else 9 * (row == column) for column in range(10)) for row in range(10)
        ),
        fcd=fcd,
        fcd_real=fcd_real,
        prdc=PRDC(precision=0.7, recall=0.7, density=0.9, coverage=0.9),
    )


def evaluation(**classifiers):
    return model_card(PRETRAINED).evaluation.model_copy(update={"classifiers": classifiers or {"conv": metrics()}})


@pytest.mark.parametrize(
    ("hits", "total", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),  # Newcombe 1998, Statist. Med. 17, Table I, method 3
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_the_interval_is_as_published(hits, total, low, high):
    assert BinomialProportion(hits=hits, total=total).interval == pytest.approx((low, high), abs=5e-5)


@given(st.integers(1, 10**7).flatmap(lambda total: st.tuples(st.integers(0, total), st.just(total))))
@example((10_000, 10_000))
@example((0, 1))
def test_the_bounds_are_where_the_score_test_just_rejects(pair):
    hits, total = pair
    found = BinomialProportion(hits=hits, total=total)
    share, low, high = found.share, found.low, found.high
    assert 0 <= low <= share <= high <= 1
    assert (low == 0) == (hits == 0)
    assert (high == 1) == (hits == total)
    for bound in {low, high} - {0.0, 1.0}:
        score = (share - bound) / math.sqrt(bound * (1 - bound) / total)
        assert abs(score) == pytest.approx(1.959964, rel=1e-4)
    misses = BinomialProportion(hits=total - hits, total=total)
    assert misses.interval == pytest.approx((1 - high, 1 - low), abs=1e-12)


@pytest.mark.parametrize(("hits", "total"), [(0, 0), (-1, 3), (4, 3), (0, -2)])
def test_a_proportion_of_impossible_numbers_is_refused(hits, total):
    with pytest.raises(ValueError, match="BinomialProportion"):
        BinomialProportion(hits=hits, total=total)


def test_metrics_know_their_ratio_and_the_mistakes():
    found = metrics()
    assert found.fcd_ratio == 3
    assert found.lowest_digit == 4
    assert found.confusions == [(4, 9, 3)]
    assert metrics(fcd_real=None).fcd_ratio is None


@pytest.mark.parametrize(
    ("thresholds", "missed"),
    [
        ({}, None),
        ({"min_accuracy": 99.4, "max_fcd": 2.0}, None),  # just reached
        ({"min_accuracy": 99.41}, ["99.40", "residual", "99.41"]),
        ({"max_fcd": 1.99}, ["fcd 2", "conv", "1.99"]),
        ({"min_accuracy": 100, "max_fcd": 0}, ["99.40", "fcd 2"]),
    ],
)
def test_thresholds_are_for_the_classifier_with_the_worse_value(thresholds, missed):
    report = evaluation(conv=metrics(9950, 2.0), residual=metrics(9940, 1.0))
    if missed is None:
        report.require(**thresholds)
        return
    with pytest.raises(BelowThresholdError) as caught:
        report.require(**thresholds)
    assert [part for part in missed if part not in caught.value.message] == []


def test_what_is_written_is_read(tmp_path):
    report = model_card(PRETRAINED).evaluation
    (tmp_path / "report.json").write_text(report.model_dump_json())
    assert EvaluationReport.read(tmp_path / "report.json") == report


def test_a_report_of_version_0_1_is_read_and_written_with_the_new_keys():
    """A model card holds one: nothing but keys has changed, and what was derived then is derived again."""

    def with_old_keys(value):
        if isinstance(value, dict):
            return {OLD_KEYS.get(key, key): with_old_keys(part) for key, part in value.items()}
        return [with_old_keys(part) for part in value] if isinstance(value, list) else value

    card = (Path(__file__).parents[2] / "data" / "model_card_of_0_1.json").read_text()
    old = json.loads(card)["evaluation"]
    new = json.loads(ModelCard.model_validate_json(card).evaluation.model_dump_json())
    assert {"judges", "memorisation"} < old.keys()
    assert not {"judges", "memorisation"} & new.keys()
    assert [new["model"].pop(key) for key in ("total_steps", "images_seen")] == [None, None]  # unknown to version 0.1
    assert new.pop("class_names") == []  # they were the digits
    assert with_old_keys(new) == old
