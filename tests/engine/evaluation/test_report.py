import json

import pytest

from mnistdiff.engine.checkpoint import pretrained
from mnistdiff.engine.evaluation.metrics import PRDC, BinomialProportion
from mnistdiff.engine.evaluation.report import Drawn, Evaluation, ModelInfo, Verdict
from mnistdiff.errors import BelowThresholdError
from mnistdiff.settings import SampleSettings


def verdict(judge="conv", hits=9950, fcd=1.5, **changes):
    values = {
        "judge": judge,
        "sha256": "ab" * 32,
        "accuracy": BinomialProportion(hits, 10_000),
        "ceiling": BinomialProportion(9960, 10_000),
        "accuracy_by_digit": {0: BinomialProportion(9, 10), 4: BinomialProportion(7, 10)},
        "confusion": tuple(
            tuple(3 if (row, column) == (4, 9) else 9 * (row == column) for column in range(10)) for row in range(10)
        ),
        "fcd": fcd,
        "fcd_floor": 0.5,
        "manifold": PRDC(0.7, 0.7, 0.9, 0.9),
        "manifold_control": None,
        "num_real": 10_000,
    }
    return Verdict(**{**values, **changes})


def test_a_verdict_knows_its_ratio_and_what_goes_wrong():
    found = verdict()
    assert found.fcd_ratio == 3
    assert found.lowest == (4, BinomialProportion(7, 10))
    assert found.confusions == [(4, 9, 3)]
    assert verdict(fcd_floor=None).fcd_ratio is None


@pytest.mark.parametrize(
    ("standard", "missed"),
    [
        ({}, None),
        ({"min_accuracy": 99.4, "max_fcd": 2.0}, None),  # just reached
        ({"min_accuracy": 99.41}, ["accuracy 99.40 % (residual)", "99.41 %"]),
        ({"max_fcd": 1.99}, ["fcd 2 (conv)", "1.99"]),
        ({"min_accuracy": 100, "max_fcd": 0}, ["99.40 %", "fcd 2"]),
    ],
)
def test_a_standard_is_held_against_the_less_pleased_judge(standard, missed):
    evaluation = Evaluation(10_000, (verdict("conv", 9950, 2.0), verdict("residual", 9940, 1.0)))
    if missed is None:
        evaluation.require(**standard)
        return
    with pytest.raises(BelowThresholdError) as caught:
        evaluation.require(**standard)
    assert [part for part in missed if part not in caught.value.message] == []


def test_reports_are_equal_but_for_the_time_they_took():
    quick, slow, other = (
        Evaluation(10, (verdict(),), drawn=Drawn(SampleSettings(), seed, seconds))
        for seed, seconds in ((0, 1.0), (0, 9.0), (1, 1.0))
    )
    assert quick == slow != other
    assert (quick.images_per_second, Evaluation(10, (verdict(),)).images_per_second) == (10, None)


def test_a_report_is_plain_json():
    content = Evaluation(10, (verdict(), verdict("residual"))).to_dict()
    assert json.loads(json.dumps(content, allow_nan=False)) == content
    assert list(content["judges"]) == ["conv", "residual"]
    assert content["judges"]["conv"]["accuracy"]["share"] == 0.995
    assert content["judges"]["conv"]["accuracy"]["low"] < 0.995 < content["judges"]["conv"]["accuracy"]["high"]
    assert content["judges"]["conv"]["lowest_digit"] == 4


def test_a_subject_is_the_head_of_its_file(tiny_run):
    file = tiny_run / "conditional_diffusion_mnist.safetensors"
    subject = ModelInfo.read(file)
    assert (subject.checkpoint, subject.preset, subject.step) == (str(file), "tiny", 45)
    assert len(subject.sha256) == 64


def test_the_bundled_model_is_named_without_its_place(tiny_run, monkeypatch):
    file = tiny_run / "conditional_diffusion_mnist.safetensors"
    monkeypatch.setattr(pretrained, "PRETRAINED", file)
    assert ModelInfo.read(file).checkpoint == "bundled"
