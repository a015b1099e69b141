"""The weights that a training on other classes starts from."""

import numpy as np
import pytest

from mnistdiff.engine.checkpoint.file import Checkpoint
from mnistdiff.engine.checkpoint.metadata import CheckpointMetadata, Fingerprint
from mnistdiff.engine.network.build import Network, build_network
from mnistdiff.engine.training.start import weights_to_start
from mnistdiff.errors import SettingsError
from mnistdiff.pictures import Pictures
from mnistdiff.setting_types import NETWORKS
from mnistdiff.settings import TrainSettings

SETTINGS = TrainSettings(patch_size=4, channels=(8,), embedding=512, timesteps=10)
TABLE = "embed_label.weight"


def of_pictures(names, **changes):
    counts = (5,) * len(names)
    made = {"image_size": 28, "digest": "0" * 64, "fit": "pad", "inverted": False, "border": 0}
    record = Pictures(title="mine", class_names=names, class_counts=counts, **made)
    return TrainSettings.model_validate({**dict(SETTINGS), "dataset": "pictures", "pictures": record, **changes})


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """A model of the ten digits with random weights."""
    weights = {f"ema.{name}": p.detach().numpy() for name, p in build_network(SETTINGS).named_parameters()}
    metadata = CheckpointMetadata(
        kind="weights",
        settings=SETTINGS,
        step=0,
        epoch=0,
        images_seen=0,
        num_train_images=10,
        seed=0,
        recent_losses=(),
        epoch_loss_sum=0,
        fingerprint=Fingerprint(mnistdiff="", torch="", threads="", device="", layout=""),
    )
    return Checkpoint(tmp_path_factory.mktemp("digits") / "file", metadata, weights, "")


def test_known_classes_and_no_label_keep_their_rows_and_all_else_is_the_same(digits):
    before, after = digits.weights("ema"), weights_to_start(digits, of_pictures(("7", "x", "3")))
    assert np.array_equal(after[TABLE][[0, 2, 3]], before[TABLE][[7, 3, 10]])
    assert all(np.array_equal(after[name], before[name]) for name in before if name != TABLE)
    assert after[TABLE].dtype == np.float32


def test_new_classes_get_the_mean_of_the_known_ones_and_noise_addressed_by_the_seed(digits):
    settings = of_pictures(("x", "y"))
    first = weights_to_start(digits, settings)[TABLE]
    noise = first[:2] - digits.weights("ema")[TABLE][:10].mean(axis=0)
    assert noise.std() == pytest.approx(2, abs=0.2)
    assert abs(np.corrcoef(noise)[0, 1]) < 0.2
    assert np.array_equal(weights_to_start(digits, settings)[TABLE], first)
    other = weights_to_start(digits, settings.model_copy(update={"seed": 1}))[TABLE]
    assert not np.array_equal(other[0], first[0])
    assert np.array_equal(other[2], first[2])


def test_the_same_classes_change_nothing(digits):
    same = weights_to_start(digits, of_pictures(tuple("0123456789")))
    assert all(np.array_equal(array, same[name]) for name, array in digits.weights("ema").items())


def test_a_network_without_a_label_table_starts_on_the_same_classes_alone(digits, monkeypatch):
    monkeypatch.setitem(NETWORKS._entries, "unet", lambda settings: Network())
    with pytest.raises(SettingsError, match="`network` unet names no label table"):
        weights_to_start(digits, of_pictures(("x",)))
    assert weights_to_start(digits, SETTINGS).keys() == digits.weights("ema").keys()


def test_classes_are_those_of_the_pictures_and_more():
    known = of_pictures(("0", "x"), classes=("0", "1", "x"))
    assert known.spec.class_names == ("0", "1", "x")
    assert known.spec.class_counts == (5, 0, 5)
    assert known.spec.null_label == 3
    for classes in (("0", "1"), ("0", "x", "x"), tuple(map(str, range(256))) + ("x",)):
        with pytest.raises(ValueError, match="classes"):
            of_pictures(("0", "x"), classes=classes)
    with pytest.raises(ValueError, match="classes"):
        TrainSettings(classes=("0",))
